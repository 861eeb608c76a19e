"""One finished project, which the tests of this folder copy."""

from pathlib import Path

import pytest

from support.finished import finished_in_two_shards
from support.workflow_runs import Project


@pytest.fixture(scope="session")
def finished(tiny_model: Path, minilm: Path) -> Project:
    """A project of 6 prompts in 2 shards, whose every target is there."""
    return finished_in_two_shards(tiny_model, minilm)


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """A copy of the finished project that a test may change."""
    return finished.again(tmp_path / "project")
