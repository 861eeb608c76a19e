"""Rows are known by the precision that computed them, in a store that unlike machines share."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from support.builders import user
from wim.engines import precisions
from wim.engines.base import ChoiceLogprobs, Completion, Request
from wim.engines.precisions import KnownBy, known_by
from wim.engines.reward_model_engine import Conversation, Score
from wim.engines.stored import StoredEngine, answer_schema
from wim.engines.stored_scores import StoredScores
from wim.engines.turn_format import Turn
from wim.engines.unopened import UnopenedModel
from wim.settings.models import ModelSource
from wim.settings.sampling import Sampling
from wim.store.rows import RowStore

QUESTIONS = [Request(str(number), tuple(user(f"What is {number}?"))) for number in range(3)]
CONVERSATIONS = [
    Conversation(tuple(user(f"What is {number}?")), Turn("That.")) for number in range(3)
]
AUTO = ModelSource(source="path:model")


class Model(UnopenedModel):
    """Answers and scores everything."""

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Completion]:
        """One answer to all."""
        yield from (Completion(each.key, "It is so.", "stop", 5, 4) for each in requests)

    def choice_logprobs(
        self, requests: Sequence[Request], choices: Sequence[str]
    ) -> Iterator[ChoiceLogprobs]:
        """One choice for all."""
        yield from (ChoiceLogprobs(each.key, (-1.0,) * len(choices), 5) for each in requests)

    def scores(self, conversations: Sequence[Conversation]) -> Iterator[tuple[int, Score]]:
        """One score for all."""
        yield from ((place, Score(0.5, 3)) for place in range(len(conversations)))


def computed(store: Path, known: KnownBy, count: int) -> tuple[int, int]:
    """How many of the first answers with their choices, and of the scores, the store lacks."""
    with RowStore(store, answer_schema()) as rows:
        engine = StoredEngine(Model, rows, known)
        list(engine.generate(QUESTIONS[:count], Sampling(temperature=0.0)))
        list(engine.choice_logprobs(QUESTIONS[:count], ["A", "B"]))
    with RowStore(store, answer_schema()) as rows:
        scores = StoredScores(Model, rows, known)
        scores.scores(CONVERSATIONS[:count])
    return len(engine.computed), len(scores.computed)


def test_a_machine_of_another_precision_computes_its_own_rows_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def of_machine(precision: str) -> KnownBy:
        monkeypatch.setattr(precisions, "fitting_precision", lambda _: precision)
        return known_by({"model": "m"}, AUTO, unopened=False)

    assert computed(tmp_path, of_machine("bfloat16"), 2) == (2, 2)
    assert not caplog.records
    assert computed(tmp_path, of_machine("float32"), 3) == (3, 3)
    assert "in the store in bfloat16" in caplog.text and "dtype: bfloat16" in caplog.text
    # Both have theirs now, and so has who names the precision.
    caplog.clear()
    assert computed(tmp_path, of_machine("bfloat16"), 2) == (0, 0)
    named = ModelSource(source="path:model", dtype="float32")
    assert computed(tmp_path, known_by({"model": "m"}, named, unopened=False), 3) == (0, 0)
    assert not caplog.records


def test_rows_that_are_only_counted_are_known_in_whatever_precision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(precisions, "fitting_precision", lambda _: "bfloat16")
    computed(tmp_path, known_by({"model": "m"}, AUTO, unopened=False), 2)

    def unasked(_: str) -> str:
        raise AssertionError("the machine that plans is not the one that computes")

    monkeypatch.setattr(precisions, "fitting_precision", unasked)
    planned = known_by({"model": "m"}, AUTO, unopened=True)
    assert computed(tmp_path, planned, 3) == (1, 1)
    assert not caplog.records


def test_a_model_behind_a_server_is_known_by_no_precision() -> None:
    served = ModelSource(source="path:model", serve="vllm serve {folder} --port {port}")
    assert known_by({"model": "m"}, served, unopened=False) == KnownBy({"model": "m"})
