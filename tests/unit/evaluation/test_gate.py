"""What the reward gate makes of its tables: which pairs, which judge, what passes."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest

from support.builders import embeddings
from wim.errors import UserError
from wim.evaluation.gate import check_bar, label_dialogues, retested, reward_gate
from wim.evaluation.judged_pairs import LabelledPair, of_comparison
from wim.evaluation.labelled_judgements import distinct_responses, judged_by_reward
from wim.evaluation.labels.read import read_labels
from wim.evaluation.llmbar import read_labelled_pairs
from wim.evaluation.pair_statistics import pair_statistics
from wim.judging.pairwise import pair_id_of
from wim.tables.files import as_arrow, read_table, write_table
from wim.tables.schemas import COMPARISONS, DIALOGUES, REWARDS, Comparison, embeddings_table

COUNT = 40


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Pairs whose second response is better and longer."""
    rows = [
        {"input": f"{n}?", "output_1": f"no {n}", "output_2": f"yes, it is {n}", "label": 2}
        for n in range(COUNT)
    ]
    (tmp_path / "pairs.json").write_text(json.dumps(rows))
    return tmp_path / "pairs.json"


def rewards_of(labelled: Path, name: str, right: int, of: int = COUNT) -> Path:
    """A reward of the first so many pairs, right on some of them and wrong on the others.

    The one called `good` is made of cosines, and its judge is called `cut`.
    """
    rows = []
    for place, pair in enumerate(read_labelled_pairs(labelled)[:of]):
        for side, candidate in enumerate(pair.candidates):
            value = float(side if place < right else -side) * (1 + place)
            rows.append(
                {
                    "candidate_id": candidate.candidate_id, "prompt_id": "p", "turn": 1,
                    "judge": "cut", "status": "ok", "cosine": value if name == "good" else None,
                    "rating_scaled": None, "reward": value,
                }
            )  # fmt: skip
    path = labelled.with_name(f"{name}.parquet")
    write_table(path, REWARDS, pa.Table.from_pylist(rows, schema=REWARDS.schema))
    return path


def comparisons_of(labelled: Path, biased: int) -> Path:
    """A judge of pairs that prefers the better response, but of some pairs the first shown one."""
    rows = []
    for place, pair in enumerate(read_labelled_pairs(labelled)):
        a, b = (each.candidate_id for each in pair.candidates)
        first = -0.5 if place < biased else -2.0
        winner = "tie" if place < biased else "b"
        rows.append(
            Comparison(
                pair_id=pair_id_of(a, b),
                prompt_id="p",
                a_id=a,
                b_id=b,
                judge="two",
                status="ok",
                winner=winner,
                preference_a=0.5,
                logprob_a_shown_first=first,
                logprob_b_shown_second=-1.0,
                logprob_b_shown_first=-0.5,
                logprob_a_shown_second=-1.5,
                source="logprobs",
                judge_digest="d",
            )
        )
    path = labelled.with_name("comparisons.parquet")
    write_table(path, COMPARISONS, as_arrow(COMPARISONS, rows))
    return path


def gate_of(
    labelled: Path,
    again: bool = False,
    embeddings: Sequence[Path] = (),
    without_cosines: Sequence[str] = (),
) -> Path:
    """The gate of a reward that is right on 36 of 40 pairs, and of a judge of pairs."""
    rewards = [rewards_of(labelled, "good", 36), rewards_of(labelled, "poor", 20)]
    repeated = [rewards_of(labelled, "good2", 18, 20), rewards_of(labelled, "poor2", 20, 20)]
    table = labelled.with_name("gate.json")
    reward_gate(
        inputs=SimpleNamespace(
            pairs=[labelled],
            rewards=rewards,
            again=repeated if again else [],
            comparisons=[comparisons_of(labelled, biased=10)],
            embeddings=embeddings,
        ),
        rewards=["good", "poor"],
        judges=["two"],
        output=SimpleNamespace(
            table=table,
            text=labelled.with_name("gate.md"),
            figure=labelled.with_name("gate.svg"),
        ),
        without_cosines=without_cosines,
    )
    return table


def test_a_share_of_the_pairs_is_sampled_by_seed_and_whole(labelled: Path, tmp_path: Path) -> None:
    def sampled(share: float, seed: int = 0) -> list[str]:
        outputs = [tmp_path / "000", tmp_path / "001"]
        label_dialogues([labelled], outputs, share, seed)
        return [
            name
            for path in outputs
            for name in read_table(path, DIALOGUES, ["dialogue_id"])["dialogue_id"].to_pylist()
        ]

    everything, some = sampled(1.0), sampled(0.3)
    assert len(everything) == 2 * COUNT
    assert 0 < len(some) < len(everything)
    assert set(some) <= set(everything)
    assert all(some.count(name) == 2 for name in some)
    assert some == sampled(0.3)
    assert some != sampled(0.3, seed=1)


def test_a_judge_of_pairs_is_measured_like_rewards_and_for_its_bias(labelled: Path) -> None:
    figures = json.loads(gate_of(labelled).read_text())["pairs/two"]
    assert figures["judged"] == COUNT
    assert figures["tie_rate"]["value"] == figures["position_bias"]["value"] == 0.25
    assert figures["consistency"]["value"] == 0.75
    assert figures["accuracy"]["value"] == 0.875
    text = labelled.with_name("gate.md").read_text()
    assert "| pairs/two | 40 | 0.75 [" in text
    assert "Judged again" not in text


def test_a_reward_that_was_judged_again_is_compared_with_itself(labelled: Path) -> None:
    figures = json.loads(gate_of(labelled, again=True).read_text())
    good, poor = figures["good"]["retest"], figures["poor"]["retest"]
    assert (good["same_winner"]["value"], good["same_winner"]["n"]) == (0.9, 20)
    assert (poor["same_winner"]["value"], poor["correlation"]["value"]) == (1.0, pytest.approx(1))
    assert good["correlation"]["value"] < 1
    assert "retest" not in figures["pairs/two"]
    assert "| good | 20 | 0.90 [" in labelled.with_name("gate.md").read_text()


def test_what_the_encoder_does_not_read_is_a_warning(labelled: Path) -> None:
    shards = [labelled.with_name("cut") / f"{shard}.parquet" for shard in ("000", "001")]
    shards.append(labelled.with_name("whole") / "000.parquet")
    for path in shards:
        cut = path.parent.name == "cut"
        rows = [
            {"candidate_id": f"{n}", "response_truncated": cut and n > 0, "wim_unknown": 0.2 * cut}
            for n in range(4)
        ]
        write_table(path, embeddings_table(2), embeddings(rows))
    figures = json.loads(gate_of(labelled, embeddings=shards).read_text())
    assert figures["good"]["encoder"]["responses"]["cut"]["share"] == 0.75
    assert figures["good"]["encoder"]["critiques"]["hard"]["count"] == 8
    assert not any("encoder" in figures[name] for name in ("poor", "pairs/two"))
    text = labelled.with_name("gate.md").read_text()
    assert "- `cut`: 75 % of responses are longer than the encoder reads" in text
    assert "- `cut`: 100 % of critiques have more than 10 % of tokens" in text
    assert "`whole`" not in text
    assert "encoder" not in gate_of(labelled).with_name("gate.md").read_text()


def test_what_the_encoder_does_not_read_of_a_judge_of_samples_is_a_warning(labelled: Path) -> None:
    shards = [labelled.with_name(name) / "000.parquet" for name in ("cut", "cut~2")]
    for path in shards:
        # Its first critiques are read whole.
        cut = "~" in path.parent.name
        rows = [{"candidate_id": f"{n}", "wim_truncated": cut} for n in range(4)]
        write_table(path, embeddings_table(2), embeddings(rows))
    # `poor` is made of several samples, so its table has no cosines.
    table = gate_of(labelled, embeddings=shards, without_cosines=["poor"])
    figures = json.loads(table.read_text())
    assert figures["poor"]["encoder"]["critiques"]["cut"]["count"] == 4
    assert figures["poor"]["encoder"]["critiques"]["cut"]["share"] == 0.5
    text = labelled.with_name("gate.md").read_text()
    assert "- `cut`: 50 % of critiques are longer than the encoder reads" in text
    assert "`cut~2`" not in text


def test_a_pair_without_a_reward_in_one_run_says_nothing_of_stability(labelled: Path) -> None:
    pairs = read_labelled_pairs(labelled)
    first, none = rewards_of(labelled, "first", 40), rewards_of(labelled, "none", 0, of=0)
    found = retested(pairs, first, none)
    assert (found.same_winner.value, found.same_winner.n) == (None, 0)
    assert (found.correlation.value, found.correlation.n) == (None, 0)


def test_rewards_and_judges_of_pairs_pass_the_bar_by_their_interval(labelled: Path) -> None:
    table, note = gate_of(labelled), labelled.with_name("passed") / "pairs/two.txt"
    check_bar(table, "good", 0.5, labelled.with_name("passed") / "good.txt")
    check_bar(table, "pairs/two", 0.5, note)
    assert note.exists()
    with pytest.raises(UserError, match=r"the reward 'poor' does not beat gate.bar 0.5"):
        check_bar(table, "poor", 0.5, note)
    with pytest.raises(UserError, match=r"the judge 'pairs/two' does not beat gate.bar 0.9"):
        check_bar(table, "pairs/two", 0.9, note)


def test_too_few_judged_pairs_do_not_pass_the_bar_however_right(labelled: Path) -> None:
    table, note = gate_of(labelled), labelled.with_name("passed") / "good.txt"
    check_bar(table, "good", 0.5, note, least_pairs=COUNT)
    note.unlink()
    with pytest.raises(UserError, match=r"over 40 judged pairs, and gate.least_pairs asks for 41"):
        check_bar(table, "good", 0.5, note, least_pairs=41)
    assert not note.exists()


def test_one_right_pair_passes_no_bar(tmp_path: Path) -> None:
    path = tmp_path / "pairs.json"
    path.write_text(json.dumps([{"input": "?", "output_1": "a", "output_2": "b", "label": 2}]))
    statistics = pair_statistics(
        read_labelled_pairs(path),
        judged_by_reward(read_labelled_pairs(path), rewards_of(path, "good", 1)),
    )
    table = tmp_path / "gate.json"
    table.write_text(json.dumps({"good": {"accuracy": asdict(statistics.accuracy)}}))
    with pytest.raises(UserError, match=r"its accuracy is 1.00 \[0.03, 1.00\] over 1 judged pair"):
        check_bar(table, "good", 0.05, tmp_path / "note.txt")


RANKED = [
    {"input": "?", "outputs": ["A", "BB", "CCC"], "ranks": [1, 2, 3], "subset": "one"},
    {"input": "!", "output_1": "x", "output_2": "yy", "label": 1, "subset": "two"},
]


def test_a_response_of_several_pairs_is_a_row_of_its_own_and_pairs_are_dialogues(
    tmp_path: Path,
) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text("\n".join(map(json.dumps, RANKED)))

    def rows(paired: bool) -> list[dict[str, str]]:
        outputs = [tmp_path / f"{paired}{shard}" for shard in (0, 1)]
        label_dialogues([path], outputs, paired=paired)
        columns = ["candidate_id", "dialogue_id", "speaker", "completion"]
        return [row for each in outputs for row in read_table(each, DIALOGUES, columns).to_pylist()]

    single, paired = rows(False), rows(True)
    assert sorted(row["completion"] for row in single) == ["A", "BB", "CCC", "x", "yy"]
    by_dialogue: dict[str, list[str]] = {}
    for row in paired:
        by_dialogue.setdefault(row["dialogue_id"], []).append(row["completion"])
    assert sorted(map(sorted, by_dialogue.values())) == [
        ["A", "BB"], ["A", "CCC"], ["BB", "CCC"], ["x", "yy"]
    ]  # fmt: skip
    ids = {row["completion"]: row["candidate_id"] for row in single}
    assert all(ids[row["completion"]] == row["candidate_id"] for row in paired)


def test_calls_are_counted_once_and_subsets_and_labellers_are_named(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text("\n".join(map(json.dumps, RANKED)))
    pairs = read_labels([path])
    rows = [
        {
            "candidate_id": one.candidate_id, "prompt_id": one.prompt_id, "turn": 1, "judge": "j",
            "status": "error" if one.completion == "CCC" else "ok", "cosine": None,
            "rating_scaled": None,
            "reward": None if one.completion == "CCC" else -float(len(one.completion)),
        }
        for one in distinct_responses(pairs)
    ]  # fmt: skip
    table = tmp_path / "short.parquet"
    write_table(table, REWARDS, pa.Table.from_pylist(rows, schema=REWARDS.schema))
    written = SimpleNamespace(
        table=tmp_path / "gate.json", text=tmp_path / "gate.md", figure=tmp_path / "gate.svg"
    )
    inputs = SimpleNamespace(pairs=[path], rewards=[table], again=[], comparisons=[], embeddings=[])
    reward_gate(inputs, ["short"], [], written, labelled_by="my students")
    found = json.loads(written.table.read_text())
    short = found["short"]
    assert (short["pairs"], short["judged"], short["failed"]) == (4, 2, 2)
    assert (short["calls"], short["statuses"]) == (5, {"error": 1, "ok": 4})
    assert short["subsets"]["one"]["accuracy"]["n"] == short["subsets"]["two"]["accuracy"]["n"] == 1
    assert "(annotators)" not in found
    text = written.text.read_text()
    assert text.startswith("# Judges and rewards against labels of my students\n")
    assert "Accuracy by subset (3 one, 1 two):" in text


def test_a_failed_order_of_a_judge_of_pairs_is_a_call_of_its_own() -> None:
    row = Comparison("p", "two", "error", None, None, -0.5, -1.0, None, None, "d")
    pairs = [
        LabelledPair(str(n), ({"role": "user", "content": str(n)},), "a", "b", "a") for n in (1, 2)
    ]
    whole = replace(row, status="ok", winner="a", logprob_b_shown_first=-2.0,
                    logprob_a_shown_second=-1.0)  # fmt: skip
    judged = [
        replace(of_comparison(each), pair_id=pair.pair_id)
        for pair, each in zip(pairs, (row, whole), strict=True)
    ]
    found = pair_statistics(pairs, judged)
    assert (found.pairs, found.judged, found.failed, found.calls) == (2, 1, 1, 4)
    assert found.statuses == {"error": 1, "ok": 3}


def test_several_annotators_and_unread_texts_are_told(labelled: Path) -> None:
    rows = json.loads(labelled.read_text())
    labelled.write_text(
        json.dumps([{**row, "annotator": name} for name in ("anna", "ben") for row in rows])
    )
    shard = labelled.with_name("cut") / "000.parquet"
    cut = [{"candidate_id": f"{n}", "response_truncated": n > 0} for n in range(4)]
    write_table(shard, embeddings_table(2), embeddings(cut))
    figures = json.loads(gate_of(labelled, embeddings=[shard]).read_text())
    assert figures["(annotators)"]["agreement"]["value"] == 1
    assert figures["(annotators)"]["ceiling"]["n"] == COUNT
    text = labelled.with_name("gate.md").read_text()
    assert "2 annotators voted on 40 pairs (40 b by majority)" in text
    assert "the accuracy of `good` is that of beginnings" in text
    assert "`poor`" not in text
    assert "The best of 3 that are no better than a coin passes a bar of .5 in up to 7 %" in text
