"""Asking by OpenAI's batch API: requests are gathered, submitted as files, and their results fetched.

https://platform.openai.com/docs/api-reference/batch
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from wim.engines.transport.api_errors import TryAgain
from wim.engines.transport.batch_api import BatchApi
from wim.engines.transport.batch_files import Result, portions, request_line
from wim.engines.transport.submissions import Submission, Submissions
from wim.engines.transport.usage import Spent, UsageRecord, spent_on
from wim.errors import UserError
from wim.provenance.digest import digest_of

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.types import Batch

logger = logging.getLogger(__name__)
# Seconds in which no request comes before those that wait are submitted.
GATHERING = 0.05
NAME_LENGTH = 40
NO_SUCH_PAGE = (404, 405, 501)


@dataclass(frozen=True)
class Fetched:
    """The content of a response that came in a batch."""

    content: bytes


@dataclass
class Waiting:
    """A request that waits for its result."""

    fields: Mapping[str, Any]
    future: "asyncio.Future[Any]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Batches:
    """The batches of one model of one API.

    A request is known by its content and by how often it was asked before in this job. A job that
    was killed asks the same again, and so finds the results of what it has submitted.
    """

    def __init__(
        self,
        name: str,
        url: str,
        submissions: Submissions,
        most: int,
        first_pause: float,
        words: Callable[[bytes], str],
        usage: UsageRecord | None = None,
    ) -> None:
        """Nothing is sent.

        Args:
            name: The model's name under `models`, for messages.
            url: The API's base address.
            submissions: What was submitted before.
            most: Requests in a batch at most.
            first_pause: Seconds before a batch is looked at again, doubled each time.
            words: What a server's error says, in words and without a key.
            usage: Where the tokens of a batch are written down.
        """
        self.name = name
        self.url = url
        self.submissions = submissions
        self.most = most
        self.first_pause = first_pause
        self.words = words
        self.usage = usage
        self._asked: Counter[str] = Counter()
        self._submitted: dict[str, Submission] = {}
        self._results: dict[str, dict[str, Result]] = {}
        self._fetching: dict[str, asyncio.Lock] = {}
        self._used: dict[str, Submission] = {}
        self._own: set[str] = set()
        self._read = False

    def close(self) -> None:
        """Forget the submissions whose results were used, once the answers are kept."""
        for submission in self._used.values():
            self.submissions.forget(submission)

    @asynccontextmanager
    async def opened(
        self, client: "AsyncOpenAI", post: Callable[[Mapping[str, Any]], Awaitable[Any]]
    ) -> AsyncIterator[None]:
        """Take requests inside the context; what waits when it ends is left on the server.

        Args:
            client: Opened with it.
            post: Sends a request by itself, for one that nothing waits with.
        """
        if not self._read:
            self._read = True
            for each in self.submissions.of(self.url):
                self._submitted |= dict.fromkeys(each.requests, each)
        self._api = BatchApi(self.name, self.url, client, self.first_pause)
        self._post = post
        self._waiting: dict[str, Waiting] = {}
        self._fetching = {}
        self._came = asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()
        async with client:
            gathering = asyncio.ensure_future(self._gather(tasks))
            try:
                yield
            finally:
                for task in (gathering, *tasks):
                    task.cancel()
                await asyncio.gather(gathering, *tasks, return_exceptions=True)

    async def response(self, fields: Mapping[str, Any]) -> Any:
        """The response to a request, when its batch has ended.

        Raises:
            APIStatusError: As the server answered this request.
            TryAgain: The batch ended without it.
            UserError: The batch failed, or there is no batch API.
        """
        digest = digest_of(fields)[:NAME_LENGTH]
        name = f"{digest}-{self._asked[digest]}"
        self._asked[digest] += 1
        waiting = self._waiting[name] = Waiting(fields)
        self._came.set()
        return await waiting.future

    async def _gather(self, tasks: set["asyncio.Task[None]"]) -> None:
        while True:
            await self._came.wait()
            number = -1
            while number != len(self._waiting):
                number = len(self._waiting)
                await asyncio.sleep(GATHERING)
            self._came.clear()
            waiting, self._waiting = self._waiting, {}
            for group in self._groups(waiting):
                task = asyncio.ensure_future(self._answer(group))
                tasks.add(task)
                task.add_done_callback(tasks.discard)

    def _groups(self, waiting: dict[str, Waiting]) -> list[dict[str, Waiting]]:
        """Requests by the submission that they are in; new ones by the file that they go into."""
        known: dict[str, dict[str, Waiting]] = {}
        new: dict[str, bytes] = {}
        for name, one in waiting.items():
            if submission := self._submitted.get(name):
                known.setdefault(submission.name, {})[name] = one
            else:
                new[name] = request_line(name, one.fields)
        files = portions(new, self.most)
        return [*known.values(), *({name: waiting[name] for name in names} for names in files)]

    async def _answer(self, group: dict[str, Waiting]) -> None:
        """Give each request of a group its result, those that succeeded first."""
        try:
            submission = self._submitted.get(next(iter(group)))
            if submission is None:
                if len(group) == 1:
                    (alone,) = group.values()
                    alone.future.set_result(await self._post(alone.fields))
                    return
                submission = await self._submit(group)
            found = await self._results_of(submission)
            if found is None:
                # It was never created, or is of another account: its requests are asked anew.
                for name in submission.requests:
                    self._submitted.pop(name, None)
                self._waiting |= group
                self._came.set()
                return
            missing = TryAgain(f"batch {submission.batch} ended without an answer")
            order = sorted(group, key=lambda name: getattr(found.get(name), "status", None) != 200)
            for name in order:
                _settle(group[name].future, found.get(name), missing)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001, it is raised where the request was made
            for one in group.values():
                if not one.future.done():
                    one.future.set_exception(error)

    async def _submit(self, group: Mapping[str, Waiting]) -> Submission:
        """Create a batch of new requests; it is written down before and after."""
        from openai import APIConnectionError, APIStatusError

        submission = Submission(self.url, list(group))
        self._own.add(submission.name)
        content = b"".join(request_line(name, one.fields) for name, one in group.items())
        try:
            file = await self._api.submit(submission.name, content)
            self.submissions.keep(submission)
            batch = await self._api.create(submission.name, file)
        except APIStatusError as error:
            self.submissions.forget(submission)
            if error.status_code in NO_SUCH_PAGE:
                raise UserError(
                    f"models.{self.name}.api.batch: {self.url} has no batch API (status "
                    f"{error.status_code}: {self.words(error.response.content)}); leave it out."
                ) from None
            raise
        except APIConnectionError as error:
            raise TryAgain(f"no connection to {self.url} ({error})") from None
        submission = self._now_in(submission, batch.id)
        logger.info("batch %s of %d requests is submitted", batch.id, len(group))
        return submission

    def _now_in(self, submission: Submission, batch: str) -> Submission:
        """Note the batch that a submission has become."""
        submission = replace(submission, batch=batch)
        self.submissions.keep(submission)
        self._submitted |= dict.fromkeys(submission.requests, submission)
        return submission

    async def _results_of(self, submission: Submission) -> dict[str, Result] | None:
        """The results of a submission when its batch has ended; None where there is no batch."""
        from openai import NotFoundError

        self._used[submission.name] = submission
        async with self._fetching.setdefault(submission.name, asyncio.Lock()):
            if submission.name in self._results:
                return self._results[submission.name]
            if submission.batch is None:
                found = await self._api.find(submission.name)
                if found is None:
                    return None
                submission = self._now_in(submission, found.id)
                logger.info("batch %s was submitted before; continuing with it", found.id)
            try:
                batch = await self._api.ended(str(submission.batch))
                fetched = await self._api.fetch(batch)
            except NotFoundError as error:
                if submission.name not in self._own:
                    return None
                raise UserError(
                    f"models.{self.name}: {self.url} does not know batch {submission.batch} any more, "
                    f"which it created in this job ({self.words(error.response.content)}); run again."
                ) from None
            self._count(batch, fetched)
            self._check(batch, submission, fetched)
            self._results[submission.name] = fetched
            return fetched

    def _count(self, batch: "Batch", fetched: Mapping[str, Result]) -> None:
        """Write the tokens of a batch down."""
        spent = Spent()
        for one in fetched.values():
            if one.status == 200:
                spent += spent_on(one.body)
        if self.usage and spent.requests:
            self.usage.add(spent, batch.id)

    def _check(self, batch: "Batch", submission: Submission, fetched: Mapping[str, Result]) -> None:
        """Raise UserError for a batch that the server refused, or that someone has cancelled."""
        if batch.status == "failed":
            self._used.pop(submission.name, None)
            self.submissions.forget(submission)
            errors = (batch.errors and batch.errors.data) or []
            said = "; ".join(str(one.message or one.code) for one in errors[:3]) or "no reason"
            raise UserError(
                f"models.{self.name}: batch {batch.id} was refused ({self.words(said.encode())}). "
                "If too many tokens wait in the API's queue, lower `api.batch_requests`, or run "
                "again later."
            )
        answered = [name for name, one in fetched.items() if one.status == 200]
        missing = len(set(submission.requests) - set(answered))
        if batch.status == "cancelled" and missing:
            self._used.pop(submission.name, None)
            # What was answered before is taken the next time, and the rest is submitted anew.
            self.submissions.forget(submission)
            if answered:
                self.submissions.keep(replace(submission, requests=answered))
            raise UserError(
                f"models.{self.name}: batch {batch.id} was cancelled on the server; run again to "
                f"submit the {missing} requests that it had not answered."
            )


def _settle(future: "asyncio.Future[Any]", found: Result | None, missing: TryAgain) -> None:
    """Give a request what became of it."""
    if future.done():
        return
    if found is None:
        future.set_exception(missing)
    elif found.status is None:
        future.set_exception(TryAgain(f"in its batch: {found.reason}"))
    elif found.status == 200:
        future.set_result(Fetched(found.body))
    else:
        future.set_exception(found.error)
