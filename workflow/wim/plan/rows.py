"""How many rows a planned job wants, and how many of them the row store does not know."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import TYPE_CHECKING, NoReturn, cast

from wim.errors import UserError
from wim.plan.reasons import Job

if TYPE_CHECKING:
    from wim.engines.base import ChoiceLogprobs, Completion, Request
    from wim.engines.reward_model_engine import Conversation, Score
    from wim.settings.config import Config
    from wim.settings.models import ModelSource
    from wim.settings.sampling import Sampling


class _NotKnown(Exception):
    """A row is not in the store."""


class _NoModel:
    """Takes the place of a store's model: it has no answer, so none is kept."""

    def generate(
        self, requests: "Sequence[Request]", sampling: "Sampling"
    ) -> "Iterator[Completion]":
        from wim.engines.base import Completion

        yield from (Completion(request.key, "", "context", 0, 0) for request in requests)

    def choice_logprobs(
        self, requests: "Sequence[Request]", choices: Sequence[str]
    ) -> "Iterator[ChoiceLogprobs]":
        from wim.engines.base import ChoiceLogprobs

        yield from (ChoiceLogprobs(request.key, None, 0) for request in requests)


class _NoScores:
    """Takes the place of a store's reward model in the same way."""

    def scores(self, conversations: "Sequence[Conversation]") -> "Iterator[tuple[int, Score]]":
        from wim.engines.reward_model_engine import Score

        yield from ((place, Score(None, 0)) for place in range(len(conversations)))


def model_sources(job: Job, config: "Config") -> "Sequence[ModelSource]":
    """How each model of a job is run or called, as its rule says it."""
    from wim.dag.inputs import Inputs, Wildcards
    from wim.dag.untracked import UntrackedOf

    untracked = UntrackedOf(Inputs(config, Path()))
    of_rule = {
        "generate_dialogues": untracked.speakers,
        "rate_candidates": untracked.judge,
        "compare_candidates": untracked.pair_judge,
    }
    wildcards = cast(Wildcards, SimpleNamespace(**job.wildcards))
    return of_rule[job.rule](wildcards).models


def _dialogues(job: Job, config: "Config", store: Path) -> tuple[int, int]:
    from wim.dialogues.generate import draw_dialogues
    from wim.engines.staged import StagedModel
    from wim.engines.stored import open_engines
    from wim.tables.files import read_table
    from wim.tables.schemas import PROMPTS, Prompt
    from wim.templates import read_templates

    settings = config.policy_dialogues(job.wildcards["policy"])
    prompts, *others = map(Path, job.input)
    manifests = [path for path in others if path.suffix == ".json"]
    templates = [path for path in others if path.suffix == ".jinja"]
    rows = [Prompt(**row) for row in read_table(prompts, PROMPTS).to_pylist()]
    known = 0
    models = [
        StagedModel(manifest, source, store)
        for manifest, source in zip(manifests, model_sources(job, config), strict=True)
    ]
    with ExitStack() as opened:
        engines = open_engines(opened, models)
        for engine in engines:
            engine._model = _NoModel()
        digests = [model.digest for model in models]
        texts = read_templates(templates) if templates else None
        try:
            for _ in draw_dialogues(rows, engines, digests, texts, settings, config.seed):
                known += 1
        except UserError:
            # What is known comes first; the first row without an answer ends it.
            pass
    wanted = len(rows) * settings.rows_per_prompt
    return wanted, wanted - known


def _ratings(job: Job, config: "Config", store: Path) -> tuple[int, int]:
    from wim.dialogues.conversations import read_judged
    from wim.engines.staged import StagedModel
    from wim.engines.stored import open_engine
    from wim.engines.stored_scores import open_scorer
    from wim.judging.rate import judge_of
    from wim.judging.reward_model import RewardModelJudge
    from wim.settings.gate import seed_of_policy
    from wim.templates import read_templates

    dialogues, manifest, *templates = map(Path, job.input)
    name = job.wildcards["judge"]
    settings = config.judges[name]
    candidates = read_judged(dialogues, config.judges_conversations(job.wildcards["policy"]))
    (source,) = model_sources(job, config)
    model = StagedModel(manifest, source, store)
    if settings.method == "reward_model":
        with open_scorer(model) as scores:
            scores._model = _NoScores()
            RewardModelJudge(name, scores, settings, model.digest).rate(candidates)
        return len(candidates), len(scores.computed)
    texts = read_templates(templates)
    with open_engine(model) as engine:
        engine._model = _NoModel()
        seed = seed_of_policy(job.wildcards["policy"], config.seed)
        judge_of(name, engine, texts, settings, seed, model.digest).rate(candidates)
    return len(candidates), len(engine.computed)


def _comparisons(job: Job, config: "Config", store: Path) -> tuple[int, int]:
    from wim.engines.staged import StagedModel
    from wim.engines.stored import open_engine
    from wim.judging.compare import compared_pairs
    from wim.judging.pairwise import PairwiseJudge
    from wim.tables.files import read_candidates
    from wim.tables.schemas import Candidate
    from wim.templates import read_templates

    manifest = next(path for path in map(Path, job.input) if path.suffix == ".json")
    templates = [path for path in map(Path, job.input) if path.suffix == ".jinja"]
    tables = [path for path in map(Path, job.input) if path.suffix == ".parquet"]
    name, named = job.wildcards["judge"], config.comparisons.get(job.wildcards["comparison"])
    policies = [[Candidate(**row) for row in read_candidates(path).to_pylist()] for path in tables]
    pairs = list(compared_pairs(policies, named.per_context if named else None, config.seed))
    (source,) = model_sources(job, config)
    model = StagedModel(manifest, source, store)
    with open_engine(model) as engine:
        engine._model = _NoModel()
        PairwiseJudge(name, engine, read_templates(templates), model.digest).compare(pairs)
        return len(pairs), len({key.rpartition("/")[0] for key in engine.computed})


def _texts(job: Job, config: "Config", store: Path) -> tuple[int, int]:
    from wim.dialogues.conversations import read_judged
    from wim.embedding.encoder import StoredEncoder, vector_schema
    from wim.models.manifest import read_manifest
    from wim.store.rows import RowStore
    from wim.tables.files import read_table
    from wim.tables.ratings import Status
    from wim.tables.schemas import RATINGS

    def no_encoder() -> NoReturn:
        raise _NotKnown

    dialogues, ratings, manifest = map(Path, job.input)
    judged = read_table(ratings, RATINGS, ["status", "wim"]).to_pylist()
    whole = config.judges_conversations(job.wildcards["policy"])
    texts = {row.completion for row in read_judged(dialogues, whole)}
    texts |= {row["wim"] for row in judged if row["status"] == Status.OK}
    with RowStore(store, vector_schema()) as vectors:
        encoder = StoredEncoder(no_encoder, vectors, read_manifest(manifest).digest)
        with suppress(_NotKnown):
            encoder.encode(sorted(texts))
    return len(texts), encoder.computed


# Rows that a job of a rule wants, and those of them that its folder in the store does not have.
WANTED: Mapping[str, Callable[[Job, "Config", Path], tuple[int, int]]] = {
    "generate_dialogues": _dialogues,
    "rate_candidates": _ratings,
    "compare_candidates": _comparisons,
    "embed_critiques": _texts,
}


def rows_wanted(job: Job, config: "Config") -> tuple[int, int]:
    """Rows that a job wants and rows that it will compute; queries the store, opens no model."""
    if job.rule not in WANTED:
        return (rows_of(job.input[0]),) * 2
    store = Path(config.store, job.rule)
    with TemporaryDirectory() as empty:
        return WANTED[job.rule](job, config, store if store.is_dir() else Path(empty, job.rule))


def rows_of(table: str) -> int:
    """The rows of a Parquet file, from its footer."""
    import pyarrow.parquet as pq

    return int(pq.read_metadata(table).num_rows)
