"""Which batches of requests were submitted, kept beside the rows that they are to give.

A submission is written down before a server is asked for its batch, and again with the batch's id.
The batch itself has the submission's name in its metadata, so that it is found after a kill in
between, and its requests are asked once.
"""

import json
import logging
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from wim.atomic import whole_file

logger = logging.getLogger(__name__)
FOLDER = ".batches"


@dataclass(frozen=True)
class Submission:
    """Requests that were submitted together.

    Attributes:
        url: The API's base address.
        requests: The names of the requests in the batch.
        batch: The batch's id on the server; None until the server has told it.
        name: Its own name.
    """

    url: str
    requests: Sequence[str]
    batch: str | None = None
    name: str = field(default_factory=lambda: secrets.token_hex(16))


class Submissions:
    """The submissions of a stage, in a hidden folder of its row store; jobs share them."""

    def __init__(self, store: Path) -> None:
        """Nothing is written yet; store: the stage's folder in the row store."""
        self._folder = store / FOLDER

    def of(self, url: str) -> Iterator[Submission]:
        """Those to an API, by name. A file that is none is passed over."""
        for path in sorted(self._folder.glob("*.json")):
            try:
                found = Submission(**json.loads(path.read_text(encoding="utf-8")))
            except (OSError, ValueError, TypeError):
                logger.warning("%s: no submitted batch could be read; it is passed over", path)
                continue
            if found.url == url:
                yield found

    def keep(self, submission: Submission) -> None:
        """Write a submission down, in place of its former state."""
        with whole_file(self._path(submission)) as partial:
            partial.write_text(json.dumps(asdict(submission)), encoding="utf-8")

    def forget(self, submission: Submission) -> None:
        """Remove a submission whose answers are kept, or that came to nothing."""
        self._path(submission).unlink(missing_ok=True)

    def _path(self, submission: Submission) -> Path:
        return self._folder / f"{submission.name}.json"
