"""Rows that a server does not answer: what the run says of them, and how they are asked for again."""

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from support.api_server import ApiServer, Fields, Reply, failed, last_message, said
from support.started import killed_when
from support.workflow_runs import Project, jobs_done, rows_computed

PROMPTS = ["Name a river.", "How is bread made?", "Why does it rain?", "Who wrote the answer?"]
ROWS = 2 * len(PROMPTS)
DIALOGUES = "results/dialogues/base/000.parquet"
RATINGS = "results/ratings/base/far/000.parquet"


class Server:
    """An actor and judge, which answers nothing that has one of the `bad` words in it."""

    def __init__(self) -> None:
        self.bad: list[str] = []
        self.reached = threading.Event()
        self.silent = False

    def __call__(self, fields: Fields, before: int) -> Reply:
        text = str(fields["messages"])
        if any(word in text for word in self.bad):
            self.reached.set()
            return Reply(silent=True) if self.silent else failed(400, "it is not allowed")
        if "one of these" in last_message(fields):
            return said(str(1 + fields["seed"] % 10))
        if "What is missing from the answer?" in text:
            return said(f"The answer of {len(text)} characters names no date and no place for it.")
        return said(f"Answer {fields['seed']} to: {last_message(fields)}")


@pytest.fixture(scope="module")
def answers() -> Server:
    return Server()


@pytest.fixture(scope="module")
def server(answers: Server) -> Iterator[ApiServer]:
    with ApiServer(answers) as server:
        yield server


@pytest.fixture(scope="module")
def told() -> list[str]:
    """What the runs of the project have printed."""
    return []


@pytest.fixture(scope="module")
def finished(
    tmp_path_factory: pytest.TempPathFactory, server: ApiServer, answers: Server, told: list[str]
) -> Project:
    """A project that was run to its summary, where two completions and two judgements failed."""
    far = {"url": server.url, "samples": 3, "attempts": 2, "requests_in_flight": 1}
    config: dict[str, object] = {
        "models": {"far": {"source": "endpoint:far-1@2026-01", "api": far}},
        "prompts": {"files": ["prompts.jsonl"], "shards": 1, "eval_fraction": 0.0},
        "dialogues": {"actor": "far", "sampling": {"max_new_tokens": 16}},
        "judges": {"far": {"model": "far"}},
        "rewards": {"number": {"judge": "far", "zeta": 0.0, "rating": "rating_expected"}},
        "arms": {},
    }
    project = Project.copied(tmp_path_factory.mktemp("retry") / "project", config, PROMPTS)
    answers.bad = ["Name a river."]
    told.append(project.run("--cores", "1", "--", "dialogues"))
    answers.bad = ["How is bread made?"]
    told.append(project.run("--cores", "1"))
    return project


@pytest.fixture
def project(finished: Project, answers: Server, tmp_path: Path) -> Project:
    """A copy of it, of which the server answers everything from now on."""
    answers.bad, answers.silent = [], False
    answers.reached.clear()
    return finished.again(tmp_path / "project")


def wim(project: Project, *arguments: str, status: int = 0) -> str:
    result = project.call([sys.executable, "-m", "wim.cli", *arguments])
    assert result.returncode == status, result.stdout + result.stderr
    return result.stdout + result.stderr


def summary_of(project: Project) -> str:
    return (project.folder / "results/report/summary.md").read_text()


def statuses(project: Project) -> list[str]:
    return sorted(pd.read_parquet(project.folder / RATINGS)["status"])


def test_some_failed_rows_are_a_warning_and_in_the_summary(
    finished: Project, told: list[str]
) -> None:
    assert (
        f"completions: 2 of {ROWS} rows failed: 2 status 400; the first: status 400: it is not "
        "allowed. `wim retry`" in told[0]
    )
    assert len(pd.read_parquet(finished.folder / DIALOGUES)) == ROWS - 2
    assert f"ratings by far: 2 of {ROWS - 2} rows failed: 2 status 400" in told[1]
    assert statuses(finished) == ["error"] * 2 + ["ok"] * (ROWS - 4)
    assert f"2 of {ROWS} completions, 2 of {ROWS - 2} ratings by far" in summary_of(finished)
    assert finished.planned() == {}


def test_a_job_of_failed_rows_alone_fails_and_is_not_done(
    project: Project, answers: Server
) -> None:
    answers.bad = ["What is missing from the answer?"]
    project.set("judges.far.sampling", {"temperature": 0.5})
    output = project.run("--", "ratings", status=1)
    assert (
        f"ratings by far: all {ROWS - 2} rows failed: {ROWS - 2} status 400; "
        "the first: status 400: it is not allowed" in output
    )
    assert "Traceback" not in output
    assert not (project.folder / RATINGS).exists()
    assert project.planned("--", "ratings") == {"rate_candidates": 1}


def test_failed_rows_alone_are_asked_for_again(project: Project, server: ApiServer) -> None:
    before, tables = len(server.asked), [project.folder / each for each in (DIALOGUES, RATINGS)]
    bytes_before = [table.read_bytes() for table in tables]
    plan = wim(project, "retry", "-n")
    assert f"{DIALOGUES}: 2 rows without an answer" in plan
    assert f"{RATINGS}: 2 rows without an answer" in plan
    assert f"wanted {ROWS}, known {ROWS - 2}, to compute 2" in plan
    assert [table.read_bytes() for table in tables] == bytes_before
    assert len(server.asked) == before

    output = wim(project, "retry", "--", "--cores", "1")
    assert jobs_done(output) == {"generate_dialogues": 1, "rate_candidates": 1}
    assert "4 of 4 rows have an answer now, 0 failed again" in output
    asked = [str(fields["messages"]) for fields in server.asked[before:]]
    assert not any("Why does it rain?" in text for text in asked)
    assert sum("What is missing" not in text for text in asked) == 2
    assert statuses(project) == ["ok"] * ROWS
    assert "No table has a row" in wim(project, "retry")

    jobs = jobs_done(project.run())
    assert jobs["summary"] == jobs["score_candidates"] == 1
    assert "rate_candidates" not in jobs
    assert "without an answer" not in summary_of(project)
    assert project.planned() == {}


def test_rows_that_fail_again_stay_to_be_asked_for(project: Project, answers: Server) -> None:
    answers.bad = ["Name a river.", "How is bread made?"]
    output = wim(project, "retry", "--", "--cores", "1")
    assert "0 of 4 rows have an answer now, 4 failed again" in output
    assert f"{DIALOGUES}: 2 rows without an answer" in wim(project, "retry", "-n")
    # The same rows failed for the same reason, so that nothing follows.
    assert project.planned() == {}


def test_an_interrupted_retry_is_gone_on_with(project: Project, answers: Server) -> None:
    answers.bad, answers.silent = ["Name a river."], True
    forced = ["--forcerun", DIALOGUES, "--", DIALOGUES]
    killed_when(project, answers.reached.is_set, ["--cores", "1", *forced])
    answers.bad = []
    assert not (project.folder / DIALOGUES).exists()
    # What it had not yet made again is asked for by a run, or by another retry.
    assert f"{RATINGS}: 2 rows without an answer" in wim(project, "retry", "-n")
    output = project.run("--", "dialogues")
    assert rows_computed(output)["generated"] == 2
    assert len(pd.read_parquet(project.folder / DIALOGUES)) == ROWS


def test_a_retry_takes_no_targets(project: Project) -> None:
    output = wim(project, "retry", "--", "--cores", "1", "--", "all", status=1)
    assert "takes no targets" in output
