"""Bradley-Terry strengths, against two independent libraries and what is known of such fits."""

import math

import choix
import evalica
import numpy as np
import pytest
import statsmodels.api as sm

from wim.evaluation.compared.bradley_terry import Game, NoStrengthsError, bradley_terry, elo
from wim.evaluation.compared.style import FEATURES, Style, style_features, style_of

SPEAKERS = ["a", "b", "c", "d", "e"]


def game(first: str, second: str, score: float, prompt: int = 0, **more: object) -> Game:
    return Game(prompt_id=f"{prompt}", first=first, second=second, score=score, **more)  # type: ignore[arg-type]


def tournament(seed: int, prompts: int = 120, ties: float = 0.15, style: float = 0.0) -> list[Game]:
    """Every two of five speakers on each prompt; longer answers are preferred with `style`."""
    generator = np.random.default_rng(seed)
    strength = dict(zip(SPEAKERS, generator.normal(0, 0.8, 5), strict=True))
    games = []
    for prompt in range(prompts):
        for place, first in enumerate(SPEAKERS):
            for second in SPEAKERS[:place]:
                # Better speakers are also longer, so that their strengths are confounded.
                lead = generator.normal(0.3 * (strength[first] - strength[second]), 0.3)
                logit = strength[first] - strength[second] + style * lead
                score = float(generator.random() < 1 / (1 + math.exp(-logit)))
                if generator.random() < ties:
                    score = 0.5
                games.append(game(first, second, score, prompt, features=(lead,)))
    return games


def values(games: list[Game], **options: object) -> list[float]:
    found = bradley_terry(games, 0, **options)  # type: ignore[arg-type]
    return [found.strengths[name].value for name in SPEAKERS]


@pytest.mark.parametrize("seed", range(3))
def test_strengths_agree_with_choix(seed) -> None:
    games = tournament(seed)
    place = {name: number for number, name in enumerate(SPEAKERS)}
    wins = []
    for one in games:
        first, second = place[one.first], place[one.second]
        wins += [(first, second)] * int(2 * one.score) + [(second, first)] * int(2 - 2 * one.score)
    expected = choix.opt_pairwise(5, wins, tol=1e-12)
    assert values(games) == pytest.approx(expected - expected.mean(), abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_strengths_agree_with_evalica(seed) -> None:
    games = tournament(seed)
    winner = {1.0: evalica.Winner.X, 0.0: evalica.Winner.Y, 0.5: evalica.Winner.Draw}
    scores = evalica.bradley_terry(
        [one.first for one in games],
        [one.second for one in games],
        [winner[one.score] for one in games],
        tolerance=1e-14,
        limit=10_000,
    ).scores
    expected = np.log([scores[name] for name in SPEAKERS])
    assert values(games) == pytest.approx(expected - expected.mean(), abs=1e-6)


def test_strengths_with_style_agree_with_statsmodels() -> None:
    games = tournament(1, style=1.5)
    found = bradley_terry(games, 0, features=["length"], anchor="a")
    design = np.zeros((len(games), 5))
    for row, one in enumerate(games):
        for name, sign in ((one.first, 1), (one.second, -1)):
            if name != "a":
                design[row, SPEAKERS.index(name) - 1] += sign
    lead = np.array([one.features[0] for one in games])
    design[:, 4] = lead / np.sqrt((lead**2).mean())
    scores = np.array([one.score for one in games])
    expected = sm.GLM(scores, design, family=sm.families.Binomial()).fit(tol=1e-12).params
    assert [found.strengths[name].value for name in SPEAKERS[1:]] == pytest.approx(
        expected[:4], abs=1e-6
    )
    assert found.style["length"].value == pytest.approx(expected[4], abs=1e-6)
    assert found.strengths["a"].value == 0


def test_two_speakers_differ_by_the_log_odds_of_their_wins() -> None:
    games = [game("a", "b", float(number < 30), number) for number in range(40)]
    found = bradley_terry(games, 0).strengths
    assert found["a"].value - found["b"].value == pytest.approx(math.log(3), abs=1e-9)


def test_a_cycle_of_equal_counts_has_equal_strengths() -> None:
    games = [
        game(first, second, score, number)
        for number in range(10)
        for first, second in (("a", "b"), ("b", "c"), ("c", "a"))
        for score in (1.0, 1.0, 0.0)
    ]
    assert [one.value for one in bradley_terry(games, 0).strengths.values()] == pytest.approx(
        [0, 0, 0], abs=1e-9
    )


def test_a_tie_is_half_a_win_of_each() -> None:
    games = tournament(2)
    halves = [
        game(one.first, one.second, score, weight=0.5)
        for one in games
        for score in ((1.0, 0.0) if one.score == 0.5 else (one.score, one.score))
    ]
    assert values(games) == pytest.approx(values(halves), abs=1e-9)


def test_a_weight_counts_as_so_many_games() -> None:
    games = tournament(3)
    thrice = [game(one.first, one.second, one.score, weight=3.0) for one in games[:100]]
    assert values(thrice + games[100:]) == pytest.approx(
        values(games[:100] * 3 + games[100:]), abs=1e-9
    )


def test_who_is_named_first_does_not_matter() -> None:
    games = tournament(4, style=1.0)
    turned = [
        game(one.second, one.first, 1 - one.score, int(one.prompt_id), features=(-one.features[0],))
        for one in games
    ]
    assert values(games, features=["length"]) == pytest.approx(
        values(turned, features=["length"]), abs=1e-9
    )


def test_style_control_gives_the_strengths_at_equal_style() -> None:
    free = values(tournament(5, 400, 0.0))
    biased = tournament(5, 400, 0.0, style=3.0)
    without, controlled = values(biased), values(biased, features=["length"])
    assert np.ptp(without) > np.ptp(free) + 0.5
    assert np.ptp(controlled) == pytest.approx(np.ptp(free), abs=0.3)


def test_a_feature_that_is_always_0_has_no_weight() -> None:
    games = [
        game(one.first, one.second, one.score, int(one.prompt_id), features=(0.0,))
        for one in tournament(1)
    ]
    found = bradley_terry(games, 0, features=["length"])
    assert found.style["length"].value is None
    assert found.strengths["b"].value == pytest.approx(values(games)[1], abs=1e-12)


def widths(games: list[Game]) -> np.ndarray:
    found = bradley_terry(games, 0).strengths.values()
    return np.array([one.high - one.low for one in found])


def test_twice_the_prompts_narrow_the_interval_by_the_root_of_2() -> None:
    games = tournament(6)
    others = [game(g.first, g.second, g.score, int(g.prompt_id) + 1000) for g in games]
    assert (widths(games) / widths(games + others)).mean() == pytest.approx(2**0.5, rel=0.05)


def test_twice_the_games_of_the_same_prompts_leave_the_interval_as_it_is() -> None:
    games = tournament(6)
    assert widths(games * 2) == pytest.approx(widths(games), rel=0.01)


def test_elo_points_are_400_for_odds_of_ten_to_one() -> None:
    assert elo(math.log(10)) == pytest.approx(400)


def test_speakers_that_never_met_are_refused_by_name() -> None:
    games = [game("a", "b", 1), game("a", "b", 0), game("c", "d", 1), game("c", "d", 0)]
    with pytest.raises(NoStrengthsError, match=r"never met.*a, b; c, d"):
        bradley_terry(games, 0)


def test_a_speaker_that_always_won_is_refused_by_name() -> None:
    games = [game("a", "b", 1, n) for n in range(5)] + [game("b", "c", n % 2, n) for n in range(6)]
    with pytest.raises(NoStrengthsError, match=r"always won.*a"):
        bradley_terry(games, 0)


def test_games_of_a_speaker_with_itself_do_not_count() -> None:
    games = tournament(1)
    assert values([*games, game("a", "a", 0.5)]) == values(games)
    with pytest.raises(NoStrengthsError, match="no game"):
        bradley_terry([game("a", "a", 0.5)], 0)


def test_where_resamples_are_often_undecided_there_is_no_interval() -> None:
    games = [game("a", "b", float(number > 0), number) for number in range(8)]
    found = bradley_terry(games, 0)
    assert found.unbounded > 0.2
    assert found.strengths["a"].value == pytest.approx(math.log(7) / 2)
    assert found.strengths["a"].low is None


@pytest.mark.parametrize("swapped", [False, True])
def test_that_a_speaker_always_won_in_a_resample_is_seen_whoever_is_named_first(swapped) -> None:
    games = [
        game("b", "a", float(number == 0), number)
        if swapped
        else game("a", "b", float(number > 0), number)
        for number in range(200)
    ]
    found = bradley_terry(games, 0)
    assert found.unbounded == pytest.approx((1 - 1 / 200) ** 200, abs=0.15)
    assert found.strengths["a"].high is None


def test_a_game_without_the_features_is_refused() -> None:
    with pytest.raises(ValueError, match="features length"):
        bradley_terry([game("a", "b", 1)], 0, features=["length"])


# Style.


def test_style_counts_markdown_outside_of_code() -> None:
    answer = "# One\n\n- a\n* b\n1. c\n\n**bold** and __too__\n```\n# no\n- no\n**no**\n```\n"
    assert style_of(answer, 50) == Style(length=50, headers=1, lists=3, bold=2)


def test_features_of_style_are_antisymmetric_and_0_of_equal_styles() -> None:
    one, other = Style(100, 2, 5, 1), Style(40, 0, 1, 0)
    assert style_features(one, one) == (0, 0, 0, 0)
    assert style_features(one, other) == tuple(-each for each in style_features(other, one))
    a, b = 2 / 101, 0.0
    assert style_features(one, other)[:2] == pytest.approx((60 / 140, (a - b) / (a + b + 1)))
    assert len(style_features(one, other)) == len(FEATURES)
    assert style_features(Style(0, 0, 0, 0), Style(0, 0, 0, 0))[0] == 0
