"""The table of aspects: what a judge that rates several aspects apart said of each of them."""

from dataclasses import dataclass

from wim.tables.schemas import Table


@dataclass(frozen=True, kw_only=True)
class AspectRating:
    """A judge's view of a candidate in one aspect; without a number unless its words are usable.

    Attributes:
        candidate_id, judge: Of whom, and by whom.
        sample: The number of the judgement, from 1.
        aspect: Its name.
        status: As of a rating.
        rating: The most likely number, 1 to 10.
        rating_expected: The mean over the probabilities of the numbers.
        rating_source: What these were read from.
        wim: The words on this aspect, where they are usable.
        raw: What the judge wrote under this aspect's heading, whatever the status.
        judge_digest: That of the rating.
    """

    candidate_id: str
    judge: str
    sample: int
    aspect: str
    status: str
    rating: int | None
    rating_expected: float | None
    rating_source: str | None
    wim: str | None
    raw: str
    judge_digest: str


ASPECT_RATINGS = Table("aspects", AspectRating, key=("candidate_id", "sample", "aspect"))
