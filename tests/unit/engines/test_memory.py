"""Memory that runs out: the batch is halved, and nothing that is done is done again."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch

from wim.engines.base import Completion, Request
from wim.engines.local.engine import LocalEngine
from wim.engines.memory import HalvingEngine, HalvingScorer, explain_memory, out_of_memory
from wim.engines.reward_model_engine import Conversation, Score
from wim.engines.turn_format import Turn
from wim.errors import UserError
from wim.settings.sampling import Sampling

REQUESTS = [
    Request(f"{number}", ({"role": "user", "content": "word " * (number + 1)},), seed=number)
    for number in range(10)
]
SAMPLING = Sampling(max_new_tokens=6)


class Small(LocalEngine):
    """An engine on a card with room for so many rows."""

    room = 3

    def _prefilled(self, batch, *more):  # type: ignore[no-untyped-def]
        if len(batch) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore")
        return super()._prefilled(batch, *more)


def small(model: Path, room: int) -> Small:
    engine = Small(model, "float32", 8)
    engine.room, engine.choices_alone = room, False
    return engine


def test_rows_without_an_answer_go_on_in_smaller_batches_and_are_what_they_are(
    tiny_model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = {
        row.key: row for row in LocalEngine(tiny_model, "float32").generate(REQUESTS, SAMPLING)
    }
    engine = small(tiny_model, 3)
    with caplog.at_level(logging.WARNING, "wim"):
        found = list(HalvingEngine(engine, "generate_dialogues").generate(REQUESTS, SAMPLING))
    assert {row.key: row for row in found} == whole and len(found) == len(REQUESTS)
    assert engine.batch_size == 2
    told = [record.getMessage() for record in caplog.records]
    assert (
        "10 rows go on in batches of 4" in told[0] and "generate_dialogues:batch_size=4" in told[0]
    )
    assert "generate_dialogues:batch_size=2" in told[1] and len(told) == 2
    # The next rows begin with what fitted.
    list(HalvingEngine(engine, "generate_dialogues").generate(REQUESTS, SAMPLING))
    assert len(caplog.records) == 2


def test_probabilities_of_choices_too(tiny_model: Path) -> None:
    engine = small(tiny_model, 3)
    found = list(HalvingEngine(engine, "rate_candidates").choice_logprobs(REQUESTS, ["1", "2"]))
    assert {row.key for row in found} == {row.key for row in REQUESTS} and engine.batch_size == 2


def test_one_row_that_does_not_fit_is_an_error_that_says_what_to_write(tiny_model: Path) -> None:
    engine = HalvingEngine(small(tiny_model, 0), "rate_candidates")
    with pytest.raises(UserError) as error:
        list(engine.generate(REQUESTS, SAMPLING))
    for part in ("rate_candidates: memory ran out with one row", "2.00 GiB.)", "quantization: nf4"):
        assert part in str(error.value)


class Rows:
    """Answers to rows until memory runs out in the middle of a batch."""

    def __init__(self, fault: Exception) -> None:
        self.batch_size, self.runs, self.fault = 4, [], fault

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Completion]:
        self.runs.append([request.key for request in requests])
        for number, request in enumerate(requests):
            if number == 2 and len(self.runs) == 1:
                raise self.fault
            yield Completion(request.key, "", "stop", 1, 1)

    choice_logprobs = generate

    def scores(self, rows: Sequence[Conversation]) -> Iterator[tuple[int, Score]]:
        self.runs.append([row.turn.answer for row in rows])
        for number in reversed(range(len(rows))):
            if len(self.runs) == 1 and number < 3:
                raise self.fault
            yield number, Score(float(len(rows[number].turn.answer)), 1)


def test_what_was_answered_before_is_not_asked_for_again() -> None:
    rows = Rows(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"))
    found = list(HalvingEngine(rows, "rate_candidates").generate(REQUESTS[:5], SAMPLING))
    assert [row.key for row in found] == ["0", "1", "2", "3", "4"]
    assert rows.runs == [["0", "1", "2", "3", "4"], ["2", "3", "4"]] and rows.batch_size == 2


def test_scores_keep_their_places() -> None:
    rows = Rows(torch.OutOfMemoryError("CUDA out of memory."))
    asked = [Conversation((), Turn("x" * number)) for number in range(5)]
    found = dict(HalvingScorer(rows, "rate_candidates").scores(asked))
    assert {place: score.value for place, score in found.items()} == {n: n for n in range(5)}
    assert len(rows.runs) == 2 and len(rows.runs[1]) == 3


def test_other_errors_stay_what_they_are() -> None:
    rows = Rows(RuntimeError("shapes do not fit"))
    with pytest.raises(RuntimeError, match="shapes"):
        list(HalvingEngine(rows, "rate_candidates").generate(REQUESTS[:5], SAMPLING))
    assert rows.batch_size == 4
    with pytest.raises(RuntimeError, match="shapes"), explain_memory("embed_critiques", "here"):
        raise RuntimeError("shapes")
    assert out_of_memory(RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"))


def test_an_encoder_or_a_model_that_does_not_fit_is_told() -> None:
    with (
        pytest.raises(UserError, match="embed_critiques: memory ran out with one text at a time"),
        explain_memory("embed_critiques", "with one text at a time"),
    ):
        raise MemoryError
