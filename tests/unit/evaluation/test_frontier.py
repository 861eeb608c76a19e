"""Frontiers: the concave hull and its area, the course of a curve, and the page and figure of it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy.spatial import ConvexHull

from wim.errors import UserError
from wim.evaluation.evaluation_text import evaluation_text
from wim.evaluation.frontier import Place, area_under, by_falling_beta, frontier, reachable
from wim.evaluation.frontier_figure import draw_frontier
from wim.settings.frontier import curves_of
from wim.settings.load import load_config

POINT = st.tuples(st.floats(0.01, 50), st.floats(-5, 5))


def test_the_hull_begins_at_the_start_and_leaves_out_what_a_mixture_beats() -> None:
    points = [(1.0, 1.0), (2.0, 1.2), (4.0, 3.0), (5.0, 2.0), (6.0, -1.0)]
    assert reachable(points) == [(0.0, 0.0), (1.0, 1.0), (4.0, 3.0)]
    assert reachable([(1.0, -1.0)]) == [(0.0, 0.0)]
    assert reachable([(0.0, -2.0), (0.0, 3.0), (1.0, 2.0)]) == [(0.0, 3.0)]


@hypothesis_settings(deadline=None)
@given(st.lists(POINT, min_size=1, max_size=8))
def test_the_hull_is_scipys_and_every_point_is_on_or_below_it(points: list[Any]) -> None:
    hull = reachable(points)
    kls, gains = zip(*hull, strict=True)
    assert all(gain <= np.interp(kl, kls, gains) + 1e-9 for kl, gain in points)
    assert list(kls) == sorted(set(kls)) and list(gains) == sorted(set(gains))
    # With the gain kept beyond the largest divergence, and a floor, the hulls enclose one area.
    end, floor = 60.0, -10.0
    corners = [*points, (0.0, 0.0), (0.0, floor), (end, floor), (end, max(gains))]
    expected = ConvexHull(corners).volume - end * -floor
    assert area_under(points, end) * end == pytest.approx(expected, abs=1e-6)


def test_the_area_is_the_mean_gain_within_the_limit() -> None:
    # A straight line to (2, 4): half of 4 up to 2, half of 2 up to 1, and 4 from then on.
    assert area_under([(2.0, 4.0)], 2.0) == pytest.approx(2.0)
    assert area_under([(2.0, 4.0)], 1.0) == pytest.approx(1.0)
    assert area_under([(2.0, 4.0)], 4.0) == pytest.approx(3.0)
    assert area_under([(2.0, -4.0)], 4.0) == 0.0


PROMPTS = [f"p{number}" for number in range(40)]


def values(**gains: float) -> dict[str, dict[str, float]]:
    """Rewards by speaker and prompt: those of base vary, and each speaker adds its gain."""
    base = {prompt: float(number % 7) for number, prompt in enumerate(PROMPTS)}
    return {
        "base": base,
        **{
            name: {prompt: value + gain + 0.1 * (len(prompt) % 2) for prompt, value in base.items()}
            for name, gain in gains.items()
        },
    }


PLACES = {
    "low": Place("sigmoid", 0.1, 4.0),
    "high": Place("sigmoid", 5.0, 0.5),
    "middle": Place("sigmoid", 1.0, 2.0),
    "other": Place("slic", 1.0, 1.0),
}


def test_a_curve_that_rises_with_1_over_beta_is_said_to() -> None:
    found = frontier(values(low=3.0, high=1.0, middle=2.0, other=0.5), PLACES, None, 0)
    one = found["curves"]["sigmoid"]
    assert list(one["points"]) == ["high", "middle", "low"]
    assert one["reward_with_1_over_beta"]["value"] == one["kl_with_1_over_beta"]["value"] == 1.0
    assert one["from_largest_beta"]["rise"]["value"] == pytest.approx(2.0)
    assert (
        one["from_largest_beta"]["shown"]
        and not found["curves"]["slic"]["from_largest_beta"]["shown"]
    )
    assert found["kl_limit"] == 4.0 and found["order"] == ["sigmoid", "slic"]
    area = one["area"]
    assert area["low"] <= area["value"] <= area["high"]


def test_a_curve_that_falls_is_not_said_to_rise() -> None:
    found = frontier(values(low=-3.0, high=1.0, middle=0.0, other=2.0), PLACES, 10.0, 0)
    one = found["curves"]["sigmoid"]
    assert one["reward_with_1_over_beta"]["value"] == -1.0
    assert one["from_largest_beta"]["rise"]["value"] == pytest.approx(-4.0)
    assert found["order"] == ["slic", "sigmoid"] and found["kl_limit"] == 10.0


def test_repeats_by_seed_are_one_end_of_a_curve() -> None:
    places = {**PLACES, "again": Place("sigmoid", 0.1, 5.0)}
    found = frontier(values(low=3.0, again=1.0, high=1.0, middle=1.0, other=0.0), places, None, 0)
    assert found["curves"]["sigmoid"]["from_largest_beta"]["rise"]["value"] == pytest.approx(1.0)


def test_without_scores_a_curve_has_no_area_and_nothing_is_shown() -> None:
    scores: dict[str, dict[str, float]] = {**values(low=1.0, middle=1.0, other=1.0), "high": {}}
    found = frontier(scores, PLACES, None, 0)
    assert found["curves"]["sigmoid"]["points"]["high"]["gain"]["value"] is None
    assert not found["curves"]["sigmoid"]["from_largest_beta"]["shown"]
    assert found["curves"]["sigmoid"]["area"]["value"] is not None


def figures() -> dict[str, Any]:
    """An evaluation's figures as its file has them."""
    estimate = {"value": 1.0, "low": 0.5, "high": 1.5, "n": 40}
    kl = {
        name: {
            "answer": {
                **estimate,
                "value": place.kl,
                "low": place.kl - 0.1,
                "high": place.kl + 0.1,
            },
            "token": 0.1,
            "reverse_token": 0.2,
            "tokens": 10,
        }
        for name, place in PLACES.items()
    }
    of = frontier(values(low=3.0, high=1.0, middle=2.0, other=0.5), PLACES, None, 0)
    return {
        **{"evaluation": "one", "kind": "frontier", "reference": "base", "by": None},
        **{"prompts": 40, "leaks": {"file": "l", "what": "report"}, "kl": kl},
        **{"frontier": {"bre$vity": of}, "rewards": {}, "unanswered": {}, "tokens": {}},
    }


def test_the_page_says_the_course_the_order_and_every_point(tmp_path: Path) -> None:
    text = evaluation_text(figures())
    assert "sigmoid: from beta 5 to 0.1 the reward rises by 2.00" in text
    assert "slic: one beta, so no course" in text
    assert "up to 4 nats: sigmoid, slic." in text
    assert "| sigmoid | `low` | 0.1 |" in text


def test_the_figure_has_the_same_bytes_again(tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        draw_frontier(figures(), tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def settings(**more: Any) -> dict[str, Any]:
    return {
        "rewards": {"length": {"kind": "length"}},
        "arms": {"alone": {"reward": "length", "training": {"loss": "slic"}}},
        "grid": {
            "g": {
                "reward": "length",
                "training.loss": ["sigmoid", "lrml"],
                "training.beta": [0.1, 1.0],
                "seed": [1, 2],
            }
        },
        "evaluations": {"f": {"kind": "frontier", **more}},
    }


def test_arms_that_differ_in_beta_or_the_seed_are_on_one_curve() -> None:
    curves = curves_of(load_config(settings(), "config"), "f")
    assert curves["alone"] == {"curve": "slic", "beta": 0.1}
    named = {name: one["curve"] for name, one in curves.items()}
    assert named["g-sigmoid-beta0.1-seed1"] == named["g-sigmoid-beta1-seed2"] == "sigmoid"
    assert named["g-lrml-beta1-seed1"] == "lrml"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"speakers": ["base"]}, "evaluations.f.speakers: found no arm"),
        ({"reference": "alone"}, "evaluations.f.reference: found 'alone', and a frontier begins"),
        ({"reference": "references"}, "found 'references', and a frontier begins"),
        ({"reward": "length"}, "the kind frontier compares means"),
    ],
)
def test_a_frontier_that_cannot_be_drawn_is_refused(more: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        load_config(settings(**more), "config")


def test_the_limit_belongs_to_frontiers() -> None:
    with pytest.raises(UserError, match="kl_limit belongs to the kind frontier"):
        load_config(settings(kind="reward", kl_limit=3.0), "config")


def test_arms_of_a_frontier_start_where_it_begins() -> None:
    written = settings()
    written["models"] = {"other": {"source": "path:other"}}
    written["arms"]["alone"]["start"] = "other"
    with pytest.raises(UserError, match="'base', and alone did not start from it"):
        load_config(written, "config")


def test_points_come_by_falling_beta_whatever_the_order_of_their_names() -> None:
    curve = {"points": {f"g-{beta}": {"beta": beta} for beta in (0.1, 10.0, 2.5)}}
    assert [speaker for speaker, _ in by_falling_beta(curve)] == ["g-10.0", "g-2.5", "g-0.1"]
