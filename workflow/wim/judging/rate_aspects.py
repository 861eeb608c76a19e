"""The ratings of a shard of dialogues by a judge of aspects, each judgement once or several times."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from wim.engines.staged import StagedModel
from wim.engines.stored import StoredEngine, open_engine
from wim.judging.aspects import AspectsJudge, number_key
from wim.judging.sample_tables import (
    counted,
    each_sample,
    sample_of,
    warn_if_none_is_usable,
    write_samples,
)
from wim.provenance.code_changes import rows_of
from wim.settings.sampled_judges import NamedJudge
from wim.tables.aspects import ASPECT_RATINGS, AspectRating
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
    from wim.tables.files import write_table

    candidates = read_judged(dialogues, conversations, reasoning)
    with rows_of(STAGE), open_engine(model) as engine:
        rater = judge_of_aspects(judge, engine, templates, settings, seed, model.identity)
        found, of_aspects = rated_aspects(rater, candidates, samples)
        new, unanswered = len(engine.computed), dict(engine.unanswered)
    write_samples(judge, found, _reasons(candidates, samples, settings, unanswered), outputs)
    for aspect in settings.questions:
        statuses = [row.status for row in of_aspects if row.aspect == aspect]
        logger.info("%s by %s: %s", aspect, judge, counted(statuses))
        warn_if_none_is_usable(f"{aspect} by {judge}", statuses)
    rows_of_aspects = pa.Table.from_pylist(
        [vars(row) for row in of_aspects], schema=ASPECT_RATINGS.schema
    )
    write_table(aspects, ASPECT_RATINGS, rows_of_aspects)
    logger.info(
        "ratings by %s: %d samples of %d rows, %d judged", judge, samples, len(candidates), new
    )


def judge_of_aspects(
    name: str,
    engine: StoredEngine,
    templates: list[Path],
    settings: NamedJudge,
    seed: int,
    model_digest: str,
) -> AspectsJudge:
    """The judge of the aspects that the settings name."""
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


def _reasons(
    candidates: Sequence[Candidate], samples: int, settings: NamedJudge, unanswered: dict[str, str]
) -> dict[str, str]:
    """Why a server did not answer on a judged candidate: the text's reason, or a number's."""
    found = {}
    for judged in (row.candidate_id for row in each_sample(candidates, samples)):
        keys = [judged, *(number_key(judged, each) for each in settings.questions)]
        if reasons := [unanswered[key] for key in keys if key in unanswered]:
            found[judged] = reasons[0]
    return found
