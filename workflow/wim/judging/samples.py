"""Several judgements of each candidate by one judge, each with its own words and number.

All of them are asked for together, so that an engine reads a prompt that they share once. The first
is the judgement of a judge with one sample: its requests are the same, and so its stored answers.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from wim.engines.failures import check_answers
from wim.engines.staged import StagedModel, unopened
from wim.engines.stored import StoredEngine, open_engine
from wim.judging.base import Judge
from wim.judging.rate import judge_of
from wim.judging.structured import StructuredJudge
from wim.provenance.code_changes import rows_of
from wim.settings.judging import JudgeSettings
from wim.settings.sampled_judges import SAMPLE, sample_names
from wim.tables.ratings import Status
from wim.tables.schemas import Candidate, Rating
from wim.templates import read_templates

logger = logging.getLogger(__name__)
STAGE = "rate_samples"


class StructuredSamples(StructuredJudge):
    """A structured judge of samples; that nothing is missing is queried once for all of them."""

    def _nothing_missing(self, candidates: Sequence[Candidate]) -> dict[str, float | None]:
        first = [row for row in candidates if SAMPLE not in row.candidate_id]
        found = super()._nothing_missing(first)
        return {row.candidate_id: found[sample_of(row.candidate_id)[0]] for row in candidates}


def rate_samples(
    dialogues: Path,
    model: StagedModel,
    templates: list[Path],
    judge: str,
    settings: JudgeSettings,
    samples: int,
    seed: int,
    outputs: Sequence[Path],
    conversations: bool = False,
    reasoning: bool = False,
) -> None:
    """Write the ratings tables of one shard of dialogues by one judge, one for each sample.

    Args:
        dialogues, model, templates, judge, settings, seed, conversations, reasoning: As in
            `wim.judging.rate.rate_candidates`.
        samples: How many judgements of each candidate.
        outputs: A table for each sample at least; those after the last sample have no row.

    Raises:
        UserError: Every judgement of a sample is an error.
    """
    from wim.dialogues.conversations import read_judged
    from wim.tables.files import as_arrow, write_table
    from wim.tables.schemas import RATINGS

    candidates = read_judged(dialogues, conversations, reasoning)
    with rows_of(STAGE), open_engine(model) as engine:
        rater = _judge(judge, engine, templates, settings, seed, model.identity)
        found = rated(rater, candidates, samples)
        new, unanswered = len(engine.computed), dict(engine.unanswered)
    for name, rows, output in zip(sample_names(judge, samples), found, outputs, strict=False):
        counts = {status: sum(row.status == status for row in rows) for status in Status}
        told = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
        logger.info("ratings by %s: %d rows: %s", name, len(rows), told or "none")
        reasons = [
            unanswered.get(row.candidate_id)
            or row.raw.removeprefix("(no answer: ").removesuffix(")")
            for row in rows
            if row.status == Status.ERROR
        ]
        check_answers(f"ratings by {name}", len(rows), reasons)
        if rows and not any(Status(row.status).usable for row in rows):
            logger.warning("ratings by %s: none of %d is usable: %s", name, len(rows), told)
        write_table(output, RATINGS, as_arrow(RATINGS, rows), failed=len(reasons))
    for output in outputs[samples:]:
        write_table(output, RATINGS, as_arrow(RATINGS, []))
    logger.info(
        "ratings by %s: %d samples of %d rows, %d judged", judge, samples, len(candidates), new
    )


def rows_wanted(
    dialogues: Path,
    model: StagedModel,
    templates: list[Path],
    judge: str,
    settings: JudgeSettings,
    samples: int,
    seed: int,
    conversations: bool = False,
    reasoning: bool = False,
) -> tuple[int, int]:
    """The number of judgements that rate_samples would write, and of requests that the store lacks.

    No model is opened.

    Args:
        dialogues, model, templates, judge, settings, samples, seed, conversations, reasoning: As
            in rate_samples.
    """
    from wim.dialogues.conversations import read_judged

    (lookup,) = unopened([model])
    candidates = read_judged(dialogues, conversations, reasoning)
    with rows_of(STAGE), open_engine(lookup) as engine:
        rater = _judge(judge, engine, templates, settings, seed, lookup.identity)
        rated(rater, candidates, samples)
        return samples * len(candidates), len(engine.computed)


def _judge(
    name: str,
    engine: StoredEngine,
    templates: list[Path],
    settings: JudgeSettings,
    seed: int,
    model_digest: str,
) -> Judge:
    texts = read_templates(templates)
    if settings.method == "structured":
        return StructuredSamples(name, engine, texts, settings, seed, model_digest)
    return judge_of(name, engine, texts, settings, seed, model_digest)


def rated(judge: Judge, candidates: Sequence[Candidate], samples: int) -> list[list[Rating]]:
    """The ratings of each sample, each in the candidates' order.

    A sample after the first is a candidate by another id, which decides its seed.
    """
    ratings = [
        replace(rating, candidate_id=sample_of(rating.candidate_id)[0])
        for rating in judge.rate(each_sample(candidates, samples))
    ]
    return [ratings[sample::samples] for sample in range(samples)]


def each_sample(candidates: Sequence[Candidate], samples: int) -> list[Candidate]:
    """Each candidate as often as it is judged, one after the other, each time by an id of its own."""
    return [
        row if sample == 1 else replace(row, candidate_id=f"{row.candidate_id}{SAMPLE}{sample}")
        for row in candidates
        for sample in range(1, samples + 1)
    ]


def sample_of(candidate_id: str) -> tuple[str, int]:
    """The candidate that such an id is of, and the number of the sample, from 1."""
    candidate, _, sample = candidate_id.partition(SAMPLE)
    return candidate, int(sample or 1)
