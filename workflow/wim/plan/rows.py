"""How many rows a planned job wants, and how many of them the row store does not know."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from wim.plan.reasons import Job
from wim.tables.files import row_count

if TYPE_CHECKING:
    from wim.engines.staged import StagedModel
    from wim.settings.config import Config
    from wim.settings.models import ModelSource


def model_sources(job: Job, config: "Config") -> "Sequence[ModelSource]":
    """How each model of a job is run or called, as its rule says it."""
    from wim.dag.inputs import Inputs, Wildcards
    from wim.dag.untracked import UntrackedOf

    untracked = UntrackedOf(Inputs(config, Path()))
    of_rule = {
        "generate_dialogues": untracked.speakers,
        "rate_candidates": untracked.judge,
        "rate_samples": untracked.judge,
        "rate_aspects": untracked.judge,
        "rate_by_label": untracked.judge,
        "compare_candidates": untracked.pair_judge,
    }
    wildcards = cast(Wildcards, SimpleNamespace(**job.wildcards))
    return of_rule[job.rule](wildcards).models


def _dialogues(job: Job, config: "Config", store: Path) -> tuple[int, int]:
    from wim.dialogues.generate import rows_wanted
    from wim.settings.evaluated import temperatures_of

    return rows_wanted(
        prompts=_inputs(job, ".parquet")[0],
        models=_models(job, config, store),
        templates=_inputs(job, ".jinja"),
        settings=config.policy_dialogues(job.wildcards["policy"]),
        seed=config.seed,
        temperatures=temperatures_of(config, job.wildcards["policy"]),
    )


def _ratings(job: Job, config: "Config", store: Path) -> tuple[int, int]:
    from wim.judging.rate import rows_wanted
    from wim.settings.gate import seed_of_policy

    (model,) = _models(job, config, store)
    policy, judge = job.wildcards["policy"], job.wildcards["judge"]
    return rows_wanted(
        dialogues=_inputs(job, ".parquet")[0],
        model=model,
        templates=_inputs(job, ".jinja"),
        judge=judge,
        settings=config.judges[judge],
        seed=seed_of_policy(policy, config.seed),
        conversations=config.judges_conversations(policy),
        reasoning=config.judges_reasoning(policy),
        questions=_inputs(job, ".parquet")[1:],
    )


def _samples(job: Job, config: "Config", store: Path) -> tuple[int, int]:
    from wim.judging.samples_wanted import rows_wanted
    from wim.settings.gate import seed_of_policy

    # The rows are those of the stage with one sample.
    (model,) = _models(job, config, Path(config.store, "rate_candidates"))
    policy, judge = job.wildcards["policy"], job.wildcards["judge"]
    return rows_wanted(
        dialogues=_inputs(job, ".parquet")[0],
        model=model,
        templates=_inputs(job, ".jinja"),
        judge=judge,
        settings=config.judges[judge],
        seed=seed_of_policy(policy, config.seed),
        conversations=config.judges_conversations(policy),
        reasoning=config.judges_reasoning(policy),
    )


def _labels(job: Job, config: "Config", store: Path) -> tuple[int, int]:
    from wim.judging.by_label import rows_wanted

    (model,) = _models(job, config, store)
    policy, judge = job.wildcards["policy"], job.wildcards["judge"]
    return rows_wanted(
        dialogues=_inputs(job, ".parquet")[0],
        model=model,
        judge=judge,
        label=str(config.judges[judge].label),
        conversations=config.judges_conversations(policy),
        reasoning=config.judges_reasoning(policy),
    )


def _comparisons(job: Job, config: "Config", store: Path) -> tuple[int, int]:
    from wim.judging.compare import Questions, rows_wanted

    (model,) = _models(job, config, store)
    settings, dialogues = config.judges[job.wildcards["judge"]], _inputs(job, ".parquet")
    questions = [dialogues.pop()] if settings.grades else []
    comparison = config.comparisons.get(job.wildcards["comparison"])
    return rows_wanted(
        dialogues=dialogues,
        model=model,
        templates=_inputs(job, ".jinja"),
        judge=job.wildcards["judge"],
        per_context=comparison.per_context if comparison else None,
        seed=config.seed,
        reasoning=config.judges_reasoning(job.wildcards["comparison"]),
        questions=Questions(settings, questions) if settings.grades else None,
    )


def _texts(job: Job, config: "Config", store: Path) -> tuple[int, int]:
    from wim.embedding.embed import rows_wanted

    dialogues, ratings = _inputs(job, ".parquet")
    return rows_wanted(
        dialogues=dialogues,
        ratings=ratings,
        manifest=_inputs(job, ".json")[0],
        store=store,
        conversations=config.judges_conversations(job.wildcards["policy"]),
        long=config.embeddings.long,
        reasoning=config.judges_reasoning(job.wildcards["policy"]),
    )


def _inputs(job: Job, suffix: str) -> list[Path]:
    """A job's inputs of one kind: tables, manifests or templates."""
    return [path for path in map(Path, job.input) if path.suffix == suffix]


def _models(job: Job, config: "Config", store: Path) -> "list[StagedModel]":
    from wim.engines.staged import StagedModel

    sources = model_sources(job, config)
    manifests = _inputs(job, ".json")
    return [
        StagedModel(manifest, source, store)
        for manifest, source in zip(manifests, sources, strict=True)
    ]


# Rows that a job of a rule wants, and those of them that its folder in the store does not have.
WANTED: Mapping[str, Callable[[Job, "Config", Path], tuple[int, int]]] = {
    "generate_dialogues": _dialogues,
    "rate_candidates": _ratings,
    "rate_samples": _samples,
    "rate_aspects": _samples,
    "rate_by_label": _labels,
    "compare_candidates": _comparisons,
    "embed_critiques": _texts,
}


def rows_wanted(job: Job, config: "Config") -> tuple[int, int]:
    """Rows that a job wants and rows that it will compute; queries the store, opens no model."""
    if job.rule not in WANTED:
        return (row_count(job.input[0]),) * 2
    store = Path(config.store, job.rule)
    with TemporaryDirectory() as empty:
        return WANTED[job.rule](job, config, store if store.is_dir() else Path(empty, job.rule))
