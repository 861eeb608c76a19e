"""The summary says what the rewards and the training did, and what cannot be said."""

import itertools
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pytest

from support.builders import candidate, embeddings, rating
from wim.errors import UserError
from wim.evaluation.audit import audit_critiques
from wim.reports.flow import beside, steps_of
from wim.reports.measured import measured_text
from wim.reports.summary import summary
from wim.reports.summary_figures import training_course
from wim.statistics import Share, differences, rank_correlation
from wim.tables.files import as_arrow, write_table
from wim.tables.schemas import DIALOGUES, RATINGS, REWARDS, embeddings_table

STEPS = [
    {"loss": 0.75, "rewards/margins": 0.0, "rewards/accuracies": 0.0, "step": 1},
    {"loss": 0.5, "rewards/margins": 0.25, "rewards/accuracies": 0.75, "step": 2},
    {"eval_loss": 0.625, "eval_rewards/margins": 0.125, "eval_rewards/accuracies": 0.5, "step": 2},
    {"train_loss": 0.625, "step": 2},
]
COUNTS = {
    "candidates": 7,
    "pairs": {"train": 3, "eval": 1},
    "excluded": {"pairs with equal rewards": 2},
    "cut": {"candidates": 5, "chosen": 2, "rejected": 3, "never_answered": 1},
}


@dataclass(frozen=True)
class Judged:
    """A candidate of a context with its 1-10 number and its reward."""

    context: str
    number: int | None
    reward: float | None
    status: str = "ok"


# Comparisons by hand, as (reward, number): of A tie/differ, agree, agree/tie; of B disagree.
BY_HAND = [
    Judged("A", 5, 0.25),
    Judged("A", 7, 0.25),
    Judged("A", 7, 0.75),
    Judged("B", 6, 0.0),
    Judged("B", 8, -0.5),
    Judged("C", 8, 1.0, "nothing_missing"),
    Judged("C", 8, None, "echo"),
]


@dataclass
class Run:
    """A run's files for the summary, and the summary read back."""

    folder: Path
    inputs: dict[str, Any]
    rewards: dict[str, Any]
    arms: dict[str, Any]

    def write(self, name: str = "report") -> None:
        summary(
            inputs=SimpleNamespace(**self.inputs),
            rewards=self.rewards,
            arms=self.arms,
            trained={},
            output=self.output(name),
        )

    def output(self, name: str = "report") -> SimpleNamespace:
        files = {"table": "summary.json", "text": "summary.md"}
        figures = {name: f"{name}.svg" for name in ("rewards", "critiques", "training", "flow")}
        place = self.folder / name
        return SimpleNamespace(**{key: place / file for key, file in (files | figures).items()})

    @property
    def table(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.output().table.read_text(encoding="utf-8"))
        return parsed

    @property
    def text(self) -> str:
        return str(self.output().text.read_text(encoding="utf-8"))


def run_of(
    folder: Path,
    rewards: Mapping[str, Sequence[Judged]],
    arms: Sequence[str] = ("first",),
    steps: Sequence[Mapping[str, object]] = STEPS,
) -> Run:
    """Tables as the stages write them; every reward judges the same candidates."""
    rows = next(iter(rewards.values()))
    names = [f"{place:032x}" for place in range(len(rows))]
    candidates = [
        candidate(name, prompt_id=row.context, turn=0, sample=place, completion_tokens=10 + place)
        for place, (name, row) in enumerate(zip(names, rows, strict=True))
    ]
    write_table(folder / "dialogues.parquet", DIALOGUES, as_arrow(DIALOGUES, candidates))
    ratings = [
        rating(
            name,
            judge="judge",
            status=row.status,
            rating=row.number,
            rating_expected=None,
            wim=None,
        )
        for name, row in zip(names, rows, strict=True)
    ]
    write_table(folder / "ratings.parquet", RATINGS, as_arrow(RATINGS, ratings))
    for reward, judged in rewards.items():
        content = [
            {
                "candidate_id": name,
                "prompt_id": row.context,
                "turn": 0,
                "judge": "judge",
                "status": row.status,
                "cosine": row.reward,
                "rating_scaled": None if row.number is None else (2 * row.number - 11) / 9,
                "reward": row.reward,
            }
            for name, row in zip(names, judged, strict=True)
        ]
        table = pa.Table.from_pylist(content, schema=REWARDS.schema)
        write_table(folder / "rewards/base" / f"{reward}.parquet", REWARDS, table)
    exclusions = [folder / "pairs" / arm / "round1.exclusions.json" for arm in arms]
    metrics = [folder / "checkpoints" / arm / "round1" / "metrics.jsonl" for arm in arms]
    for counts, log in zip(exclusions, metrics, strict=True):
        counts.parent.mkdir(parents=True)
        counts.write_text(json.dumps(COUNTS), encoding="utf-8")
        log.parent.mkdir(parents=True)
        log.write_text("".join(json.dumps(row) + "\n" for row in steps), encoding="utf-8")
    settings = {"judge": "judge", "zeta": 1.0, "rating": "rating"}
    inputs = {
        "dialogues": [folder / "dialogues.parquet"],
        "ratings": [folder / "ratings.parquet"],
        "comparisons": [],
        "verdict": [],
        "split_leaks": [],
        "rewards": [folder / "rewards/base" / f"{reward}.parquet" for reward in rewards],
        "exclusions": exclusions,
        "metrics": metrics,
        "audits": [],
        "fine_tunings": [],
        "reward_models": [],
    }
    return Run(
        folder,
        inputs,
        rewards=dict.fromkeys(rewards, settings),
        arms={arm: {"reward": next(iter(rewards)), "loss": "sigmoid"} for arm in arms},
    )


def summary_of(folder: Path, rows: Sequence[Judged], **changes: Any) -> Run:
    run = run_of(folder, {"wim": rows}, **changes)
    run.write()
    return run


def test_the_rewards_figures_are_those_computed_by_hand(tmp_path: Path) -> None:
    reward = summary_of(tmp_path, BY_HAND).table["rewards"]["wim"]
    assert (reward["candidates"], reward["with_reward"], reward["comparisons"]) == (7, 6, 4)
    assert (reward["ties"]["count"], reward["ties"]["share"]) == (1, 0.25)
    # Differences of 0, 0.5, 0.5 and 0.5, five points each.
    assert reward["mean_delta"] == 1.875
    # Points 6.25, 6.25, 8.75, 5, 2.5 and 10.
    assert reward["mean"] == pytest.approx(38.75 / 6, rel=1e-5)
    # Squares 285.9375 less 38.75 squared / 6 are 35.677083, over 5.
    assert reward["sd"] == pytest.approx(7.1354167**0.5, rel=1e-5)


def test_agreement_is_over_what_the_number_does_not_tie_and_ties_are_no_agreement(
    tmp_path: Path,
) -> None:
    reward = summary_of(tmp_path, BY_HAND).table["rewards"]["wim"]
    assert (reward["number_ties"]["count"], reward["number_ties"]["n"]) == (1, 4)
    assert (reward["agreement"]["count"], reward["agreement"]["n"]) == (1, 3)
    counted = reward["agreement_ties_counted"]
    assert (counted["count"], counted["n"], counted["share"]) == (2, 3, 0.666667)


def test_a_share_has_wilsons_interval() -> None:
    # p = 1/3, n = 3, z = 1.959964: (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)
    share = Share.of(1, 3)
    assert share.low == pytest.approx(0.061492, abs=1e-6)
    assert share.high == pytest.approx(0.792340, abs=1e-6)
    none = Share.of(0, 10)
    assert (none.share, none.low) == (0.0, 0.0)
    assert none.high == pytest.approx(0.277533, abs=1e-6)


def test_a_share_of_nothing_is_undefined() -> None:
    share = Share.of(0, 0)
    assert (share.share, share.low, share.high) == (None, None, None)


def test_every_two_rows_of_a_context_are_compared_once() -> None:
    random = np.random.default_rng(0)
    context = random.integers(0, 40, 200)
    values = random.normal(size=(200, 1))
    found = np.concatenate([np.abs(part[:, 0]) for part in differences(values, context)])
    expected = [
        abs(float(values[one, 0] - values[other, 0]))
        for one, other in itertools.combinations(range(200), 2)
        if context[one] == context[other]
    ]
    assert np.sort(found).tolist() == sorted(expected)


def test_length_correlation_is_spearmans() -> None:
    # Two of four ranks swapped: 1 - 6 * 2 / (4 * 15).
    found = rank_correlation(np.array([1.0, 2, 3, 40]), np.array([1, 3, 2, 4]))
    assert found.value == pytest.approx(0.8)
    assert rank_correlation(np.array([1.0, 1.0]), np.array([1, 2])).value is None
    assert rank_correlation(np.array([]), np.array([])).value is None


def test_a_candidate_without_a_number_is_compared_but_says_nothing_of_agreement(
    tmp_path: Path,
) -> None:
    run = summary_of(tmp_path, [Judged("A", None, 0.5), Judged("A", 7, 0.25)])
    reward = run.table["rewards"]["wim"]
    assert (reward["comparisons"], reward["number_ties"]["n"], reward["agreement"]["n"]) == (
        1,
        0,
        0,
    )
    assert "judge `judge` gave no number to compare with" in run.text


def test_a_reward_that_is_no_mixture_is_called_what_it_is(tmp_path: Path) -> None:
    run = run_of(tmp_path, {"wim": [Judged("A", 7, 0.5), Judged("A", 6, 0.25)]})
    run.rewards = {"wim": {"judge": "judge", "kind": "random"}}
    run.write()
    assert run.table["rewards"]["wim"]["kind"] == "random"
    assert run.table["rewards"]["wim"]["zeta"] is None
    assert "**`wim`** (random) is a control: it prefers at random." in run.text


def test_a_reward_that_reads_no_judge_has_a_dash_and_is_said_so(tmp_path: Path) -> None:
    run = run_of(tmp_path, {"brief": [Judged("A", None, -5.0), Judged("A", None, -7.0)]})
    run.rewards = {"brief": {"kind": "brevity"}}
    run.inputs |= {"ratings": []}
    run.write()
    assert run.table["rewards"]["brief"]["judge"] is None
    assert "| `brief` | \N{EN DASH} |" in run.text
    assert "**`brief`** reads no judge, so there is no number to agree with." in run.text
    assert "judge `None`" not in run.text


def test_a_number_that_always_ties_is_said_so_plainly(tmp_path: Path) -> None:
    run = summary_of(tmp_path, [Judged("A", 7, 0.5), Judged("A", 7, 0.25)])
    assert "the number of judge `judge` ties on every comparison** (1): no agreement" in run.text
    assert run.table["rewards"]["wim"]["agreement"]["share"] is None


def test_where_nothing_is_usable_figures_are_undefined_and_not_zero(tmp_path: Path) -> None:
    rows = [Judged("A", 7, None, "echo"), Judged("A", 7, None, "error")]
    run = summary_of(tmp_path, rows, steps=[])
    reward = run.table["rewards"]["wim"]
    undefined = ("mean", "sd", "mean_delta", "length_spearman")
    assert [reward[name] for name in undefined] == [None] * 4
    assert reward["ties"] == {"count": 0, "n": 0, "share": None, "low": None, "high": None}
    assert run.table["training"]["first"]["loss_last"] is None
    row = next(line for line in run.text.splitlines() if line.startswith("| `wim` | `judge` |"))
    assert row.count("\N{EN DASH}") == 7
    assert "nothing can be compared" in run.text
    assert "nan" not in (run.text + json.dumps(run.table)).lower()


def test_statuses_are_counted_for_each_judge(tmp_path: Path) -> None:
    counts = summary_of(tmp_path, BY_HAND).table["statuses"]["judge"]
    assert (counts["ok"], counts["nothing_missing"], counts["echo"], counts["error"]) == (
        5,
        1,
        1,
        0,
    )


def test_critiques_are_counted_by_their_script(tmp_path: Path) -> None:
    wims = {
        "It gives no date.": "Latin",
        "Es fehlt das Datum.": "Latin",
        "缺少年份。": "Han",
        "年が書かれていません。": "Japanese",
        "Год не указан (year).": "Cyrillic",
        "उत्तर में वर्ष नहीं है।": "Devanagari",
        "لا يذكر السنة.": "Arabic",
        "연도가 빠져 있습니다.": "Hangul",
        "ไม่ได้ระบุปี": "Thai",
    }
    run = run_of(tmp_path, {"wim": [Judged("A", 7, 0.5)] * len(wims)})
    ratings = [rating(f"{n:032x}", judge="judge", wim=wim) for n, wim in enumerate(wims)]
    ratings.append(rating("f" * 32, judge="judge", status="nothing_missing", wim="无"))
    write_table(run.inputs["ratings"][0], RATINGS, as_arrow(RATINGS, ratings))
    run.write()
    assert run.table["scripts"] == {"judge": dict(Counter(sorted(wims.values())))}
    assert "### Critiques by script\n\n| judge | Latin | Arabic |" in run.text


def test_what_the_encoder_does_not_read_is_a_warning_on_top(tmp_path: Path) -> None:
    run = run_of(tmp_path, {"wim": BY_HAND})
    embedded = tmp_path / "embeddings.parquet"
    rows = [
        {"candidate_id": f"{n:032x}", "response_truncated": n < 2, "wim_unknown": float(n == 0)}
        for n in range(len(BY_HAND))
    ]
    write_table(embedded, embeddings_table(2), embeddings(rows))
    (tmp_path / "critique.jinja").write_text("What is missing?")
    audit = tmp_path / "judge.json"
    ratings = [
        rating(f"{n:032x}", judge="judge", status=row.status) for n, row in enumerate(BY_HAND)
    ]
    write_table(run.inputs["ratings"][0], RATINGS, as_arrow(RATINGS, ratings))
    audit_critiques(
        run.inputs["dialogues"],
        run.inputs["ratings"],
        [embedded],
        tmp_path / "critique.jinja",
        0,
        audit,
    )
    run.write("before")
    assert "does not read" not in run.output("before").text.read_text(encoding="utf-8")
    run.inputs["audits"] = [audit]
    run.write()
    warning = run.text.split("## Rewards")[0]
    assert "> - `judge`: 40 % of responses are longer than the encoder reads" in warning
    assert "> - `judge`: 1 of 5 critiques consist of tokens" in warning


def test_training_is_reported_from_first_to_last_step_and_on_held_out_pairs(tmp_path: Path) -> None:
    run = summary_of(tmp_path, BY_HAND)
    arm = run.table["training"]["first"]
    assert (arm["steps"], arm["loss_first"], arm["loss_last"]) == (2, 0.75, 0.5)
    assert (arm["margin_first"], arm["margin_last"], arm["accuracy_last"]) == (0.0, 0.25, 0.75)
    assert (arm["held_out_accuracy"], arm["held_out_margin"]) == (0.5, 0.125)
    assert (arm["pairs"], arm["excluded"]) == (COUNTS["pairs"], COUNTS["excluded"])
    assert "| first | 7 | pairs with equal rewards | 2 |" in run.text.replace("`", "")
    assert "| first | 7 | 5 | 2 | 3 | 1 |" in run.text.replace("`", "")
    assert arm["cut"] == COUNTS["cut"]


def test_the_flow_has_every_loss_by_its_cause_and_counts_that_add_up(tmp_path: Path) -> None:
    excluded = {
        "candidates with status echo": 2,
        "candidates that were cut at max_new_tokens": 1,
        "contexts with fewer than two rewards": 1,
        "pairs with equal rewards": 3,
        "comparisons that tie": 4,
    }
    arm: Any = SimpleNamespace(candidates=10, excluded=excluded, pairs={"train": 5, "eval": 2})
    candidates, pairs = steps_of(arm)
    assert (candidates.total, candidates.kept) == (10, {"usable": 7})
    assert (pairs.total, pairs.kept) == (14, {"to train on": 5, "held out": 2})
    lost = [*candidates.lost.items(), *pairs.lost.items(), *beside(arm).items()]
    assert dict(lost) == excluded and len(lost) == len(excluded)


def test_a_metric_that_was_not_finite_is_no_point_of_the_course() -> None:
    rows: list[dict[str, Any]] = [{"loss": None, "step": 1}, {"loss": 0.5, "step": 2}]
    assert training_course(rows, "sigmoid").loss == [(2, 0.5)]


def test_the_same_tables_give_the_same_bytes(tmp_path: Path) -> None:
    run = run_of(tmp_path, {"wim": BY_HAND, "other": BY_HAND}, arms=["first", "second"])
    run.write("one")
    run.write("two")
    for key, file in vars(run.output("one")).items():
        assert file.read_bytes() == getattr(run.output("two"), key).read_bytes()


def test_the_text_has_the_published_figures_and_what_they_do_not_say(tmp_path: Path) -> None:
    text = summary_of(tmp_path, BY_HAND).text
    for figure in (
        "42.78 %",
        "0.926",
        "6.65",
        "1.24",
        "2.00 %",
        "1.369",
        "7.53",
        "1.37",
        "57.22 %",
    ):
        assert figure in text
    assert "189,440" in text and "arXiv 2603.04429" in text
    assert "describe the rewards, not their quality" in text


def test_every_row_of_a_table_has_the_cells_of_its_header(tmp_path: Path) -> None:
    text = summary_of(tmp_path, BY_HAND).text.replace("\\|", "")
    tables = [block for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) == 7
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1


def test_the_figures_are_linked_from_the_text_and_are_svg(tmp_path: Path) -> None:
    run = summary_of(tmp_path, BY_HAND)
    for name in ("rewards.svg", "training.svg", "flow.svg"):
        assert f"]({name})" in run.text
        root = ElementTree.fromstring((run.output().text.parent / name).read_bytes())
        assert root.tag.endswith("svg")


def test_a_reward_is_compared_with_controls_where_both_decide(tmp_path: Path) -> None:
    contexts = ["p", "p", "q", "q", "r", "r"]
    rewards: dict[str, Sequence[Judged]] = {
        name: [Judged(context, 5, value) for context, value in zip(contexts, values, strict=True)]
        for name, values in {
            "wim": [0.1, 0.2, 0.3, 0.1, 0.5, 0.5 + 1e-7],
            "lot": [0.0, 1.0, 0.0, 1.0, 0.0, 1.0],
        }.items()
    }
    run = run_of(tmp_path, rewards)
    run.rewards["lot"] = {"judge": "judge", "kind": "random"}
    run.write()
    controls = run.table["controls"]["wim"]
    assert set(run.table["controls"]) == {"wim"}
    # Of p and q; in r the reward ties, but for rounding. Completions grow longer from row to row.
    for control in ("lot", "(longer completion)"):
        assert (controls[control]["count"], controls[control]["n"]) == (1, 2)
    assert "| reward | lot | (longer completion) |" in run.text


def test_a_run_without_arms_still_compares_its_rewards(tmp_path: Path) -> None:
    run = summary_of(tmp_path, BY_HAND, arms=[])
    assert run.table["training"] == {}
    assert run.table["rewards"]["wim"]["comparisons"] == 4


def test_a_reward_of_unknown_candidates_is_refused(tmp_path: Path) -> None:
    run = run_of(tmp_path, {"wim": BY_HAND})
    write_table(tmp_path / "dialogues.parquet", DIALOGUES, DIALOGUES.schema.empty_table())
    with pytest.raises(UserError, match=r"wim\.parquet: 7 candidates, first 0+, are in none"):
        run.write()


def test_metrics_that_are_not_json_are_named(tmp_path: Path) -> None:
    run = run_of(tmp_path, {"wim": BY_HAND})
    run.inputs["metrics"][0].write_text('{"loss": 0.5\n', encoding="utf-8")
    with pytest.raises(UserError, match=r"first/round1/metrics\.jsonl: not JSON"):
        run.write()


def test_a_line_says_which_rewards_were_measured_and_on_what() -> None:
    one = {"set": "gate: Natural.json", "pairs": "100", "accuracy": "0.61"}
    text = measured_text(["wim", "number"], {"number": [one], "gone": [one]})
    assert text.strip().splitlines() == [
        "Measured, by how often the better response has the higher reward: `number` 0.61 on gate: "
        "Natural.json (100 pairs); not measured: `wim`."
    ]
    assert "None of these rewards has been measured" in measured_text(["wim"], {})
    assert measured_text([], {}) == ""
