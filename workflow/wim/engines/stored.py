"""An engine that looks its answers up first, and opens a model only for those that are missing."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wim.engines.answers import UNANSWERED, ReadChoices, Unanswered
from wim.engines.base import ChoiceLogprobs, Completion, Engine, Request
from wim.engines.precisions import Identity, KnownBy, known_by
from wim.engines.staged import StagedModel
from wim.engines.transport.usage import Spent, UsageRecord
from wim.provenance.code import code_digest
from wim.provenance.code_changes import stored_code
from wim.provenance.digest import digest_of
from wim.settings.models import ENDPOINT
from wim.settings.named_models import NamedApi
from wim.settings.sampling import Sampling
from wim.store.memo import Memo

if TYPE_CHECKING:
    import pyarrow as pa

    from wim.store.rows import RowStore

logger = logging.getLogger(__name__)
REMOTE = "remote"
# Rows that a model is given at once. Before each of these the store is searched again, where another
# run may have put some of them; between two of them a model's last rows run in smaller batches.
AT_ONCE = 1024
# Of a model that is queried in batches, which may take a day each: all rows of a shard.
AT_ONCE_IN_BATCHES = 2**20
# The code that decides an answer, by the kind of its engine: modules and packages.
ANSWERING = (
    "wim.engines.base",
    "wim.engines.chat_format",
    "wim.engines.reasoning",
    "wim.engines.special_tokens",
)
LOCAL = (*ANSWERING, "wim.engines.local")
REMOTE_ONLY = (*ANSWERING, "wim.engines.answers", "wim.engines.remote")
COMPLETION = (
    "text",
    "finish_reason",
    "prompt_tokens",
    "completion_tokens",
    "reasoning",
    "tokens",
)


class StoredEngine:
    """Answers from a store; a model computes those that are missing, and they are kept.

    The key of an answer is made of everything that decides it: the model's digest and precision,
    the messages, the sampling, the row's seed, and the code of the engine (`known_by`); for
    choices also `choosing`. `computed` holds the keys of the requests that the store could not
    answer, and `unanswered` those that a server did not answer either, with the reasons. Only
    answers are stored, never a failure to answer.
    """

    def __init__(
        self,
        open_model: Callable[[], Engine],
        store: "RowStore",
        known_by: KnownBy,
        choosing: Mapping[str, object] | None = None,
        at_once: int | None = None,
    ) -> None:
        self._at_once = at_once or AT_ONCE
        self._open_model = open_model
        self._model: Engine | None = None
        self._known_by = known_by
        self._choosing = dict(choosing or {})
        self.computed: set[str] = set()
        self.unanswered: dict[str, str] = {}
        self._completions: Memo[str, Completion] = Memo(
            store, _stored_completion, _completion_row, self.computed
        )
        self._choices: Memo[str, ChoiceLogprobs] = Memo(
            store, _stored_choices, _choices_row, self.computed
        )

    @property
    def model(self) -> Engine:
        """The model itself, opened when it is first needed."""
        if self._model is None:
            self._model = self._open_model()
        return self._model

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Completion]:
        """See Engine.generate; known answers come first."""
        named = {request.key: request for request in requests}

        def key_of(name: str, identity: Identity) -> str:
            return self._completion_key(named[name], sampling, identity)

        def compute(missing: list[str]) -> Iterator[tuple[str, Completion]]:
            self._count(self._completions, missing, key_of)
            for answer in self.model.generate([named[name] for name in missing], sampling):
                if isinstance(answer, Unanswered):
                    self.unanswered[answer.key] = answer.reason
                yield answer.key, answer

        keys = {name: key_of(name, self._known_by.identity) for name in named}
        yield from (answer for _, answer in self._completions.values(keys, compute, self._at_once))

    def choice_logprobs(
        self, requests: Sequence[Request], choices: Sequence[str]
    ) -> Iterator[ChoiceLogprobs]:
        """See Engine.choice_logprobs; known answers come first."""
        if self._choosing and len(choices) == 1:
            # No server reports how likely one given answer is, so none is opened for it.
            yield from (ChoiceLogprobs(request.key, None, 0) for request in requests)
            return
        named = {request.key: request for request in requests}

        def key_of(name: str, identity: Identity) -> str:
            return self._choice_key(named[name], choices, identity)

        def compute(missing: list[str]) -> Iterator[tuple[str, ChoiceLogprobs]]:
            self._count(self._choices, missing, key_of)
            for answer in self.model.choice_logprobs([named[name] for name in missing], choices):
                if isinstance(answer, ReadChoices) and answer.logprobs is None:
                    self.unanswered[answer.key] = answer.reason
                yield answer.key, answer

        keys = {name: key_of(name, self._known_by.identity) for name in named}
        yield from (answer for _, answer in self._choices.values(keys, compute, self._at_once))

    def _count(
        self,
        memo: Memo[str, Any],
        missing: Sequence[str],
        key_of: Callable[[str, Identity], str],
    ) -> None:
        """Leave those that the store has in a precision that is as good out of `computed`."""
        lacking = self._known_by.lacking(memo, missing, key_of)
        self.computed.difference_update(set(missing) - lacking)

    def _completion_key(self, request: Request, sampling: Sampling, identity: Identity) -> str:
        return _key(
            identity,
            request,
            sampling=sampling.model_dump(mode="json"),
            seed=request.seed if sampling.random else None,
        )

    def _choice_key(self, request: Request, choices: Sequence[str], identity: Identity) -> str:
        return _key(identity, request, choices=list(choices), **self._choosing)


def _key(identity: Identity, request: Request, **query: object) -> str:
    conversation = {"messages": list(request.messages), "opening": request.opening}
    return digest_of({**identity, **conversation, **query})


def _completion_row(answer: Completion) -> dict[str, object] | None:
    if answer.finish_reason in ("context", UNANSWERED):
        return None
    return {**{name: getattr(answer, name) for name in COMPLETION}, "logprobs": None}


def _stored_completion(key: str, row: Mapping[str, Any]) -> Completion:
    drawn = row["tokens"]
    return Completion(
        key,
        **{name: row[name] for name in COMPLETION if name != "tokens"},
        tokens=None if drawn is None else tuple(drawn),
    )


def _choices_row(answer: ChoiceLogprobs) -> dict[str, object] | None:
    if answer.logprobs is None:
        return None
    row: dict[str, object] = dict.fromkeys(COMPLETION)
    row |= {"prompt_tokens": answer.prompt_tokens, "logprobs": list(answer.logprobs)}
    if isinstance(answer, ReadChoices):
        # This column is unused here; one more column would make every stored row unreadable.
        row["finish_reason"] = answer.source
    return row


def _stored_choices(key: str, row: Mapping[str, Any]) -> ChoiceLogprobs:
    logprobs, tokens, source = tuple(row["logprobs"]), row["prompt_tokens"], row["finish_reason"]
    if source is None:
        return ChoiceLogprobs(key, logprobs, tokens)
    return ReadChoices(key, logprobs, tokens, source)


def answer_schema() -> "pa.Schema":
    """The columns of a stored answer: a completion, or the log-probabilities of choices."""
    import pyarrow as pa

    return pa.schema(
        [
            ("text", pa.string()),
            ("finish_reason", pa.string()),
            ("prompt_tokens", pa.int32()),
            ("completion_tokens", pa.int32()),
            ("reasoning", pa.string()),
            ("tokens", pa.list_(pa.int32())),
            ("logprobs", pa.list_(pa.float64())),
        ]
    )


@contextmanager
def open_engine(model: StagedModel) -> Iterator[StoredEngine]:
    """The engine of a staged model with its store, local or remote as its settings say.

    The model is opened when a first answer is missing. On leaving, what was computed is flushed,
    and a server that was started is stopped.
    """
    from wim.store.rows import RowStore

    source, kind = model.source, "" if model.source.engine == "local" else REMOTE
    identity = {"model": model.digest, **source.answering}
    store = RowStore(model.store, answer_schema(), waits=not model.unopened)
    with ExitStack() as opened, store as rows:

        def open_model() -> Engine:
            if model.unopened:
                from wim.engines.unopened import UnopenedModel

                return UnopenedModel()
            if source.engine == "local":
                return _local_engine(model, str(known.identity["dtype"]))
            return opened.enter_context(_remote_engine(model))

        identity["code"] = stored_code(model.store, engine_codes()[kind], kind)
        known = known_by(identity, source, model.unopened)
        batch = isinstance(source.api, NamedApi) and source.api.batch
        at_once = AT_ONCE_IN_BATCHES if batch else AT_ONCE
        engine = StoredEngine(open_model, rows, known, source.choosing, at_once)
        try:
            yield engine
        finally:
            if kind and engine.computed and (record := _usage_record(model)):
                record.add(Spent(rows=len(engine.computed)))


def _usage_record(model: StagedModel) -> UsageRecord | None:
    """The record of what a model behind a server is queried for, if its job keeps one."""
    return UsageRecord(model.usage, model.manifest.parent.name) if model.usage else None


def open_engines(opened: ExitStack, models: Sequence[StagedModel]) -> list[StoredEngine]:
    """The engines of several models, closed with `opened`; models of one manifest share one."""
    engines: dict[Path, StoredEngine] = {}
    for model in models:
        if model.manifest not in engines:
            engines[model.manifest] = opened.enter_context(open_engine(model))
    return [engines[model.manifest] for model in models]


def _local_engine(model: StagedModel, dtype: str) -> Engine:
    """The engine of a model in this process, on the GPU that the job has."""
    from wim.cluster.gpu_checks import check_gpus
    from wim.engines.local.engine import LocalEngine
    from wim.engines.memory import HalvingEngine, explain_memory

    check_gpus()
    rule = model.store.name
    with explain_memory(rule, "while the model was opened"):
        engine = LocalEngine(
            model.folder,
            dtype=dtype,
            batch_size=model.batch_size,
            quantization=model.source.quantization,
            attention=model.source.attention,
            thinking=model.source.thinking,
            name=str(model.manifest.parent),
        )
    return HalvingEngine(engine, rule)


@contextmanager
def _remote_engine(model: StagedModel) -> Iterator[Engine]:
    """The engine of an endpoint, or of a server that runs a staged model inside the context."""
    from wim.engines.remote.engine import EndpointEngine
    from wim.engines.transport.calls import Calls
    from wim.engines.transport.submissions import Submissions

    source, folder = model.source, model.manifest.parent
    api = source.calling
    if endpoint := ENDPOINT.fullmatch(source.source):
        batch = isinstance(api, NamedApi) and api.batch
        calls = Calls(
            folder.name,
            str(api.url).rstrip("/"),
            api,
            usage=_usage_record(model),
            submissions=Submissions(model.store) if batch else None,
        )
        yield EndpointEngine(calls, endpoint["name"], api.samples, thinking=source.thinking)
        # Unless by an error: then the row store, which closes first, may lack answers.
        calls.close()
        return
    from wim.engines.chat_format import ChatFormat
    from wim.engines.remote.text_completions import prompt_renderer
    from wim.engines.special_tokens import special_tokens
    from wim.engines.transport.server import serving
    from wim.models.opening import opened_folder

    assert source.serve is not None and model.server_log is not None
    opened_folder(model.manifest)
    chat = ChatFormat.of_folder(folder, source.thinking)
    with serving(source.serve, folder, model.server_log, api.start_timeout) as server:
        calls = Calls(
            folder.name, f"{server.url}/v1", api, server.check, usage=_usage_record(model)
        )
        yield EndpointEngine(
            calls,
            server.model,
            api.samples,
            special=special_tokens(chat.tokenizer),
            render_prompt=prompt_renderer(chat),
            thinking=source.thinking,
            opened=chat.opened(chat.prompt([{"role": "user", "content": "?"}])),
        )


def engine_codes() -> dict[str, str]:
    """The digests of the code that decides an answer: "" of local models, "remote" of others."""
    folder = Path(__file__).parent
    return {
        "": code_digest(folder / "local/engine.py", within=LOCAL),
        REMOTE: code_digest(folder / "remote/engine.py", within=REMOTE_ONLY),
    }
