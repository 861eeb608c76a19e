"""Answers that another run has stored in the meantime are not computed again."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from support.builders import user
from wim.engines import stored
from wim.engines.base import Completion, Request
from wim.engines.precisions import KnownBy
from wim.engines.stored import StoredEngine, answer_schema
from wim.engines.unopened import UnopenedModel
from wim.settings.sampling import Sampling
from wim.store.rows import RowStore

QUESTIONS = [Request(str(number), tuple(user(f"What is {number}?"))) for number in range(6)]
GREEDY = Sampling(temperature=0.0)


class Model(UnopenedModel):
    """Answers every request, and notes which it was given at once.

    meanwhile: questions that another run answers while this model is at its first ones.
    """

    def __init__(self, store: Path, meanwhile: Sequence[Request] = ()) -> None:
        self.store = store
        self.meanwhile = meanwhile
        self.given: list[list[str]] = []

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Completion]:
        """An answer to each."""
        self.given.append([request.key for request in requests])
        if others := self.meanwhile:
            self.meanwhile = ()
            other = Model(self.store)
            with RowStore(self.store, answer_schema()) as rows:
                list(StoredEngine(lambda: other, rows, KnownBy({})).generate(others, sampling))
        yield from (Completion(request.key, "It is so.", "stop", 5, 4) for request in requests)


def test_the_store_is_searched_again_before_each_group_of_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "AT_ONCE", 2)
    model = Model(tmp_path, meanwhile=[QUESTIONS[3], QUESTIONS[5]])
    with RowStore(tmp_path, answer_schema()) as rows:
        engine = StoredEngine(lambda: model, rows, KnownBy({}))
        answers = list(engine.generate(QUESTIONS, GREEDY))
    assert sorted(answer.key for answer in answers) == [each.key for each in QUESTIONS]
    assert {answer.text for answer in answers} == {"It is so."}
    assert model.given == [["0", "1"], ["2"], ["4"]]
    assert len(engine.computed) == 4
