"""Which pairs are drawn for labelling, and how many labels an interval takes."""

from collections import Counter
from pathlib import Path

import pytest

from support.page_tables import Two, write_tables
from wim.cli import main
from wim.viewing.strata import DrawnFrom, allocate, draw_pairs, labels_needed, strata_of


def pair(number: int, **given: object) -> DrawnFrom:
    """A pair of a prompt of its own, with margin 1, equal lengths and rewards that agree."""
    named = {"prompt_id": f"p{number}", "chosen_id": f"c{number}", "rejected_id": f"r{number}"}
    defaults = {"margin": 1.0, "lengths": (10, 10), "disagrees": False}
    return DrawnFrom(**{**named, **defaults, **given})  # type: ignore[arg-type]


def test_strata_are_of_margin_length_and_disagreement() -> None:
    pairs = [
        pair(0, margin=0.1, lengths=(100, 10)),
        pair(1, margin=0.5, lengths=(10, 100)),
        pair(2, margin=0.9, lengths=(100, 95), disagrees=True),
    ]
    assert strata_of(pairs) == [
        "narrow margin, chosen longer, rewards agree",
        "middling margin, chosen shorter, rewards agree",
        "wide margin, lengths alike, rewards disagree",
    ]


@pytest.mark.parametrize(
    ("number", "equally", "shares"),
    [
        (10, False, {"a": 7, "b": 2, "c": 1}),
        (5, False, {"a": 4, "b": 1, "c": 0}),
        (9, True, {"a": 3, "b": 3, "c": 3}),
        (30, True, {"a": 14, "b": 10, "c": 6}),
        (100, False, {"a": 70, "b": 20, "c": 10}),
        (0, False, {"a": 0, "b": 0, "c": 0}),
    ],
)
def test_a_stratum_gives_its_share_or_an_equal_one(
    number: int, equally: bool, shares: dict[str, int]
) -> None:
    sizes = {"a": 14, "b": 10, "c": 6} if number == 30 else {"a": 70, "b": 20, "c": 10}
    assert allocate(sizes, number, equally) == shares


def test_at_most_one_pair_of_each_prompt_is_drawn_by_seed() -> None:
    pairs = [
        pair(n, prompt_id=f"p{n // 4}", margin=n % 9, lengths=(n, 50), disagrees=n % 5 == 0)
        for n in range(400)
    ]
    drawn = draw_pairs(pairs, 60, seed=0)
    assert len(drawn) == 60
    assert max(Counter(pairs[place].prompt_id for place in drawn).values()) == 1
    assert drawn == draw_pairs(pairs, 60, seed=0) != draw_pairs(pairs, 60, seed=1)
    assert len(draw_pairs(pairs, 1000, seed=0)) == 100


def test_labels_needed_are_the_fewest_by_wilsons_interval() -> None:
    def wilson(n: int, right: int) -> float:
        z = 1.959963984540054
        share = right / n
        return 2 * z / (1 + z * z / n) * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5

    for width in (0.5, 0.2, 0.1, 0.04):
        needed = labels_needed(width)
        assert wilson(needed, needed // 2) <= width + 1e-9
        assert wilson(needed - 2, (needed - 2) // 2) > width
    assert labels_needed(0.1, accuracy=0.9) < labels_needed(0.1)


@pytest.fixture
def finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tables of a run of thirty pairs where the default configuration has them."""
    rows = [
        Two((f"A longer answer, {n}.", f"Answer {n}."), rewards=(1.0 + n, 0.0)) for n in range(30)
    ]
    write_tables(tmp_path / "results", rows)
    shards = tmp_path / "results/prompts"
    (shards / "shards").mkdir()
    (shards / "000.parquet").rename(shards / "shards/000.parquet")
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").write_text(
        "prompts: {shards: 1}\njudges: {j: {model: smollm2}}\n"
        "rewards: {wim: {judge: j, zeta: 1.0}, number: {judge: j, zeta: 0.0}}\n"
        "arms: {wim: {reward: wim}}\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_command_writes_a_page_and_says_what_the_labels_are_worth(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sample-pairs", "--number", "12", "--width", "0.3"]) == 0
    said = capsys.readouterr().out
    assert "wim, round 1: 30 pairs of 30 prompts" in said
    assert "     4  wide margin, chosen longer, rewards agree" in said
    assert "A 95 % interval 0.3 wide takes 39 labels" in said
    text = (finished / "to-label.html").read_text()
    assert 'id="packed"' in text


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["nobody"], "found 'nobody'; write the name of an arm: wim"),
        (["--round", "2"], "found 2; wim has 1 rounds"),
        (["--configfile", "none.yaml"], "none.yaml: no configuration could be read"),
    ],
)
def test_what_cannot_be_drawn_from_is_named(
    finished: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], problem: str
) -> None:
    assert main(["sample-pairs", *arguments]) == 1
    assert problem in capsys.readouterr().err
    assert not (finished / "to-label.html").exists()


def test_pairs_that_are_not_made_yet_are_asked_for(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (finished / "results/pairs/wim/round1.parquet").unlink()
    assert main(["sample-pairs"]) == 1
    said = capsys.readouterr().err
    assert "run `snakemake -- results/pairs/wim/round1.parquet` first" in said
