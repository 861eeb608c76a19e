"""The figures of a reward on pairs, and the reward that a study speaks for."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from support.builders import rating
from wim.errors import UserError
from wim.evaluation.judged_pairs import LabelledPair
from wim.evaluation.study.choice import chosen
from wim.evaluation.study.labelled import labelled_figures
from wim.evaluation.study.measure import Measured, Pairs, credits, measured
from wim.settings.critique_rewards import NamedReward
from wim.tables.files import as_arrow, write_table
from wim.tables.schemas import PANELS, RATINGS, REWARDS

NAN = float("nan")


def figures(leads: list[float], longer: list[float], cosine: list[float]) -> Measured:
    pairs = Pairs(
        prompts=[f"p{place // 2}" for place in range(len(leads))],
        subsets=["one" if place % 2 else "two" for place in range(len(leads))],
        longer=np.array(longer),
        cosine=np.array(cosine),
    )
    return measured(pairs, np.array(leads), "j", 10.0)


def test_a_tie_counts_half_and_a_pair_without_a_reward_not_at_all() -> None:
    assert credits(np.array([0.5, 1e-9, -2.0, NAN])).tolist()[:3] == [1.0, 0.5, 0.0]
    one = figures([1, 1, 0, -1, NAN, 1], [1, -1, -1, 1, 1, -1], [1, 1, -1, -1, 1, NAN])
    assert (one.pairs, one.judged, one.prompts) == (6, 5, 3)
    assert one.accuracy.value == pytest.approx(3.5 / 5)
    assert one.ties.value == pytest.approx(1 / 5)
    assert one.less_length.value == pytest.approx(3.5 / 5 - 2 / 5)
    assert one.less_cosine.value == pytest.approx(2.5 / 4 - 2 / 4)
    assert one.less_cosine.n == 4
    assert one.better_is_longer.value == pytest.approx(1 / 2)
    assert one.better_is_shorter.value == pytest.approx(2.5 / 3)
    assert one.prefers_longer.value == pytest.approx((1 + 0 + 0.5 + 0 + 0) / 5)
    assert one.subsets["one"].n == 3
    assert one.subsets["two"].n == 2


def test_pairs_of_one_prompt_are_drawn_together() -> None:
    draws = np.random.default_rng(0)
    leads = np.repeat(draws.choice([1.0, -1.0], 40), 10)
    grouped = Pairs([str(place // 10) for place in range(400)], [""] * 400, leads, leads)
    alone = Pairs([str(place) for place in range(400)], [""] * 400, leads, leads)
    widths = [
        one.high - one.low  # type: ignore[operator]
        for pairs in (grouped, alone)
        for one in [measured(pairs, leads, "j", None).accuracy]
    ]
    assert widths[0] > 2.5 * widths[1]


def test_what_several_judgements_buy_is_told_against_one_of_them() -> None:
    singles = np.array([[1.0, -0.5], [1.0, 1.0], [-1.0, -1.0], [2.0, NAN]])
    pairs = Pairs(list("abcd"), [""] * 4, np.ones(4), np.ones(4))
    one = measured(pairs, np.nanmean(singles, axis=1), "j", None, singles)
    assert one.samples == 2
    assert one.accuracy.value == pytest.approx(3 / 4)
    assert (one.over_one.value, one.over_one.n) == (pytest.approx((0.5 + 0 + 0) / 3), 3)
    assert one.same_winner.value == pytest.approx(2 / 3)
    assert figures([1.0, 1.0], [1, 1], [1, 1]).over_one.n == 0


def of_set(right: float, length: float, cosine: float, pairs: int = 300) -> Measured:
    """A reward that is right so often, where length and the cosine are so often."""

    def leads(share: float, turn: int) -> list[float]:
        draws = np.random.default_rng(turn).permutation(pairs)
        return np.where(draws < share * pairs, 1.0, -1.0).tolist()

    return figures(leads(right, 1), leads(length, 2), leads(cosine, 3))


def test_the_choice_is_proven_against_length_and_cosine_on_the_most_sets() -> None:
    weak, strong = of_set(0.62, 0.6, 0.5), of_set(0.8, 0.6, 0.5)
    best, less = of_set(0.9, 0.5, 0.5), of_set(0.85, 0.5, 0.5)
    length = of_set(0.99, 0.5, 0.5)
    studied = {
        "one": {"(longer response)": length, "a": weak, "b": strong},
        "two": {"(longer response)": length, "a": best, "b": less},
    }
    choice = chosen(studied)
    assert (choice.reward, choice.proven, choice.sets, choice.tried) == ("b", ["one", "two"], 2, 2)


def test_none_is_chosen_where_none_beats_both() -> None:
    studied = {"one": {"a": of_set(0.8, 0.82, 0.5), "b": of_set(0.8, 0.5, 0.8)}}
    assert chosen(studied).reward is None


def test_labels_that_are_all_ties_are_refused_in_words() -> None:
    tie = LabelledPair("p", ({"role": "user", "content": "Why?"},), "a", "b", "tie")
    with pytest.raises(UserError, match="found 1 pairs, each labelled a tie"):
        labelled_figures([tie], [], [], {})


def test_a_judge_is_compared_with_its_own_cosine_alone_also_where_it_has_samples(
    tmp_path: Path,
) -> None:
    pairs = [
        LabelledPair(f"p{n}", ({"role": "user", "content": f"{n}?"},), "a", f"b {n}", "a")
        for n in range(8)
    ]

    def table(name: str, judge: str, right: int, members: Sequence[str] = (), **own: Any) -> Path:
        rows = []
        for place, pair in enumerate(pairs):
            for better, candidate in zip((1.0, 0.0), pair.candidates, strict=True):
                value = better if place < right else -better
                row = {
                    **{"candidate_id": candidate.candidate_id, "prompt_id": "p", "turn": 1},
                    **{"judge": judge, "status": "ok", "cosine": own.get("cosine") and value},
                    **{"rating_scaled": None, "reward": value},
                }
                one = {"judge": judge, "status": "ok", "reward": value}
                parts = [{"member": member, **one} for member in members]
                if members:
                    row |= {"with_reward": len(parts), "members": parts}
                rows.append(row)
        of = PANELS if members else REWARDS
        write_table(tmp_path / f"{name}.parquet", of, pa.Table.from_pylist(rows, schema=of.schema))
        return tmp_path / f"{name}.parquet"

    tables = [
        table("wim", "once", 8, cosine=True),
        table("number", "twice", 4, ("1", "2")),
        table("cosine", "twice", 2, ("1", "2")),
        table("alone", "other", 4),
        table("panel", "once+twice", 4, ("1", "2")),
    ]
    settings = {
        "wim": NamedReward(judge="once", zeta=1.0),
        "number": NamedReward(judge="twice", zeta=0.0),
        "cosine": NamedReward(judge="twice", zeta=1.0),
        "alone": NamedReward(judge="other", zeta=0.0),
        "panel": NamedReward(kind="panel", of=["1", "2"]),
    }
    ratings = tmp_path / "ratings.parquet"
    write_table(ratings, RATINGS, as_arrow(RATINGS, [rating()]))
    found = labelled_figures(pairs, tables, [ratings], settings)
    # Not above that of `once`, which is 1 on these pairs.
    assert found["number"].less_cosine.value == pytest.approx(4 / 8 - 2 / 8)
    assert found["number x 2"].less_cosine.value == pytest.approx(4 / 8 - 2 / 8)
    assert found["alone"].less_cosine.n == 0
    # Members of a panel may be called 1 and 2, and are no samples.
    assert "panel x 1" not in found
    assert "number x 1" in found
