"""What a rating says: the status of the judgement, and the scale of its number."""

from enum import StrEnum

LOWEST, HIGHEST = 1, 10


class Status(StrEnum):
    """The outcome of a judgement. Only OK and NOTHING_MISSING give a reward.

    UNREADABLE is not a judgement's but a reward's: it needs a cosine, and the encoder knows nothing
    of the response or of the critique.
    """

    OK = "ok"
    NOTHING_MISSING = "nothing_missing"
    ECHO = "echo"
    TRUNCATED = "truncated"
    UNPARSABLE = "unparsable"
    REFUSED = "refused"
    ERROR = "error"
    UNREADABLE = "unreadable"

    @property
    def usable(self) -> bool:
        """Whether the judgement may give a reward."""
        return self in (Status.OK, Status.NOTHING_MISSING)
