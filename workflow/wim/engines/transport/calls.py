"""Calls to an OpenAI-compatible API: many at once within limits, retried where that may help."""

import asyncio
import logging
import re
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pydantic import ValidationError

from wim.engines.transport.accepted_fields import AcceptedFields
from wim.engines.transport.api_errors import (
    Malformed,
    NoAnswer,
    NoTexts,
    Refused,
    TryAgain,
    error_text,
    retry_after,
)
from wim.engines.transport.api_key import api_key, without_key
from wim.engines.transport.batches import Batches, Fetched
from wim.engines.transport.concurrency import results
from wim.engines.transport.submissions import Submissions
from wim.engines.transport.token_budget import TokenBudget
from wim.engines.transport.usage import UsageRecord, spent_on
from wim.errors import UserError
from wim.settings.models import ApiSettings
from wim.settings.named_models import BATCH_REQUESTS

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI
    from tenacity import RetryCallState

logger = logging.getLogger(__name__)
T = TypeVar("T")
A = TypeVar("A", bound="Response")

LONGEST_WAIT = 60.0
# A request whose server asks for a longer pause is given up.
LONGEST_PAUSE = 600.0
GIVEN_UP_AFTER = 10
CHARACTERS_PER_TOKEN = 3
NO_SUCH_PAGE = (404, 405, 501)


class Response(Protocol):
    """A parsed response."""

    @property
    def tokens(self) -> int | None:
        """Tokens of the request and its answers, where the server counts them."""
        ...


class Calls:
    """The calls to one model of one API."""

    def __init__(
        self,
        name: str,
        url: str,
        api: ApiSettings,
        check: Callable[[], None] = lambda: None,
        first_wait: float = 1.0,
        usage: UsageRecord | None = None,
        submissions: Submissions | None = None,
    ) -> None:
        """Read the API's key from the environment; nothing is sent.

        Args:
            name: The model's name under `models`, for messages.
            url: The API's base address.
            api: Its settings.
            check: Called before each attempt and after each answer; raises UserError if the server
                is known to be gone.
            first_wait: Seconds before the second attempt, doubled for each further one.
            usage: Where the tokens of responses are written down; None for nowhere.
            submissions: Those to the batch API, which is then used; None to send each request.

        Raises:
            UserError: The environment variable of the key is not set or holds no key.
        """
        self.name = name
        self.url = url
        self.api = api
        self.check = check
        self.first_wait = first_wait
        self.usage = usage
        self.fields = AcceptedFields(name, api.request)
        self._key = api_key(name, api.key_env)
        self._budget = TokenBudget(api.tokens_per_minute)
        self._batches: Batches | None = None
        if submissions:
            most = getattr(api, "batch_requests", BATCH_REQUESTS)
            self._batches = Batches(
                *(name, self.url, submissions, most, first_wait, self._error_text, usage)
            )
        self._not_before = 0.0
        self._answered = 0
        self._unanswered_in_a_row = 0
        self._stopped: UserError | None = None
        self._leaving = False

    def each(self, jobs: Sequence[Callable[[], Awaitable[T]]]) -> Iterator[T]:
        """The results of jobs that use `ask`, in order of finishing; see `results`.

        When the caller stops, or one of them raises, the requests of the others are cancelled.
        After a signal no request is sent, and those in flight have a few seconds for their answers.
        """
        self._client = self._connected()
        if self._batches:
            # All requests wait together.
            self._slots = asyncio.Semaphore(sys.maxsize)
            yield from results(
                jobs, self._batches.opened(self._client, self._sent_alone), self._leave
            )
            return
        self._slots = asyncio.Semaphore(self.api.requests_in_flight)
        yield from results(jobs, self._client, self._leave)

    def close(self) -> None:
        """Note that all answers are kept, after which no batch is continued with."""
        if self._batches:
            self._batches.close()

    def _leave(self) -> None:
        self._leaving = True

    def _connected(self) -> "AsyncOpenAI":
        from openai import AsyncOpenAI, DefaultAsyncHttpxClient

        # Addresses of this machine are not reached through a proxy of the environment.
        direct = bool(re.match(r"https?://(127\.|localhost\b|\[::1\])", self.url))
        return AsyncOpenAI(
            base_url=self.url,
            # If none is given, the library takes a key from its own environment variable.
            api_key=self._key or "none",
            timeout=self.api.timeout,
            # Only what belongs to batches is sent again by the client.
            max_retries=self.api.attempts - 1 if self._batches else 0,
            http_client=DefaultAsyncHttpxClient(trust_env=not direct),
        )

    async def ask(
        self, fields: Mapping[str, Any], parse: Callable[[bytes], A], read: Callable[[A], T]
    ) -> T:
        """Send a request until its response can be parsed and read.

        Args:
            fields: Those of a chat completion; with a `prompt` instead of `messages`, those of a
                text completion.
            parse: Parses the body of a response; pydantic's ValidationError has it sent again.
            read: Reads the answer from it; Malformed has it sent again.

        Raises:
            NoAnswer: The attempts are used up, or the server refuses this request (NoTexts if it
                refuses all for texts).
            UserError: The server will refuse every request, or does not answer any more.
        """
        from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt

        attempts = AsyncRetrying(
            stop=stop_after_attempt(self.api.attempts),
            wait=self._wait,
            retry=retry_if_exception_type(TryAgain),
            reraise=True,
        )
        try:
            async for attempt in attempts:
                with attempt:
                    result = await self._attempt(fields, parse, read)
        except TryAgain as error:
            self._count_unanswered(str(error), refused=False)
            raise NoAnswer(f"{error}, at attempt {self.api.attempts}") from None
        except UserError as error:
            self._stopped = error
            raise
        self._answered += 1
        self._unanswered_in_a_row = 0
        return result

    def _wait(self, state: "RetryCallState") -> float:
        from tenacity import wait_exponential_jitter

        back_off = wait_exponential_jitter(
            multiplier=self.first_wait, max=LONGEST_WAIT, jitter=self.first_wait
        )
        error = state.outcome.exception() if state.outcome else None
        return max(back_off(state), error.pause if isinstance(error, TryAgain) else 0.0)

    async def _attempt(
        self, fields: Mapping[str, Any], parse: Callable[[bytes], A], read: Callable[[A], T]
    ) -> T:
        async with self._slots:
            # The server may have asked another request to wait meanwhile.
            while (pause := self._not_before - time.monotonic()) > 0:
                await asyncio.sleep(pause)
            spending = await self._budget.reserve(_estimate(fields))
            if self._leaving:
                # Nothing more is sent; the work ends when those in flight have answers.
                raise asyncio.CancelledError
            if self._stopped:
                raise self._stopped
            self.check()
            answer = await self._sent(fields, parse)
            self.check()
        if answer.tokens is not None:
            spending.tokens = answer.tokens
        try:
            return read(answer)
        except Malformed as error:
            raise TryAgain(str(error)) from None

    async def _sent(self, fields: Mapping[str, Any], parse: Callable[[bytes], A]) -> A:
        from openai import APIConnectionError, APIStatusError, APITimeoutError

        while True:
            sent = self.fields.of(fields)
            model = sent["model"]
            try:
                response = await self._posted(**sent)
                content = without_key(response.content, self._key)
                if self.usage and not isinstance(response, Fetched):
                    self.usage.add(spent_on(content))
                return parse(content)
            except ValidationError:
                message = self._error_text(content)
                raise TryAgain(f"an answer that is no chat completion: {message}") from None
            except APITimeoutError:
                self.check()
                raise TryAgain(f"no answer within {self.api.timeout:g} s") from None
            except APIConnectionError as error:
                self.check()
                cause = self._error_text(str(error.__cause__ or error).encode())
                raise TryAgain(f"no connection to {self.url} ({cause})") from None
            except APIStatusError as error:
                if "prompt" in sent and error.status_code in NO_SUCH_PAGE:
                    raise NoTexts(f"status {error.status_code}") from None
                if not self.fields.learn(error, sent):
                    raise self._failure(error, model) from None

    async def _posted(self, model: str, **fields: Any) -> Any:
        """The server's raw response; fields: those of a chat completion or a text completion."""
        if self._batches:
            return await self._batches.response({"model": model, **fields})
        if "prompt" in fields:
            texts = self._client.completions.with_raw_response
            return await texts.create(model=model, prompt=fields.pop("prompt"), extra_body=fields)
        chat = self._client.chat.completions.with_raw_response
        return await chat.create(model=model, messages=fields.pop("messages"), extra_body=fields)

    async def _sent_alone(self, fields: Mapping[str, Any]) -> Any:
        """The raw response to a chat completion that is in no batch."""
        more = {name: value for name, value in fields.items() if name not in ("model", "messages")}
        chat = self._client.chat.completions.with_raw_response
        return await chat.create(
            model=fields["model"], messages=fields["messages"], extra_body=more
        )

    def _failure(self, error: "APIStatusError", model: str) -> Exception:
        status, message = error.status_code, self._error_text(error.response.content)
        where = f"models.{self.name}: {self.url}"
        if status == 401 or (status == 403 and not self._answered):
            variable = self.api.key_env
            hint = f"put a valid one into the environment variable {variable}"
            if variable is None:
                hint = "name the environment variable that holds it in `api.key_env`"
            return UserError(f"{where} refused the key ({status}: {message}); {hint}.")
        if status == 404:
            return UserError(
                f"{where} knows no model '{model}', or no chat completions ({status}: {message}); "
                "correct the name in `source`, or `api.url`."
            )
        if error.code == "insufficient_quota":
            return UserError(f"{where} has no credit left ({status}: {message}).")
        if status in (408, 409, 425, 429) or status >= 500:
            pause = retry_after(error.response.headers)
            reason = f"status {status}: {message}"
            if pause > LONGEST_PAUSE:
                self._count_unanswered(reason, refused=False)
                return NoAnswer(f"{reason}; the server asks to wait {pause:.0f} s")
            self._not_before = max(self._not_before, time.monotonic() + pause)
            return TryAgain(reason, pause)
        self._count_unanswered(f"status {status}: {message}", refused=True)
        return Refused(f"status {status}: {message}")

    def _error_text(self, sent: bytes) -> str:
        return error_text(without_key(sent, self._key).decode(errors="replace"), self._key)

    def _count_unanswered(self, reason: str, refused: bool) -> None:
        """Raises UserError if the failures are no longer about single requests."""
        logger.debug("models.%s: a request without an answer: %s", self.name, reason)
        if refused and self._answered:
            return
        self._unanswered_in_a_row += 1
        if self._unanswered_in_a_row >= GIVEN_UP_AFTER:
            self._stopped = UserError(
                f"models.{self.name}: {self.url} left {GIVEN_UP_AFTER} requests in a row without "
                f"an answer, the last one by {reason}. What was answered before is stored; run "
                "again when the server answers."
            )
            raise self._stopped


def _estimate(fields: Mapping[str, Any]) -> float:
    """Tokens that a request may take, estimated before the server has counted them."""
    characters = len(fields.get("prompt", ""))
    characters += sum(len(message["content"]) for message in fields.get("messages", []))
    answers = fields.get("max_tokens", 0) * fields.get("n", 1)
    return float(characters / CHARACTERS_PER_TOKEN + answers)
