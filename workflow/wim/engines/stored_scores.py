"""Scores of a reward model: looked up first, and computed where they are missing."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wim.engines.precisions import Identity, KnownBy, known_by
from wim.engines.reward_model_engine import Conversation, Score, Scorer, ScoringModel
from wim.engines.staged import StagedModel
from wim.engines.stored import COMPLETION, LOCAL, answer_schema
from wim.provenance.code import code_digest
from wim.provenance.code_changes import stored_code
from wim.provenance.digest import digest_of
from wim.store.memo import Memo

if TYPE_CHECKING:
    from wim.store.rows import RowStore

SCORE = "score"


class StoredScores:
    """Scores from a store; a reward model computes those that are missing, and they are kept.

    The key of a score is made of `known_by` (the model's digest and precision, and the code that
    decides a score) and the conversation. `computed` holds the keys that the store lacked.
    """

    def __init__(
        self, open_model: Callable[[], Scorer], store: "RowStore", known_by: KnownBy
    ) -> None:
        self._open_model = open_model
        self._model: Scorer | None = None
        self._known_by = known_by
        self._memo: Memo[str, Score] = Memo(store, _stored_score, _score_row)

    @property
    def computed(self) -> set[str]:
        """The keys of the scores that the store lacked."""
        return self._memo.missing

    def scores(self, conversations: Sequence[Conversation]) -> list[Score]:
        """The scores of conversations, in their order; one that is not finite is not kept."""
        own = self._known_by.identity
        keys = [_key(own, each) for each in conversations]
        by_key = dict(zip(keys, conversations, strict=True))

        def key_of(key: str, identity: Identity) -> str:
            return _key(identity, by_key[key])

        def compute(missing: list[str]) -> Iterator[tuple[str, Score]]:
            lacking = self._known_by.lacking(self._memo, missing, key_of)
            self.computed.difference_update(set(missing) - lacking)
            self._model = self._model or self._open_model()
            found = self._model.scores([by_key[key] for key in missing])
            yield from ((missing[place], score) for place, score in found)

        scores = dict(self._memo.values({key: key for key in by_key}, compute))
        return [scores[key] for key in keys]


def _key(identity: Identity, conversation: Conversation) -> str:
    return digest_of({**identity, "scored": asdict(conversation)})


def _score_row(score: Score) -> dict[str, object] | None:
    if score.value is None or not math.isfinite(score.value):
        return None
    row: dict[str, object] = dict.fromkeys(COMPLETION)
    return row | {"logprobs": [score.value], "prompt_tokens": score.tokens}


def _stored_score(_: str, row: Mapping[str, Any]) -> Score:
    return Score(row["logprobs"][0], row["prompt_tokens"])


def score_code() -> str:
    """The digest of the code that decides a reward model's score."""
    return code_digest(
        Path(__file__).with_name("reward_model_engine.py"),
        within=(*LOCAL, "wim.engines.turn_format"),
    )


@contextmanager
def open_scorer(model: StagedModel) -> Iterator[StoredScores]:
    """A staged reward model with its store, opened when a first score is missing."""
    from wim.store.rows import RowStore

    code = stored_code(model.store, score_code(), SCORE)
    identity = {"scorer": model.digest, "code": code}
    known = known_by(identity, model.source, model.unopened)

    def open_model() -> Scorer:
        if model.unopened:
            from wim.engines.unopened import UnopenedModel

            return UnopenedModel()
        from wim.cluster.gpu_checks import check_gpus
        from wim.engines.memory import HalvingScorer, explain_memory

        check_gpus()
        rule = model.store.name
        with explain_memory(rule, "while the model was opened"):
            scorer = ScoringModel(model.folder, str(known.identity["dtype"]), model.batch_size)
        return HalvingScorer(scorer, rule)

    with RowStore(model.store, answer_schema(), waits=not model.unopened) as rows:
        yield StoredScores(open_model, rows, known)
