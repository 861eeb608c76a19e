"""An evaluation: every speaker's answers against the reference's, on the same prompts."""

import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Protocol

from wim.display.json_files import rounded, write_json
from wim.errors import UserError
from wim.evaluation.compared.bootstrap import mean_over
from wim.evaluation.compared.bradley_terry import Game, NoStrengthsError, bradley_terry
from wim.evaluation.compared.length_controlled import length_controlled
from wim.evaluation.compared.outcomes import Outcome, outcome_of, score_by_prompt, tie
from wim.evaluation.compared.paired import Difference, difference, difference_from
from wim.evaluation.compared.verdicts import verdicts
from wim.evaluation.compared.win_rate import win_rate
from wim.evaluation.evaluation_figure import draw_evaluation
from wim.evaluation.evaluation_text import evaluation_text
from wim.evaluation.judged_pairs import of_comparison, of_scores
from wim.evaluation.leaks import read_leaks
from wim.judging.compare import pair_id_of
from wim.provenance.digest import seed_of
from wim.settings.evaluations import EvaluationSettings
from wim.tables.files import read_table, read_tables
from wim.tables.schemas import COMPARISONS, DIALOGUES, PROMPTS, REWARDS, Comparison

logger = logging.getLogger(__name__)
EVEN = 0.5


class EvaluationInputs(Protocol):
    """What an evaluation reads.

    Attributes:
        prompts: All shards of its prompts.
        leaks: Those of them that stand in what was trained on.
        answers: The dialogues of each speaker, all shards, speaker by speaker.
        comparisons: What the judge said of each speaker and the reference, speaker by speaker.
        rewards: The rewards tables of each speaker, reward by reward.
    """

    prompts: Sequence[str]
    leaks: str
    answers: Sequence[str]
    comparisons: Sequence[str]
    rewards: Sequence[str]


class EvaluationFiles(Protocol):
    """Where the figures go: JSON, Markdown and an SVG figure."""

    table: str
    text: str
    figure: str


@dataclass(frozen=True)
class Answer:
    """A speaker's answer to a prompt, by the candidate that it is."""

    candidate_id: str
    text: str
    tokens: int


@dataclass(frozen=True)
class Scored:
    """A candidate's reward, None where the judgement failed, and its status."""

    reward: float | None
    status: str


Answers = Mapping[str, Answer]


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
    prompts = [row["prompt_id"] for row in _table(inputs.prompts, PROMPTS, ["prompt_id"])]
    leaked = read_leaks(Path(inputs.leaks))
    if leaked and settings.leaks == "refuse":
        raise UserError(
            f"{inputs.leaks}: {len(leaked)} of {len(prompts)} prompts of the evaluation '{name}' "
            f"stand in what was trained on; write evaluations.{name}.leaks: drop to leave them out."
        )
    dropped: Mapping[str, str] = leaked if settings.leaks == "drop" else {}
    prompts = [prompt for prompt in prompts if prompt not in dropped]
    shards = len(inputs.answers) // len(speakers)
    answers = {
        speaker: _answers(inputs.answers[place * shards : (place + 1) * shards], dropped)
        for place, speaker in enumerate(speakers)
    }
    drawn = seed_of(seed, "evaluation", name) % 2**32
    counts: Mapping[str, int] = Counter(leaked.values())
    head = {
        "evaluation": name,
        "kind": settings.kind,
        "reference": settings.reference,
        "by": settings.judge or settings.reward,
        "prompts": len(prompts),
        "leaks": {"file": inputs.leaks, "what": settings.leaks, **counts},
        "unanswered": {speaker: len(prompts) - len(of) for speaker, of in answers.items()},
        "tokens": {
            speaker: asdict(mean_over([each.tokens for each in of.values()], list(of), drawn))
            for speaker, of in answers.items()
        },
    }
    if settings.kind == "reward":
        found = _rewards(inputs.rewards, speakers, settings.rewards, answers, drawn)
    elif settings.judge:
        judged = _judged(inputs.comparisons, speakers, answers)
        found = _win_rates(speakers, judged, leaked, drawn)
    else:
        scored = _scored(inputs.rewards, speakers, answers)
        found = _win_rates(speakers, scored, leaked, drawn)
    figures = rounded({**head, **found})
    write_json(output.table, figures)
    text = evaluation_text(figures)
    Path(output.text).write_text(text, encoding="utf-8")
    draw_evaluation(figures, Path(output.figure))
    for line in text.splitlines():
        logger.info("%s", line)


def _judged(
    comparisons: Sequence[str], speakers: Sequence[str], answers: Mapping[str, Answers]
) -> dict[str, list[Outcome]]:
    """The outcomes of each speaker, as the judge of pairs found them."""
    reference, *others = speakers
    shards = len(comparisons) // max(1, len(others))
    found = {}
    for place, speaker in enumerate(others):
        rows = _table(comparisons[place * shards : (place + 1) * shards], COMPARISONS)
        judgements = {row["pair_id"]: of_comparison(Comparison(**row)) for row in rows}
        found[speaker] = [
            outcome
            or outcome_of(
                judgements[pair_id_of(own.candidate_id, other.candidate_id)],
                prompt,
                (len(own.text), len(other.text)),
            )
            for prompt, own, other, outcome in _both(answers[speaker], answers[reference])
        ]
    return found


def _scored(
    tables: Sequence[str], speakers: Sequence[str], answers: Mapping[str, Answers]
) -> dict[str, list[Outcome]]:
    """The outcomes of each speaker, where the larger reward wins."""
    rewards = [_rewards_by_candidate(path) for path in tables]
    found = {}
    for speaker, of_speaker in zip(speakers[1:], rewards[1:], strict=True):
        found[speaker] = [
            outcome or _larger(prompt, (own, other), (of_speaker, rewards[0]))
            for prompt, own, other, outcome in _both(answers[speaker], answers[speakers[0]])
        ]
    return found


def _larger(
    prompt: str,
    pair: tuple[Answer, Answer],
    rewards: tuple[Mapping[str, Scored], Mapping[str, Scored]],
) -> Outcome:
    """The outcome of two answers by their rewards."""
    a, b = (of[answer.candidate_id] for of, answer in zip(rewards, pair, strict=True))
    judgement = of_scores(prompt, (a.reward, b.reward), (a.status, b.status))
    return outcome_of(judgement, prompt, (len(pair[0].text), len(pair[1].text)), one_by_one=True)


def _both(own: Answers, reference: Answers) -> list[tuple[str, Answer, Answer, Outcome | None]]:
    """The prompts that both answered, with the two answers; equal ones are a tie unasked."""
    return [
        (
            prompt,
            own[prompt],
            reference[prompt],
            tie(prompt, len(own[prompt].text))
            if own[prompt].text == reference[prompt].text
            else None,
        )
        for prompt in sorted(own.keys() & reference.keys())
    ]


def _win_rates(
    speakers: Sequence[str],
    outcomes: Mapping[str, Sequence[Outcome]],
    leaked: Mapping[str, str],
    seed: int,
) -> dict[str, Any]:
    """The figures of each speaker against the reference, and of every two against each other."""
    reference = speakers[0]
    scores = {speaker: score_by_prompt(of) for speaker, of in outcomes.items()}
    against = {speaker: difference_from(of, EVEN, seed) for speaker, of in scores.items()}
    found = verdicts(against, reference, "bootstrap")
    figures = {
        speaker: {
            **asdict(win_rate(of, seed)),
            "length_controlled": {"minimal": asdict(length_controlled("minimal", of, seed))},
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


def _without_leaks(
    outcomes: Sequence[Outcome], leaked: Mapping[str, str], seed: int
) -> dict[str, Any]:
    """The win rate without the prompts that leak; nothing where none does."""
    if not leaked:
        return {}
    rest = [each for each in outcomes if each.prompt_id not in leaked]
    return {"without_leaks": asdict(win_rate(rest, seed).win_rate)}


def _compared(between: Mapping[str, Difference], percent: bool = True) -> dict[str, Any]:
    """The paired differences of two speakers each, with what they show."""
    said = verdicts(between, "the other", "bootstrap", percent=percent)
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
            of = _rewards_by_candidate(path)
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


def _rewards_by_candidate(path: str) -> dict[str, Scored]:
    rows = read_table(Path(path), REWARDS, ["candidate_id", "status", "reward"]).to_pylist()
    return {row["candidate_id"]: Scored(row["reward"], row["status"]) for row in rows}


def _answers(paths: Sequence[str], dropped: Collection[str]) -> dict[str, Answer]:
    columns = ["candidate_id", "prompt_id", "completion", "completion_tokens"]
    return {
        row["prompt_id"]: Answer(row["candidate_id"], row["completion"], row["completion_tokens"])
        for row in _table(paths, DIALOGUES, columns)
        if row["prompt_id"] not in dropped
    }


def _table(
    paths: Sequence[str], table: Any, columns: list[str] | None = None
) -> list[dict[str, Any]]:
    found = read_tables([Path(path) for path in paths], table, columns)
    return found.to_pylist()  # type: ignore[no-any-return]
