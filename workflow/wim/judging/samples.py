"""Several judgements of each candidate by one judge, each with its own words and number.

All of them are asked for together, so that an engine reads a prompt that they share once. The first
is the judgement of a judge with one sample: its requests are the same, and so its stored answers.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from wim.engines.staged import StagedModel
from wim.engines.stored import StoredEngine, open_engine
from wim.judging.base import Judge
from wim.judging.rate import judge_of
from wim.judging.sample_tables import each_sample, sample_of, write_samples
from wim.judging.structured import StructuredJudge
from wim.provenance.code_changes import rows_of
from wim.settings.judging import JudgeSettings
from wim.settings.sampled_judges import SAMPLE
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

    candidates = read_judged(dialogues, conversations, reasoning)
    with rows_of(STAGE), open_engine(model) as engine:
        rater = judge_of_samples(judge, engine, templates, settings, seed, model.identity)
        found = rated(rater, candidates, samples)
        new, unanswered = len(engine.computed), dict(engine.unanswered)
    write_samples(judge, found, unanswered, outputs)
    logger.info(
        "ratings by %s: %d samples of %d rows, %d judged", judge, samples, len(candidates), new
    )


def judge_of_samples(
    name: str,
    engine: StoredEngine,
    templates: list[Path],
    settings: JudgeSettings,
    seed: int,
    model_digest: str,
) -> Judge:
    """The judge of the method that the settings name, for several samples."""
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
