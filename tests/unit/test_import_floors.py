"""The contract of imports holds, and breaks on an import that runs up or in a circle."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.workflow_runs import REPOSITORY

LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the library, beside the contract in its pyproject.toml."""
    shutil.copy2(REPOSITORY / "pyproject.toml", tmp_path)
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    copied = shutil.copytree(REPOSITORY / "workflow/wim", tmp_path / "wim", ignore=ignored)
    return Path(copied)


def checked(package: Path) -> subprocess.CompletedProcess[str]:
    """`lint-imports` on the copy."""
    return subprocess.run(
        [LINT_IMPORTS, "--no-cache"],
        cwd=package.parent,
        env=os.environ | {"PYTHONPATH": str(package.parent)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_library_keeps_to_its_floors(package: Path) -> None:
    result = checked(package)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        pytest.param("statistics", "wim.training", id="up, from the lowest floor"),
        pytest.param("settings/config", "wim.plan.dry_run", id="up, to the tools"),
        pytest.param("judging/parse", "wim.evaluation.gate", id="a circle of two packages"),
        pytest.param("tables/schemas", "wim.tables.files", id="a circle within a package"),
        pytest.param("sizing/command", "wim.plan.dry_run", id="to a neighbour on the same floor"),
    ],
)
def test_an_import_that_leaves_its_floor_breaks_the_contract(
    package: Path, module: str, imported: str
) -> None:
    file = package / f"{module}.py"
    file.write_text(f"{file.read_text()}\n\ndef _() -> None:\n    import {imported}\n")
    result = checked(package)
    assert result.returncode == 1
    assert imported.rsplit(".", 1)[0] in result.stdout
    assert "BROKEN" in result.stdout
