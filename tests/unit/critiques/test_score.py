"""Rewards that read the critique: ties that it breaks, lacks alone, and what length costs."""

from fractions import Fraction
from itertools import pairwise

import pandas as pd
import pytest
from pydantic import ValidationError

from wim.critiques.score import TIE, lack_shares, rewards_by_critique
from wim.settings.critique_rewards import NamedReward
from wim.settings.rewards import RewardSettings

GOOD, POOR = "It is clear.", "It lacks a date. It is vague."


def frame(**columns: object) -> pd.DataFrame:
    """Judgements: the same number twice with other critiques, nothing missing, and a failure."""
    found = pd.DataFrame(
        {
            "candidate_id": ["a", "b", "c", "d"],
            "prompt_id": "p",
            "turn": 1,
            "judge": "j",
            "status": ["ok", "ok", "nothing_missing", "truncated"],
            "rating": [7.0, 7.0, 7.0, 9.0],
            "rating_expected": [7.1, 6.9, 7.0, 9.0],
            "nothing_missing_logprob": float("nan"),
            "completion_tokens": [100, 200, 300, 400],
            "wim": [GOOD, POOR, None, None],
        }
    ).assign(**columns)
    return found.assign(lack_share=lack_shares(found))


def rewards(settings: NamedReward, judged: pd.DataFrame) -> list[float]:
    return list(rewards_by_critique(judged, None, settings)["reward"])


def test_ties_are_decided_by_the_share_of_lacks_and_no_number_is_outweighed() -> None:
    a, b, c, d = rewards(NamedReward(judge="j", zeta=0.0, ties="lack_share"), frame())
    assert a == c == pytest.approx(b + TIE)
    assert pd.isna(d)
    worse = frame(rating=[6.0, 7.0, 7.0, 9.0])
    a, b, _, _ = rewards(NamedReward(judge="j", zeta=0.0, ties="lack_share"), worse)
    assert a < b


def test_a_negated_number_breaks_its_ties_the_other_way() -> None:
    settings = NamedReward(judge="j", kind="negated", zeta=0.0, ties="lack_share")
    a, b, _, _ = rewards(settings, frame())
    assert a == pytest.approx(b - TIE)


def test_ties_by_a_head_stay_within_what_a_tie_may_add() -> None:
    settings = NamedReward(judge="j", zeta=0.0, ties="critique_head", learns_from=["x"])
    a, b, c, _ = rewards(settings, frame(head=[50.0, -50.0, float("nan"), 1.0]))
    assert a - b == pytest.approx(TIE)
    assert a - c == pytest.approx(TIE / 2)


def test_lacks_alone_are_a_reward_for_judges_that_give_one_number() -> None:
    assert rewards(NamedReward(judge="j", kind="lack_share"), frame())[:3] == [0.0, -1.0, 0.0]


def test_a_critique_that_no_head_can_read_has_no_reward_and_says_so() -> None:
    settings = NamedReward(judge="j", kind="critique_head", learns_from=["x"])
    rows = rewards_by_critique(frame(head=[1.5, float("nan"), 2.0, 9.0]), None, settings)
    assert rows["status"].tolist() == ["ok", "unreadable", "nothing_missing", "truncated"]
    assert rows["reward"].isna().tolist() == [False, True, False, True]


def test_length_is_taken_off_by_the_hundred_tokens() -> None:
    plain, less = (
        rewards(NamedReward(judge="j", zeta=0.0, length_penalty=penalty), frame())
        for penalty in (0.0, 0.5)
    )
    assert [a - b for a, b in zip(plain, less, strict=True)][:3] == pytest.approx([0.5, 1.0, 1.5])


@pytest.mark.parametrize(
    "settings",
    [
        {"judge": "j", "zeta": 0.4},
        {"judge": "j", "zeta": 0.0, "rating": "rating_expected"},
        {"kind": "length"},
        {"judge": "j", "kind": "random"},
        {"kind": "panel", "of": ["a", "b"], "by": "median", "at_least": 2},
        {"judge": "j", "kind": "shuffled_wim", "zeta": 1.0},
    ],
)
def test_rewards_of_former_kinds_have_their_former_identity(settings: dict[str, object]) -> None:
    former, now = RewardSettings(**settings), NamedReward(**settings)  # type: ignore[arg-type]
    assert now.identity(3) == former.identity(3)
    assert now.reads == former.reads


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"judge": "j", "zeta": 0.5, "ties": "lack_share"}, "decides between equal numbers"),
        (
            {"judge": "j", "zeta": 0.0, "ties": "lack_share", "rating": "rating_expected"},
            "no two means",
        ),
        ({"judge": "j", "kind": "critique_head"}, "learns_from is missing"),
        ({"judge": "j", "zeta": 0.0, "learns_from": ["x"]}, "ignores learns_from"),
        ({"kind": "lack_share"}, "judge is missing"),
        ({"judge": "j", "kind": "lack_share", "zeta": 1.0}, "ignores zeta"),
        ({"kind": "panel", "of": ["a", "b"], "length_penalty": 1.0}, "ignores length_penalty"),
        ({"judge": "j"}, "zeta is missing"),
    ],
)
def test_settings_without_effect_are_refused(settings: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        NamedReward(**settings)  # type: ignore[arg-type]


def test_a_critique_outweighs_no_difference_of_means_even_where_a_judgement_failed() -> None:
    numbers = range(1, 11)
    means = {
        Fraction(total, count)
        for count in range(1, 11)
        for total in range(count * min(numbers), count * max(numbers) + 1)
    }
    ordered = sorted(means)
    closest = min(b - a for a, b in pairwise(ordered))
    # Numbers of 1 to 10 are scaled to -1 to 1.
    assert float(closest) * 2 / 9 > TIE
