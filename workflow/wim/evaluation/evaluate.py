"""An evaluation: every speaker's answers against the reference's, on the same prompts."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import Any, Protocol

from wim.display.json_files import rounded, write_json
from wim.errors import UserError
from wim.evaluation.compared.bootstrap import mean_over
from wim.evaluation.compared.bradley_terry import Game, NoStrengthsError, bradley_terry
from wim.evaluation.compared.length_controlled import Variant, length_controlled
from wim.evaluation.compared.outcomes import Outcome, score_by_prompt
from wim.evaluation.compared.paired import Difference, difference, difference_from
from wim.evaluation.compared.verdicts import verdicts
from wim.evaluation.compared.win_rate import win_rate
from wim.evaluation.evaluation_figure import draw_evaluation
from wim.evaluation.evaluation_text import evaluation_text
from wim.evaluation.formats.alpaca_eval import read_difficulties, read_gamed, read_instructions
from wim.evaluation.leaks import read_leaks
from wim.evaluation.question_figures import answer_figures, pair_figures, single_figures
from wim.evaluation.question_judgements import (
    answered_questions,
    pair_judgements,
    single_judgements,
)
from wim.evaluation.speakers import (
    Answers,
    answers_of_speakers,
    judged_outcomes,
    rewards_by_candidate,
    scored_outcomes,
    table_rows,
)
from wim.prompts.messages import clean_text
from wim.provenance.digest import seed_of
from wim.settings.evaluations import EvaluationSettings
from wim.tables.schemas import PROMPTS

logger = logging.getLogger(__name__)
EVEN = 0.5


class EvaluationInputs(Protocol):
    """What an evaluation reads.

    Attributes:
        prompts: All shards of its prompts.
        leaks: Those of them that stand in what was trained on.
        answers: The dialogues of each speaker, all shards, speaker by speaker.
        ratings: The grades of each speaker's answers to questions, speaker by speaker.
        comparisons: What the judge said of each speaker and the reference, speaker by speaker.
        rewards: The rewards tables of each speaker, reward by reward.
        length_control: AlpacaEval's instructions, difficulties and gamed rows, as far as named.
    """

    prompts: Sequence[str]
    leaks: str
    answers: Sequence[str]
    ratings: Sequence[str]
    comparisons: Sequence[str]
    rewards: Sequence[str]
    length_control: Sequence[str]


class EvaluationFiles(Protocol):
    """Where the figures go: JSON, Markdown and an SVG figure."""

    table: str
    text: str
    figure: str


def evaluate(
    inputs: EvaluationInputs,
    name: str,
    settings: EvaluationSettings,
    speakers: Sequence[str],
    seed: int,
    output: EvaluationFiles,
) -> None:
    """Write the figures of an evaluation; the same inputs give the same bytes.

    Args:
        inputs: The tables.
        name: The evaluation's.
        settings: Its settings.
        speakers: Who answers, the reference first, in the order of the inputs.
        seed: The run's.
        output: Where the figures go.
    """
    rows = table_rows(inputs.prompts, PROMPTS, ["prompt_id", "messages"])
    prompts = [row["prompt_id"] for row in rows]
    leaked = read_leaks(Path(inputs.leaks))
    if leaked and settings.leaks == "refuse":
        raise UserError(
            f"{inputs.leaks}: {len(leaked)} of {len(prompts)} prompts of the evaluation '{name}' "
            f"stand in what was trained on; write evaluations.{name}.leaks: drop to leave them out."
        )
    dropped: Mapping[str, str] = leaked if settings.leaks == "drop" else {}
    prompts = [prompt for prompt in prompts if prompt not in dropped]
    drawn = seed_of(seed, "evaluation", name) % 2**32
    counts: Mapping[str, int] = Counter(leaked.values())
    head = {
        "evaluation": name,
        "kind": settings.kind,
        "reference": settings.reference,
        "by": settings.judge or settings.reward,
        "prompts": len(prompts),
        "leaks": {"file": inputs.leaks, "what": settings.leaks, **counts},
    }
    if settings.kind == "mt_bench":
        found = _questions(inputs, settings, speakers, dropped, drawn)
    else:
        answers = answers_of_speakers(inputs.answers, speakers, dropped)
        found = {
            "unanswered": {speaker: len(prompts) - len(of) for speaker, of in answers.items()},
            "tokens": {
                speaker: asdict(mean_over([each.tokens for each in of.values()], list(of), drawn))
                for speaker, of in answers.items()
            },
        }
        if settings.kind == "reward":
            found |= _rewards(inputs.rewards, speakers, settings.rewards, answers, drawn)
        else:
            outcomes = (
                judged_outcomes(inputs.comparisons, speakers, answers)
                if settings.judge
                else scored_outcomes(inputs.rewards, speakers, answers)
            )
            control = _control(inputs.length_control, rows)
            found |= _win_rates(speakers, outcomes, leaked, control, drawn)
    figures = rounded({**head, **found})
    write_json(output.table, figures)
    text = evaluation_text(figures)
    Path(output.text).write_text(text, encoding="utf-8")
    draw_evaluation(figures, Path(output.figure))
    for line in text.splitlines():
        logger.info("%s", line)


def _questions(
    inputs: EvaluationInputs,
    settings: EvaluationSettings,
    speakers: Sequence[str],
    dropped: Mapping[str, str],
    seed: int,
) -> dict[str, Any]:
    """The figures of answers to questions of several turns, graded or compared."""
    answered = answered_questions(inputs.prompts, inputs.answers, speakers, dropped)
    judge, published = str(settings.judge), settings.parse == "as_published"
    if settings.mode == "single":
        graded = single_judgements(answered, inputs.ratings, judge, published)
        found = single_figures(graded, answered, seed)
    else:
        compared = pair_judgements(answered, inputs.comparisons, judge, published)
        found = pair_figures(compared, answered, seed)
    read = {"mode": settings.mode, "parse": settings.parse}
    return read | answer_figures(answered, seed) | found


def _win_rates(
    speakers: Sequence[str],
    outcomes: Mapping[str, Sequence[Outcome]],
    leaked: Mapping[str, str],
    control: Mapping[Variant, Mapping[str, Any]],
    seed: int,
) -> dict[str, Any]:
    """The figures of each speaker against the reference, and of every two against each other."""
    reference = speakers[0]
    scores = {speaker: score_by_prompt(of) for speaker, of in outcomes.items()}
    against = {speaker: difference_from(of, EVEN, seed) for speaker, of in scores.items()}
    found = verdicts(against, reference)
    figures = {
        speaker: {
            **asdict(win_rate(of, seed)),
            "length_controlled": {
                variant: asdict(length_controlled(variant, of, seed, **needed))
                for variant, needed in control.items()
            },
            "verdict": asdict(found[speaker]),
            **_without_leaks(of, leaked, seed),
        }
        for speaker, of in outcomes.items()
    }
    between = {
        f"{one} - {other}": difference(scores[one], scores[other], seed)
        for one, other in combinations(outcomes, 2)
    }
    return {
        "speakers": figures,
        "between": _compared(between),
        "strengths": _strengths(reference, outcomes, seed),
    }


def _control(
    files: Sequence[str], prompts: Sequence[Mapping[str, Any]]
) -> dict[Variant, dict[str, Any]]:
    """What each variant of length control that can be fitted needs; `minimal` needs nothing.

    Difficulties are joined to prompts by the text of the instruction, never by place.
    """
    needed: dict[Variant, dict[str, Any]] = {"minimal": {}}
    if not files:
        return needed
    instructions, hard = read_instructions(Path(files[0])), read_difficulties(Path(files[1]))
    if len(instructions) != len(hard):
        raise UserError(
            f"{files[0]} has {len(instructions)} instructions and {files[1]} {len(hard)} "
            "difficulties; write files with one for each."
        )
    known = dict(zip(map(clean_text, instructions), hard, strict=True))
    texts = {row["prompt_id"]: clean_text(row["messages"][-1]["content"]) for row in prompts}
    difficulties = {prompt: known[text] for prompt, text in texts.items() if text in known}
    if not difficulties:
        raise UserError(
            f"{files[0]}: none of its instructions is a prompt of the evaluation; leave instructions "
            "and difficulties out, or name the prompts' own."
        )
    needed["noreg"] = {"difficulties": difficulties}
    if len(files) > 2:
        needed["v1"] = {"difficulties": difficulties, "gamed": read_gamed(Path(files[2]))}
    return needed


def _without_leaks(
    outcomes: Sequence[Outcome], leaked: Mapping[str, str], seed: int
) -> dict[str, Any]:
    """The win rate without the prompts that leak; nothing where none does."""
    if not leaked:
        return {}
    rest = [each for each in outcomes if each.prompt_id not in leaked]
    return {"without_leaks": asdict(win_rate(rest, seed).win_rate)}


def _compared(between: Mapping[str, Difference]) -> dict[str, Any]:
    """The paired differences of two speakers each, with what they show."""
    said = verdicts(between, "the other")
    return {pair: {**asdict(each), "verdict": asdict(said[pair])} for pair, each in between.items()}


def _strengths(
    reference: str, outcomes: Mapping[str, Sequence[Outcome]], seed: int
) -> dict[str, Any] | None:
    """Bradley-Terry strengths with the reference's at 0; None for a single speaker.

    Where they are not decided, `undecided` says why.
    """
    if len(outcomes) < 2:
        return None
    games = [
        Game(prompt_id=each.prompt_id, first=speaker, second=reference, score=each.score)
        for speaker, of in outcomes.items()
        for each in of
        if each.score is not None
    ]
    try:
        return asdict(bradley_terry(games, seed, anchor=reference))
    except NoStrengthsError as error:
        return {"undecided": str(error)}


def _rewards(
    tables: Sequence[str],
    speakers: Sequence[str],
    rewards: Sequence[str],
    answers: Mapping[str, Answers],
    seed: int,
) -> dict[str, Any]:
    """The mean of each reward on each speaker's answers, and what it differs by from the reference."""
    found: dict[str, Any] = {}
    for place, reward in enumerate(rewards):
        own = tables[place * len(speakers) : (place + 1) * len(speakers)]
        values, failed = {}, {}
        for speaker, path in zip(speakers, own, strict=True):
            of = rewards_by_candidate(path)
            scored = {
                prompt: of[each.candidate_id].reward for prompt, each in answers[speaker].items()
            }
            values[speaker] = {p: value for p, value in scored.items() if value is not None}
            failed[speaker] = len(scored) - len(values[speaker])
        differences = {
            speaker: difference(values[speaker], values[speakers[0]], seed)
            for speaker in speakers[1:]
        }
        said = verdicts(differences, speakers[0], "bootstrap", percent=False)
        found[reward] = {
            speaker: {
                "mean": asdict(mean_over(list(of.values()), list(of), seed)),
                "failed": failed[speaker],
                **(
                    {
                        "difference": asdict(differences[speaker]),
                        "verdict": asdict(said[speaker]),
                    }
                    if speaker in differences
                    else {}
                ),
            }
            for speaker, of in values.items()
        }
    return {"rewards": found}
