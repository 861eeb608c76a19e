"""An engine that looks its answers up first, and opens a model only for those that are missing."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wim.code_changes import stored_code
from wim.digest import code_digest, digest_of
from wim.engines.base import ChoiceLogprobs, Completion, Engine, Request
from wim.settings.sampling import Sampling

if TYPE_CHECKING:
    import pyarrow as pa

    from wim.rowstore import RowStore

logger = logging.getLogger(__name__)
# What does not decide an answer: an edit there leaves stored answers valid.
PLUMBING = (
    "wim.tables",
    "wim.table_files",
    "wim.errors",
    "wim.progress",
    "wim.digest",
    "wim.scratch",
    "wim.settings.section",
)


class StoredEngine:
    """Answers from a store where they are known, else from a model, and then kept.

    An answer is known by everything that decides it: the model's digest and precision, the
    messages, the sampling, the row's seed, and the code of the engine. `computed` holds the
    keys of the requests that the store could not answer. Only answers are stored, never a
    failure to answer.
    """

    def __init__(
        self, open_model: Callable[[], Engine], store: "RowStore", identity: Mapping[str, str]
    ) -> None:
        self._open_model = open_model
        self._model: Engine | None = None
        self._store = store
        self._identity = dict(identity)
        self.computed: set[str] = set()

    @property
    def model(self) -> Engine:
        """The model behind, opened when it is first needed."""
        if self._model is None:
            self._model = self._open_model()
        return self._model

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Completion]:
        """See Engine.generate; known answers come first."""
        keys = {request.key: self._completion_key(request, sampling) for request in requests}
        known = self._store.find(set(keys.values()))
        for request in requests:
            if row := known.get(keys[request.key]):
                yield Completion(request.key, **_completion_fields(row))
        missing = [request for request in requests if keys[request.key] not in known]
        if not missing:
            return
        for answer in self.model.generate(missing, sampling):
            self.computed.add(answer.key)
            if answer.finish_reason != "context":
                fields = {name: getattr(answer, name) for name in COMPLETION}
                self._store.add(keys[answer.key], {**fields, "logprobs": None})
            yield answer

    def choice_logprobs(
        self, requests: Sequence[Request], choices: Sequence[str]
    ) -> Iterator[ChoiceLogprobs]:
        """See Engine.choice_logprobs; known answers come first."""
        keys = {request.key: self._choice_key(request, choices) for request in requests}
        known: dict[str, Any] = self._store.find(set(keys.values()))
        for request in requests:
            if row := known.get(keys[request.key]):
                yield ChoiceLogprobs(request.key, tuple(row["logprobs"]), row["prompt_tokens"])
        missing = [request for request in requests if keys[request.key] not in known]
        if not missing:
            return
        for answer in self.model.choice_logprobs(missing, choices):
            self.computed.add(answer.key)
            if answer.logprobs is not None:
                row = dict.fromkeys(COMPLETION)
                row |= {"prompt_tokens": answer.prompt_tokens, "logprobs": list(answer.logprobs)}
                self._store.add(keys[answer.key], row)
            yield answer

    def _completion_key(self, request: Request, sampling: Sampling) -> str:
        drawn = sampling.temperature > 0
        return self._key(
            request, sampling=sampling.model_dump(), seed=request.seed if drawn else None
        )

    def _choice_key(self, request: Request, choices: Sequence[str]) -> str:
        return self._key(request, choices=list(choices))

    def _key(self, request: Request, **asked: object) -> str:
        said = {"messages": list(request.messages), "opening": request.opening}
        return digest_of({**self._identity, **said, **asked})


COMPLETION = ("text", "finish_reason", "prompt_tokens", "completion_tokens")


def _completion_fields(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in COMPLETION}


def answer_schema() -> "pa.Schema":
    """The columns of a stored answer: a completion, or the log-probabilities of choices."""
    import pyarrow as pa

    return pa.schema(
        [
            ("text", pa.string()),
            ("finish_reason", pa.string()),
            ("prompt_tokens", pa.int32()),
            ("completion_tokens", pa.int32()),
            ("logprobs", pa.list_(pa.float64())),
        ]
    )


@contextmanager
def local_engine(
    manifest: Path, dtype: str, batch_size: int, store: Path, scratch: str | None = None
) -> Iterator[StoredEngine]:
    """The model of a manifest behind a store's folder; what was computed is flushed at the end.

    scratch: where the model is copied before it is opened (see wim.scratch.local_copy).
    """
    from wim.models import read_manifest
    from wim.rowstore import RowStore
    from wim.scratch import local_copy

    def open_model() -> Engine:
        from wim.engines.local import LocalEngine

        return LocalEngine(local_copy(manifest, scratch).parent, dtype, batch_size)

    model = read_manifest(manifest).digest
    with RowStore(store, answer_schema()) as rows:
        code = stored_code(store, engine_code())
        yield StoredEngine(open_model, rows, {"model": model, "dtype": dtype, "code": code})


def engine_code() -> str:
    """The digest of the code that decides an answer."""
    return code_digest(Path(__file__).with_name("local.py"), without=PLUMBING)
