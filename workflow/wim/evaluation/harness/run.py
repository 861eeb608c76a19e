"""Measure a model by lm-eval, in a child process."""

import json
import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from wim.cluster.requeue import work_was_kept
from wim.display.json_files import write_json
from wim.evaluation.harness.environment import run_python
from wim.evaluation.harness.results import read_results, read_samples, results_files
from wim.models.manifest import read_manifest
from wim.models.opening import opened_folder
from wim.provenance.digest import digest_file, digest_of
from wim.tables.files import as_arrow, write_table
from wim.tables.schemas import HARNESS_SCORES

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Measuring:
    """What decides how a model is measured.

    Attributes:
        tasks: Names, and paths of task files.
        num_fewshot: Examples before each question; None for each task's own number.
        limit: The first questions of each task alone; None for all.
        chat_template: Whether questions are put into the model's chat template.
        system: A system message, with the chat template.
        dtype: The precision of the weights; auto as the hardware has it.
        thinking: Whether the chat template is told to let the model think; None leaves it alone.
    """

    tasks: Sequence[str]
    num_fewshot: int | None = None
    limit: int | None = None
    chat_template: bool = False
    system: str | None = None
    dtype: str = "auto"
    thinking: bool | None = None


class HarnessFiles(Protocol):
    """Where the results go: JSON, and the scores of each question."""

    results: str
    scores: str


def run_harness(
    manifest: Path,
    tasks: Path,
    measuring: Measuring,
    python: str,
    batch_size: int,
    scratch: str | None,
    log: Path,
    output: HarnessFiles,
) -> None:
    """Measure a model; times, places and machines are in none of the results.

    Answers are kept beside the results until these are written, so that a job that was stopped
    continues where it was.

    Args:
        manifest: The model's.
        tasks: What the tasks are; other questions have another file.
        measuring: In which tasks, and how.
        python: The Python that has lm-eval.
        batch_size: Questions at once.
        scratch: Where the model is copied before it is opened; see `opened_folder`.
        log: Where all that lm-eval prints goes.
        output: Where the results go.

    Raises:
        UserError: lm-eval is not there, or ended without results: its last lines.
    """
    model, digest = opened_folder(manifest, scratch), read_manifest(manifest).digest
    kept = Path(output.results).with_suffix(".answers")
    with TemporaryDirectory() as folder, _keeping(kept):
        request = Path(folder, "request.json")
        written = Path(folder, "written")
        settings = configuration(model, measuring, batch_size, *_hardware(measuring.dtype), written)
        decides = [digest, asdict(measuring), settings["model_args"]["dtype"], digest_file(tasks)]
        settings["use_cache"] = str((kept / digest_of(decides)).absolute())
        # lm-eval reads YAML, which JSON is; on its command line a comma in a path would be a mark.
        request.write_text(json.dumps(settings), encoding="utf-8")
        run_python(python, ["-m", "lm_eval", "run", "--config", str(request)], log, online=False)
        results, samples = results_files(written)
        found = read_results(results)
        rows = [row for path in samples for row in read_samples(path)]
    write_table(output.scores, HARNESS_SCORES, as_arrow(HARNESS_SCORES, rows))
    content = {"model": digest, "dtype": settings["model_args"]["dtype"]}
    write_json(output.results, {**content, **asdict(found)})
    shutil.rmtree(kept, ignore_errors=True)
    for name, task in found.tasks.items():
        for metric, score in task.scores.items():
            logger.info("%s: %s %.4f", name, metric, score.value)


def configuration(
    model: Path, measuring: Measuring, batch_size: int, dtype: str, gpus: int, output: Path
) -> dict[str, Any]:
    """What lm-eval is asked for, in the form of its configuration files.

    Code that comes with a model or with data is never run, nor is code that a model writes.

    Args:
        model: The model's folder; an adapter is merged into the weights there.
        measuring: In which tasks, and how.
        batch_size: Questions at once.
        dtype: The precision of the weights.
        gpus: How many there are; over several the model's layers are spread.
        output: The folder that lm-eval writes to.
    """
    arguments: dict[str, Any] = {"pretrained": str(model.absolute()), "dtype": dtype}
    if gpus > 1:
        arguments["parallelize"] = True
    if measuring.chat_template and measuring.thinking is not None:
        arguments["enable_thinking"] = measuring.thinking
    wanted: dict[str, Any] = {
        "model": "hf",
        "model_args": arguments,
        "tasks": list(measuring.tasks),
        "batch_size": batch_size,
        "device": "cuda" if gpus else "cpu",
        "output_path": str(output),
        "log_samples": True,
        "trust_remote_code": False,
        "confirm_run_unsafe_code": False,
    }
    if measuring.num_fewshot is not None:
        wanted["num_fewshot"] = measuring.num_fewshot
    if measuring.limit is not None:
        wanted["limit"] = measuring.limit
    if measuring.chat_template:
        wanted["apply_chat_template"] = True
    if measuring.system is not None:
        wanted["system_instruction"] = measuring.system
    return wanted


@contextmanager
def _keeping(folder: Path) -> Iterator[None]:
    """Note, where the block is left by a signal, whether more answers are kept than before it."""
    before = _size(folder)
    try:
        yield
    except SystemExit:
        if _size(folder) > before:
            work_was_kept()
        raise


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.db")) if folder.is_dir() else 0


def _hardware(dtype: str) -> tuple[str, int]:
    """The precision, and the number of GPUs that this job sees."""
    import torch

    from wim.engines.machine import fitting_precision

    named = fitting_precision("generation") if dtype == "auto" else dtype
    return named, torch.cuda.device_count()
