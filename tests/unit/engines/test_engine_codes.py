"""Which code decides the stored answers of local models, and which those of servers."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.workflow_runs import REPOSITORY

PRINT = (
    "import json; from wim.engines.stored import engine_codes; print(json.dumps(engine_codes()))"
)


def codes(library: Path) -> dict[str, str]:
    environment = os.environ | {"PYTHONPATH": str(library)}
    done = subprocess.run(
        [sys.executable, "-c", PRINT], env=environment, capture_output=True, text=True, check=True
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the library that a test may edit."""
    folder = tmp_path_factory.mktemp("library") / "workflow"
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(REPOSITORY / "workflow", folder, ignore=ignored)
    return folder


@pytest.mark.parametrize(
    ("module", "decides"),
    [
        ("local/engine", {""}),
        ("local/choices", {""}),
        ("remote/engine", {"remote"}),
        ("remote/chat", {"remote"}),
        ("remote/choice_parsing", {"remote"}),
        ("remote/text_completions", {"remote"}),
        ("remote/choosing", {"remote"}),
        ("remote/thoughts", {"remote"}),
        ("remote/endings", {"remote"}),
        ("remote/content", {"remote"}),
        ("failures", set()),
        ("answers", {"remote"}),
        ("special_tokens", {"", "remote"}),
        ("base", {"", "remote"}),
        ("transport/calls", set()),
        ("transport/token_budget", set()),
        ("stored", set()),
    ],
)
def test_an_edit_changes_the_answers_that_it_can_change_and_no_others(
    module, decides, library
) -> None:
    path = library / f"wim/engines/{module}.py"
    text, before = path.read_text(), codes(library)
    try:
        path.write_text(f"{text}\nEDITED = 1\n")
        after = codes(library)
    finally:
        path.write_text(text)
    assert {kind for kind in before if before[kind] != after[kind]} == decides
