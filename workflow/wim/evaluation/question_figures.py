"""The figures of an evaluation by questions of several turns: grades, or wins in pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from typing import Any

from wim.evaluation.compared.bootstrap import mean_over
from wim.evaluation.compared.paired import Difference, difference, difference_from
from wim.evaluation.compared.verdicts import verdicts
from wim.evaluation.formats.fastchat import PairwiseJudgement, SingleJudgement
from wim.evaluation.mt_bench import CREDIT, pair_scores, single_scores
from wim.evaluation.question_judgements import AnsweredQuestions

EVEN = 0.5
Scores = dict[str, float]


def answer_figures(answered: AnsweredQuestions, seed: int) -> dict[str, Any]:
    """What every speaker answered: how long, how many turns not at all, and how many were cut."""
    return {
        "turns": answered.turns,
        "unanswered": {name: answered.turns - len(of) for name, of in answered.answers.items()},
        "cut": {name: answered.cut(name) for name in answered.answers},
        "tokens": {
            name: asdict(
                mean_over(
                    [row.completion_tokens for row in of.values()],
                    [prompt for prompt, _ in of],
                    seed,
                )
            )
            for name, of in answered.answers.items()
        },
    }


def single_figures(
    judgements: Sequence[SingleJudgement], answered: AnsweredQuestions, seed: int
) -> dict[str, Any]:
    """Each speaker's grades, and the paired differences of every two over the turns of both.

    Intervals draw questions, each with all its turns.
    """
    reference = next(iter(answered.answers))
    found = {one.model: one for one in single_scores(judgements, answered.categories, seed)}
    scores: dict[str, Scores] = {name: {} for name in answered.answers}
    clusters: dict[str, str] = {}
    for one in judgements:
        if one.score is not None:
            scores[one.model][_turn(one)] = one.score
            clusters[_turn(one)] = one.question_id
    against = {
        name: difference(of, scores[reference], seed, clusters)
        for name, of in scores.items()
        if name != reference
    }
    said = verdicts(against, reference, "bootstrap", percent=False)
    speakers = {}
    for name in answered.answers:
        if name not in found:
            continue
        speakers[name] = asdict(found[name])
        if name in against:
            speakers[name] |= {"difference": asdict(against[name]), "verdict": asdict(said[name])}
    return {"speakers": speakers, "between": _between(list(against), scores, clusters, seed)}


def pair_figures(
    judgements: Sequence[PairwiseJudgement], answered: AnsweredQuestions, seed: int
) -> dict[str, Any]:
    """Each speaker's wins against the reference, and the paired differences of every two."""
    reference, *others = answered.answers
    found = {
        one.model: one for one in pair_scores(judgements, answered.categories, seed, reference)
    }
    scores: dict[str, Scores] = {name: {} for name in others}
    clusters: dict[str, str] = {}
    for one in judgements:
        if one.in_order is not None and one.swapped is not None:
            agreed = one.in_order if one.in_order == one.swapped else "tie"
            scores[one.model_1][_turn(one)] = CREDIT[agreed]
            clusters[_turn(one)] = one.question_id
    against = {name: difference_from(of, EVEN, seed, clusters) for name, of in scores.items()}
    said = verdicts(against, reference)
    speakers = {
        name: {**asdict(found[name]), "verdict": asdict(said[name])}
        for name in others
        if name in found
    }
    between = _between(others, scores, clusters, seed, pairs=True)
    return {"speakers": speakers, "between": between}


def _turn(one: SingleJudgement | PairwiseJudgement) -> str:
    return f"{one.question_id}/{one.turn}"


def _between(
    names: Sequence[str],
    scores: Mapping[str, Scores],
    clusters: Mapping[str, str],
    seed: int,
    *,
    pairs: bool = False,
) -> dict[str, Any]:
    """The paired differences of every two speakers beside the reference, with what they show."""
    found: dict[str, Difference] = {
        f"{one} - {other}": difference(scores[one], scores[other], seed, clusters)
        for one, other in combinations(names, 2)
    }
    said = verdicts(found, "the other", "mcnemar" if pairs else "bootstrap", percent=pairs)
    return {pair: {**asdict(each), "verdict": asdict(said[pair])} for pair, each in found.items()}
