"""An evaluation: every speaker's answers against the reference's, on the same prompts."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from wim.display.json_files import read_json, rounded, write_json
from wim.errors import UserError
from wim.evaluation.compared.bootstrap import mean_over
from wim.evaluation.evaluation_figure import draw_evaluation
from wim.evaluation.evaluation_text import evaluation_text
from wim.evaluation.examples import (
    Example,
    clearest,
    examples_text,
    margins_of_pairs,
    margins_of_rewards,
    words_of_judges,
)
from wim.evaluation.frontier import Place, frontier
from wim.evaluation.frontier_figure import draw_frontier
from wim.evaluation.leaks import read_leaks
from wim.evaluation.question_figures import answer_figures, pair_figures, single_figures
from wim.evaluation.question_judgements import (
    answered_questions,
    pair_judgements,
    single_judgements,
)
from wim.evaluation.reward_means import known, reward_means, scores_of_rewards
from wim.evaluation.speakers import (
    Answers,
    answers_of_speakers,
    judged_outcomes,
    of_categories,
    scored_outcomes,
    table_rows,
)
from wim.evaluation.win_rates import length_control, win_rates
from wim.evaluation.worth import measured_worth
from wim.provenance.digest import seed_of
from wim.settings.evaluated import Evaluated
from wim.settings.evaluations import EvaluationSettings
from wim.tables.schemas import PROMPTS

logger = logging.getLogger(__name__)


class EvaluationInputs(Protocol):
    """What an evaluation reads.

    Attributes:
        prompts: All shards of its prompts.
        leaks: Those of them that stand in what was trained on.
        answers: The dialogues of each speaker, all shards, speaker by speaker.
        comparisons: What the judge said of each speaker and the reference, speaker by speaker.
        rewards: The rewards tables of each speaker, reward by reward.
        length_control: AlpacaEval's instructions, difficulties and gamed rows, as far as named.
        kl: How far each trained speaker is from its start, as <evaluation>@<speaker>.json.
        ratings: What was said of each speaker's answers by the judges of its reward, or the grades of
            answers to questions; all shards.
        labels: The gate's labelled pairs, where the judge or the reward is measured on them.
        labelled: What it says of them: all shards of a judge of pairs, or the table of a reward.
    """

    prompts: Sequence[str]
    leaks: str
    answers: Sequence[str]
    comparisons: Sequence[str]
    rewards: Sequence[str]
    length_control: Sequence[str]
    kl: Sequence[str]
    ratings: Sequence[str]
    labels: Sequence[str]
    labelled: Sequence[str]


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
    form: str | None = None,
    curves: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Write the figures of an evaluation; the same inputs give the same bytes.

    Args:
        inputs: The tables.
        name: The evaluation's.
        settings: Its settings.
        speakers: Who answers, the reference first, in the order of the inputs.
        seed: The run's.
        output: Where the figures go.
        form: Of the gate's labelled pairs.
        curves: Of a frontier: the curve and the beta of each trained speaker.
    """
    rows = table_rows(inputs.prompts, PROMPTS, ["prompt_id", "messages", "metadata"])
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
    divergences = _divergences(inputs.kl)
    head = {
        "evaluation": name,
        "kind": settings.kind,
        "reference": settings.reference,
        "by": settings.judge or settings.reward,
        "prompts": len(prompts),
        "leaks": {"file": inputs.leaks, "what": settings.leaks, **counts},
        "kl": divergences,
    }
    examples: dict[str, list[Example]] = {}
    if settings.kind == "mt_bench":
        found = _questions(inputs, settings, speakers, dropped, drawn)
        if leaked and not dropped:
            rest = _questions(inputs, settings, speakers, leaked, drawn)
            _add_without_leaks(found["speakers"], rest["speakers"])
    else:
        answers = answers_of_speakers(inputs.answers, speakers, dropped)
        found = {
            "unanswered": {speaker: len(prompts) - len(of) for speaker, of in answers.items()},
            "tokens": {
                speaker: asdict(mean_over([each.tokens for each in of.values()], list(of), drawn))
                for speaker, of in answers.items()
            },
        }
        if settings.of_rewards:
            scores = scores_of_rewards(inputs.rewards, speakers, settings.rewards, answers)
            found["rewards"] = {name: reward_means(of, drawn) for name, of in scores.items()}
            if settings.kind == "frontier":
                places = _places(curves or {}, divergences)
                found["frontier"] = {
                    name: frontier(known(of), places, settings.kl_limit, drawn)
                    for name, of in scores.items()
                }
            if leaked and not dropped:
                kept = answers_of_speakers(inputs.answers, speakers, leaked)
                rest = scores_of_rewards(inputs.rewards, speakers, settings.rewards, kept)
                for name, of in found["rewards"].items():
                    _add_without_leaks(of, reward_means(rest[name], drawn))
        else:
            pairs = settings.judge is not None
            read = judged_outcomes if pairs else scored_outcomes
            outcomes = of_categories(
                read(inputs.comparisons if pairs else inputs.rewards, speakers, answers), rows
            )
            worth = measured_worth(inputs.labels, inputs.labelled, pairs, form)
            control = length_control(inputs.length_control, rows)
            found |= win_rates(speakers, outcomes, leaked, control, worth, drawn)
            examples = _examples(inputs, speakers, answers, rows, pairs)
    figures = rounded({**head, **found})
    write_json(output.table, figures)
    text = "\n\n".join([evaluation_text(figures), *examples_text(examples, speakers[0])]) + "\n"
    Path(output.text).write_text(text, encoding="utf-8")
    draw = draw_frontier if settings.kind == "frontier" else draw_evaluation
    draw(figures, Path(output.figure))
    for line in text.splitlines():
        logger.info("%s", line)


def _add_without_leaks(speakers: dict[str, Any], rest: Mapping[str, Any]) -> None:
    """Add to the figures of each speaker the mean, or the share, over the prompts that do not leak."""
    for name, figures in speakers.items():
        of = rest.get(name, {})
        figures["without_leaks"] = (
            of.get("mean") or of.get("adjusted") or asdict(mean_over([], [], 0))
        )


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


def _divergences(paths: Sequence[str]) -> dict[str, Any]:
    """How far each trained speaker is from its start, by speaker."""
    policies = {path: Evaluated.of(Path(path).stem) for path in paths}
    return {policy.speaker: read_json(Path(path)) for path, policy in policies.items() if policy}


def _places(curves: Mapping[str, Mapping[str, Any]], kl: Mapping[str, Any]) -> dict[str, Place]:
    """Where the trained speakers are on a frontier; without those that said nothing."""
    return {
        speaker: Place(**curves[speaker], kl=one["answer"]["value"])
        for speaker, one in kl.items()
        if one["answer"]["value"] is not None
    }


def _examples(
    inputs: EvaluationInputs,
    speakers: Sequence[str],
    answers: Mapping[str, Answers],
    prompts: Sequence[Mapping[str, Any]],
    pairs: bool,
) -> dict[str, list[Example]]:
    """The clearest wins and losses of each speaker, with the words of the judges."""
    texts = {row["prompt_id"]: row["messages"][-1]["content"] for row in prompts}
    words = words_of_judges(inputs.ratings)
    reference, *others = speakers
    shards = len(inputs.comparisons) // max(1, len(others))
    found = {}
    for place, speaker in enumerate(others):
        both = answers[speaker], answers[reference]
        if pairs:
            own = inputs.comparisons[place * shards : (place + 1) * shards]
            margins = margins_of_pairs(own, *both)
        else:
            margins = margins_of_rewards((inputs.rewards[place + 1], inputs.rewards[0]), *both)
        found[speaker] = clearest(*both, margins, texts, words)
    return found
