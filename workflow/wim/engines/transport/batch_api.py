"""The calls of OpenAI's batch API, of which those that change nothing are sent again.

https://platform.openai.com/docs/api-reference/batch
"""

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wim.cluster.requeue import work_was_kept
from wim.engines.transport.batch_files import PAGE, Result, results
from wim.errors import UserError

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.types import Batch

logger = logging.getLogger(__name__)
# The name under which a batch's metadata have its submission.
METADATA = "wim_submission"
ENDED = ("completed", "expired", "cancelled", "failed")
LONGEST_PAUSE = 60.0
# Looks for a batch that may have been created, each after twice the pause.
LOOKS = 4
# Looks at a batch that may fail one after another.
FAILURES = 10


@dataclass(frozen=True)
class BatchApi:
    """The batch API of a server.

    Attributes:
        name: The model's name under `models`, for messages.
        url: The API's base address.
        client: The opened client.
        first_pause: Seconds before a batch is looked at again, doubled each time.
    """

    name: str
    url: str
    client: "AsyncOpenAI"
    first_pause: float

    async def submit(self, submission: str, content: bytes) -> str:
        """Upload requests; the file's id."""
        file = await self.client.files.create(
            file=(f"{submission}.jsonl", content), purpose="batch"
        )
        return file.id

    async def create(self, submission: str, file: str) -> "Batch":
        """A new batch. Where the server does not say whether it is there, it is looked for."""
        from openai import APIConnectionError, InternalServerError

        # Sending this once more by itself, as the client does, could create a second one.
        once = self.client.with_options(max_retries=0)
        try:
            return await once.batches.create(
                completion_window="24h",
                endpoint=PAGE,
                input_file_id=file,
                metadata={METADATA: submission},
            )
        except (APIConnectionError, InternalServerError):
            for look in range(LOOKS):
                await asyncio.sleep(2**look * self.first_pause)
                if batch := await self.find(submission):
                    return batch
            raise

    async def find(self, submission: str) -> "Batch | None":
        """The batch of a submission by its metadata, None where the server has none."""
        async for batch in self.client.batches.list(limit=100):
            if (batch.metadata or {}).get(METADATA) == submission:
                return batch
        return None

    async def ended(self, name: str) -> "Batch":
        """A batch when it has ended."""
        from openai import APIConnectionError, InternalServerError, RateLimitError

        pause, failures, told = self.first_pause, 0, None
        while True:
            try:
                batch = await self.client.batches.retrieve(name)
                failures = 0
            except (APIConnectionError, InternalServerError, RateLimitError) as error:
                failures += 1
                if failures >= FAILURES:
                    raise UserError(
                        f"models.{self.name}: {self.url} does not say how batch {name} is "
                        f"({error}); run again to continue with it."
                    ) from None
                await asyncio.sleep(pause)
                continue
            if batch.status in ENDED:
                return batch
            # On a cluster a job may wait for a batch through many of its time limits.
            work_was_kept()
            counts = batch.request_counts
            if counts and told != (told := (batch.status, counts.completed)):
                logger.info(
                    "batch %s: %s, %d of %d done",
                    *(name, batch.status, counts.completed, counts.total),
                )
            await asyncio.sleep(pause)
            pause = min(2 * pause, max(self.first_pause, LONGEST_PAUSE))

    async def fetch(self, batch: "Batch") -> dict[str, Result]:
        """The results of a batch, by the names of its requests."""
        found: dict[str, Result] = {}
        for file in filter(None, (batch.output_file_id, batch.error_file_id)):
            found |= dict(results((await self.client.files.content(file)).content))
        return found
