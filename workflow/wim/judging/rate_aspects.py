"""The ratings of a shard of dialogues by a judge of aspects, each judgement once or several times."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from wim.engines.failures import check_answers
from wim.engines.staged import StagedModel, unopened
from wim.engines.stored import StoredEngine, open_engine
from wim.judging.aspects import AspectsJudge, number_key
from wim.judging.samples import each_sample, sample_of
from wim.provenance.code_changes import rows_of
from wim.settings.sampled_judges import NamedJudge, sample_names
from wim.tables.aspects import ASPECT_RATINGS, AspectRating
from wim.tables.ratings import Status
from wim.tables.schemas import Candidate, Rating
from wim.templates import read_templates

logger = logging.getLogger(__name__)
STAGE = "rate_aspects"


def rate_aspects(
    dialogues: Path,
    model: StagedModel,
    templates: list[Path],
    judge: str,
    settings: NamedJudge,
    samples: int,
    seed: int,
    outputs: Sequence[Path],
    aspects: Path,
    conversations: bool = False,
    reasoning: bool = False,
) -> None:
    """Write the ratings tables of one shard of dialogues by one judge, and its table of aspects.

    Args:
        dialogues, model, templates, judge, settings, seed, conversations, reasoning: As in
            `wim.judging.rate.rate_candidates`.
        samples: How many judgements of each candidate.
        outputs: A table of whole judgements for each sample at least; those after the last sample
            have no row.
        aspects: The table of all samples in each aspect.

    Raises:
        UserError: Every judgement of a sample is an error.
    """
    import pyarrow as pa

    from wim.dialogues.conversations import read_judged
    from wim.tables.files import as_arrow, write_table
    from wim.tables.schemas import RATINGS

    candidates = read_judged(dialogues, conversations, reasoning)
    with rows_of(STAGE), open_engine(model) as engine:
        rater = _judge(judge, engine, templates, settings, seed, model.identity)
        found, of_aspects = rated_aspects(rater, candidates, samples)
        new, unanswered = len(engine.computed), dict(engine.unanswered)
    for name, rows, output in zip(sample_names(judge, samples), found, outputs, strict=False):
        counts = Counter(row.status for row in rows)
        told = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
        logger.info("ratings by %s: %d rows: %s", name, len(rows), told or "none")
        failed = [row for row in rows if row.status == Status.ERROR]
        reasons = [_reason(row, settings, unanswered) for row in failed]
        check_answers(f"ratings by {name}", len(rows), reasons)
        write_table(output, RATINGS, as_arrow(RATINGS, rows), failed=len(reasons))
    for output in outputs[samples:]:
        write_table(output, RATINGS, as_arrow(RATINGS, []))
    for aspect in settings.questions:
        counts = Counter(row.status for row in of_aspects if row.aspect == aspect)
        told = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
        logger.info("%s by %s: %s", aspect, judge, told or "none")
        if counts and not any(Status(status).usable for status in counts):
            logger.warning("%s by %s: none of %d is usable", aspect, judge, counts.total())
    rows_of_aspects = pa.Table.from_pylist(
        [vars(row) for row in of_aspects], schema=ASPECT_RATINGS.schema
    )
    write_table(aspects, ASPECT_RATINGS, rows_of_aspects)
    logger.info(
        "ratings by %s: %d samples of %d rows, %d judged", judge, samples, len(candidates), new
    )


def rows_wanted(
    dialogues: Path,
    model: StagedModel,
    templates: list[Path],
    judge: str,
    settings: NamedJudge,
    samples: int,
    seed: int,
    conversations: bool = False,
    reasoning: bool = False,
) -> tuple[int, int]:
    """The number of judgements that rate_aspects would write, and of requests that the store lacks.

    No model is opened.

    Args:
        dialogues, model, templates, judge, settings, samples, seed, conversations, reasoning: As
            in rate_aspects.
    """
    from wim.dialogues.conversations import read_judged

    (lookup,) = unopened([model])
    candidates = read_judged(dialogues, conversations, reasoning)
    with rows_of(STAGE), open_engine(lookup) as engine:
        rater = _judge(judge, engine, templates, settings, seed, lookup.identity)
        rated_aspects(rater, candidates, samples)
        return samples * len(candidates), len(engine.computed)


def _judge(
    name: str,
    engine: StoredEngine,
    templates: list[Path],
    settings: NamedJudge,
    seed: int,
    model_digest: str,
) -> AspectsJudge:
    return AspectsJudge(name, engine, read_templates(templates), settings, seed, model_digest)


def rated_aspects(
    judge: AspectsJudge, candidates: Sequence[Candidate], samples: int
) -> tuple[list[list[Rating]], list[AspectRating]]:
    """The ratings of each sample in the candidates' order, and those of all aspects."""
    wholes: list[list[Rating]] = [[] for _ in range(samples)]
    aspects = []
    for judged in judge.judged(each_sample(candidates, samples)):
        candidate, sample = sample_of(judged.whole.candidate_id)
        wholes[sample - 1].append(replace(judged.whole, candidate_id=candidate))
        aspects += [replace(each, candidate_id=candidate, sample=sample) for each in judged.aspects]
    return wholes, aspects


def _reason(row: Rating, settings: NamedJudge, unanswered: dict[str, str]) -> str:
    """Why a judgement is an error: the server's words, for the text or for a number."""
    keys = [row.candidate_id, *(number_key(row.candidate_id, each) for each in settings.questions)]
    told = next((unanswered[key] for key in keys if key in unanswered), None)
    return told or row.raw.removeprefix("(no answer: ").removesuffix(")")
