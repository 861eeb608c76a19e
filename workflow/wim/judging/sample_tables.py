"""Several judgements of each candidate: the ids that they are asked by, and a table for each sample."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from wim.engines.failures import check_answers
from wim.settings.sampled_judges import SAMPLE, sample_names
from wim.tables.ratings import Status
from wim.tables.schemas import Candidate, Rating

logger = logging.getLogger(__name__)


def each_sample(candidates: Sequence[Candidate], samples: int) -> list[Candidate]:
    """Each candidate as often as it is judged, one after the other, each time by an id of its own."""
    return [
        replace(row, candidate_id=id_of_sample(row.candidate_id, sample))
        for row in candidates
        for sample in range(1, samples + 1)
    ]


def id_of_sample(candidate_id: str, sample: int) -> str:
    """The id by which a sample of a candidate is judged; the candidate's own of the first."""
    return candidate_id if sample == 1 else f"{candidate_id}{SAMPLE}{sample}"


def sample_of(judged_id: str) -> tuple[str, int]:
    """The candidate that such an id is of, and the number of the sample, from 1."""
    candidate, _, sample = judged_id.partition(SAMPLE)
    return candidate, int(sample or 1)


def counted(statuses: Sequence[str]) -> str:
    """How many judgements have each status, in words."""
    counts = {status: statuses.count(status) for status in Status}
    return ", ".join(f"{count} {status}" for status, count in counts.items() if count) or "none"


def warn_if_none_is_usable(what: str, statuses: Sequence[str]) -> None:
    """Warn where there are judgements, and all of them failed.

    Args:
        what: The judgements, for the message: "ratings by gpt".
        statuses: That of each.
    """
    if statuses and not any(Status(status).usable for status in statuses):
        logger.warning("%s: none of %d is usable: %s", what, len(statuses), counted(statuses))


def write_samples(
    judge: str,
    ratings: Sequence[Sequence[Rating]],
    unanswered: Mapping[str, str],
    outputs: Sequence[Path],
) -> None:
    """Write a ratings table for each sample, and log how many judgements of it have each status.

    Args:
        judge: The judge's name.
        ratings: Those of each sample, by the candidates' own ids.
        unanswered: Why a server answered no request on a candidate, by the id that it was judged by.
        outputs: A table for each sample at least; those after the last sample have no row.

    Raises:
        UserError: Every judgement of a sample is an error.
    """
    from wim.tables.files import as_arrow, write_table
    from wim.tables.schemas import RATINGS

    names = sample_names(judge, len(ratings))
    for sample, (name, rows) in enumerate(zip(names, ratings, strict=True), start=1):
        statuses = [row.status for row in rows]
        logger.info("ratings by %s: %d rows: %s", name, len(rows), counted(statuses))
        reasons = [
            unanswered.get(id_of_sample(row.candidate_id, sample))
            or row.raw.removeprefix("(no answer: ").removesuffix(")")
            for row in rows
            if row.status == Status.ERROR
        ]
        check_answers(f"ratings by {name}", len(rows), reasons)
        warn_if_none_is_usable(f"ratings by {name}", statuses)
        write_table(outputs[sample - 1], RATINGS, as_arrow(RATINGS, rows), failed=len(reasons))
    for output in outputs[len(ratings) :]:
        write_table(output, RATINGS, as_arrow(RATINGS, []))
