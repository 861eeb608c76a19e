"""Running out of memory: the batch is halved, and the rows that have no answer yet are run again."""

import gc
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeVar

from wim.engines.base import ChoiceLogprobs, Completion, Engine, Request
from wim.engines.reward_model_engine import Conversation, Score, Scorer
from wim.errors import UserError
from wim.settings.sampling import Sampling

logger = logging.getLogger(__name__)
Row = TypeVar("Row")
Answer = TypeVar("Answer")
# What torch reports when the CPU's memory runs out, or a library's own allocation on a GPU.
NO_MEMORY = (
    "not enough memory",
    "can't allocate memory",
    "cannot allocate memory",
    "out of memory",
    "cublas_status_alloc_failed",
)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out."""
    import torch

    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(
        words in str(error).lower() for words in NO_MEMORY
    )


class Batched(Protocol):
    """A model that is run on several rows at once."""

    batch_size: int


class LocalBatched(Batched, Engine, Protocol):
    """An engine that is run on several rows at once."""


class ScorerBatched(Batched, Scorer, Protocol):
    """A reward model that is run on several rows at once."""


def halving(
    model: Batched,
    rule: str,
    rows: Sequence[Row],
    answers: Callable[[Sequence[Row]], Iterator[Answer]],
    row_of: Callable[[Answer], Row],
) -> Iterator[Answer]:
    """The answers of all rows, in smaller batches after memory has run out.

    Args:
        model: Whose `batch_size` is halved.
        rule: The rule whose resource batch_size it is, for messages.
        rows: The rows, which are hashable.
        answers: Runs the model on some rows.
        row_of: The row that an answer belongs to.

    Raises:
        UserError: Memory runs out with one row.
    """
    waiting = dict.fromkeys(rows)
    while waiting:
        try:
            for answer in answers(list(waiting)):
                del waiting[row_of(answer)]
                yield answer
            return
        except Exception as error:
            if not out_of_memory(error):
                raise
            size = model.batch_size
            if size == 1:
                raise UserError(_message(rule, "with one row at a time", error)) from error
        # After the error is gone, which holds the tensors of its frames.
        _free()
        model.batch_size = size // 2
        logger.warning(
            "memory ran out with batches of %d; %d rows go on in batches of %d. To begin with these, "
            "write --set-resources %s:batch_size=%d (it reruns nothing).",
            *(size, len(waiting), size // 2, rule, size // 2),
        )


@contextmanager
def explain_memory(rule: str, when: str) -> Iterator[None]:
    """Turn running out of memory into a UserError that says `when`."""
    try:
        yield
    except Exception as error:
        if out_of_memory(error):
            raise UserError(_message(rule, when, error)) from error
        raise


def _message(rule: str, when: str, error: Exception) -> str:
    said = (str(error) or type(error).__name__).splitlines()[0]
    return (
        f"{rule}: memory ran out {when} ({said}). Write the model's quantization: nf4 or dtype: "
        "bfloat16, a lower max_new_tokens, or have a larger GPU, or on a CPU more mem_mb; `wim size` "
        "tells how much."
    )


def _free() -> None:
    """Give back what is no longer in use."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


class HalvingEngine:
    """A local engine that goes on in smaller batches when memory runs out; see Engine."""

    def __init__(self, engine: LocalBatched, rule: str) -> None:
        self.engine, self.rule = engine, rule

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Completion]:
        """See Engine.generate."""
        by_key = {request.key: request for request in requests}
        yield from halving(
            self.engine,
            self.rule,
            list(by_key),
            lambda keys: self.engine.generate([by_key[key] for key in keys], sampling),
            lambda answer: answer.key,
        )

    def choice_logprobs(
        self, requests: Sequence[Request], choices: Sequence[str]
    ) -> Iterator[ChoiceLogprobs]:
        """See Engine.choice_logprobs."""
        by_key = {request.key: request for request in requests}
        yield from halving(
            self.engine,
            self.rule,
            list(by_key),
            lambda keys: self.engine.choice_logprobs([by_key[key] for key in keys], choices),
            lambda answer: answer.key,
        )


class HalvingScorer:
    """A reward model that goes on in smaller batches when memory runs out; see Scorer."""

    def __init__(self, scorer: ScorerBatched, rule: str) -> None:
        self.scorer, self.rule = scorer, rule

    def scores(self, conversations: Sequence[Conversation]) -> Iterator[tuple[int, Score]]:
        """See Scorer.scores."""

        def some(places: Sequence[int]) -> Iterator[tuple[int, Score]]:
            found = self.scorer.scores([conversations[place] for place in places])
            yield from ((places[number], score) for number, score in found)

        places = range(len(conversations))
        yield from halving(self.scorer, self.rule, places, some, lambda answer: answer[0])
