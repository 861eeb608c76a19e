"""`wim plan` as its user runs it, and what it says of each rule."""

import subprocess
import sys

from support.workflow_runs import Project


def run_plan(project: Project, target: str = "rewards") -> subprocess.CompletedProcess[str]:
    return project.call([sys.executable, "-m", "wim.cli", "plan", "--", target])


def plan(project: Project, target: str = "rewards") -> dict[str, list[str]]:
    """What is said of each rule, without indents; under "" what is said of all."""
    done = run_plan(project, target)
    assert done.returncode == 0, done.stdout + done.stderr
    said: dict[str, list[str]] = {}
    for block in done.stdout.split("\n\n"):
        first, *lines = block.strip().splitlines()
        rule, _, jobs = first.partition(": ")
        known = " job" in jobs and " " not in rule
        said.setdefault(rule if known else "", []).extend(
            [jobs, *(line.strip() for line in lines)] if known else block.strip().splitlines()
        )
    return said
