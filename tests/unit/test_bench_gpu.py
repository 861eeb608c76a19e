"""bench/gpu.py in small: its sections run to their end on a CPU, and tell what they find."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.workflow_runs import REPOSITORY

SCRIPT = REPOSITORY / "bench/gpu.py"


def ran(folder: Path, *sections: str) -> tuple[dict[str, Any], subprocess.CompletedProcess[str]]:
    """What the sections reported, and the process."""
    output = folder / "gpu.json"
    command = [sys.executable, str(SCRIPT), "--tiny", "--output", str(output), "--only", *sections]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert output.exists(), done.stderr
    found: dict[str, Any] = json.loads(output.read_text())
    assert set(found) == set(sections)
    return found, done


def failed(found: dict[str, Any]) -> list[str]:
    """The names of checks that did not hold."""
    return [
        row["check"]
        for told in found.values()
        for row in told["rows"]
        if not row.get("holds", True)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "sections",
    [
        ("machine", "noise", "exactness", "scores", "encoder"),
        ("batching",),
        ("generation", "leaving", "graph", "choices", "memory", "processes"),
        ("losses", "checkpoints"),
        ("dpo", "quantized"),
    ],
    ids=lambda sections: "-".join(sections),
)
def test_sections_run_to_their_end_and_what_they_check_holds(
    tmp_path: Path, sections: tuple[str, ...]
) -> None:
    found, done = ran(tmp_path, *sections)
    assert {status for told in found.values() for status in told["status"]} == {"ended"}, done
    assert not failed(found), done.stdout + done.stderr
    assert done.returncode == 0


def test_a_section_that_fails_leaves_the_others_alone_and_shows_in_the_exit_status(
    tmp_path: Path,
) -> None:
    code = (
        "import sys, gpu; from dataclasses import replace\n"
        "def broken(*_): raise RuntimeError('so it is')\n"
        "gpu.SECTIONS['noise'] = replace(gpu.SECTIONS['noise'], work=broken)\n"
        "gpu.main()"
    )
    output = tmp_path / "gpu.json"
    done = subprocess.run(
        [
            *(sys.executable, "-c", code, "--tiny", "--output", str(output)),
            *("--only", "noise", "scores"),
        ],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": _path()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and "so it is" in done.stderr
    found = json.loads(output.read_text())
    assert found["noise"]["status"] == ["exit 1"] and found["scores"]["status"] == ["ended"]
    assert not failed(found)


def _path() -> str:
    return os.pathsep.join([str(SCRIPT.parent), os.environ.get("PYTHONPATH", "")])
