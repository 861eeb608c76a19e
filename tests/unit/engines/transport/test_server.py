"""A server command inside a job: started, waited for, asked, and gone afterwards, come what may."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from support.workflow_runs import REPOSITORY, Project
from wim.engines.base import Completion, Request
from wim.engines.staged import StagedModel
from wim.engines.stored import open_engine
from wim.engines.transport.server import serving
from wim.errors import UserError
from wim.models.stage import stage_model
from wim.settings.models import ModelSource
from wim.settings.sampling import Sampling

STUB = shlex.quote(str(REPOSITORY / "tests/support/stub_server.py"))
PYTHON = shlex.quote(sys.executable)
GREEDY = Sampling(max_new_tokens=16, temperature=0)
SOON = 120


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a staged model, as far as these tests need one."""
    folder = tmp_path / "a model's folder"
    folder.mkdir()
    return folder


def stub(*manners: str) -> str:
    return " ".join([PYTHON, STUB, "{model}", "{port}", *manners])


def pids(log: Path) -> dict[str, int]:
    """The processes that a server has named."""
    return {name: int(pid) for name, pid in re.findall(r"(server|child) (\d+)", log.read_text())}


def until(true: Callable[[], object], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.05)
    return bool(true())


def running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_server_is_ready_when_its_context_begins_and_gone_when_it_ends(folder, tmp_path) -> None:
    log = tmp_path / "logs/000.server.log"
    with serving(stub("child"), folder, log, SOON) as server:
        server.check()
        processes = pids(log)
        assert all(map(running, processes.values()))
        assert server.url.startswith("http://127.0.0.1:")
        assert server.model == str(folder)
    assert set(processes) == {"server", "child"}
    assert until(lambda: not any(map(running, processes.values())))


def test_no_shell_reads_the_command(folder, tmp_path) -> None:
    marker = tmp_path / "marker"
    command = stub("'; touch", f"{marker}'", "$(touch", f"{marker})", "&&", "touch", str(marker))
    with serving(command, folder, tmp_path / "log", SOON) as server:
        server.check()
    assert not marker.exists()


@pytest.mark.parametrize("health", [404, 405])
def test_a_server_without_a_page_for_its_health_is_ready_when_it_lists_models(
    health, folder, tmp_path
) -> None:
    with serving(stub(f"health={health}"), folder, tmp_path / "log", SOON) as server:
        server.check()


def refusal(command: str, folder: Path, log: Path, seconds: float = SOON) -> str:
    with pytest.raises(UserError) as refused, serving(command, folder, log, seconds):
        pass
    return str(refused.value)


def test_a_server_that_does_not_get_ready_is_given_up_and_ended(folder, tmp_path) -> None:
    log = tmp_path / "log"
    message = refusal(stub("health=503"), folder, log, 3)
    assert "not ready after 3 s" in message
    assert str(log) in message
    assert "start_timeout" in message
    assert until(lambda: not any(map(running, pids(log).values())))


def test_a_server_that_ends_at_once_is_told_with_status_log_and_last_words(
    folder, tmp_path
) -> None:
    message = refusal(stub("fails"), folder, tmp_path / "log")
    assert "models.a model's folder.serve" in message
    assert "exit status 7" in message
    assert str(tmp_path / "log") in message
    assert "no such model" in message


def test_a_program_that_is_not_there_is_named(folder, tmp_path) -> None:
    message = refusal("no-such-server {model} --port {port}", folder, tmp_path / "log")
    assert "no program 'no-such-server'" in message


def test_programs_of_this_environment_are_found_be_it_activated_or_not(
    folder, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    message = refusal("ruff --no-such-option {port}", folder, tmp_path / "log")
    assert "exit status 2" in message


def test_a_server_that_ignores_being_asked_is_killed(folder, tmp_path) -> None:
    log = tmp_path / "log"
    with serving(stub("stubborn", "child"), folder, log, SOON):
        processes = pids(log)
    assert until(lambda: not any(map(running, processes.values())))


# In a job


JOB = """
import sys, time
from pathlib import Path
from types import SimpleNamespace
from wim.engines.transport.server import serving
from wim.job import job

snakemake = SimpleNamespace(
    log=[sys.argv[2] + ".job"],
    threads=1,
    rule="rate_candidates",
    resources={},
    params=SimpleNamespace(spec="{}"),
)
with job(snakemake):
    with serving(sys.argv[1], Path(sys.argv[3]), Path(sys.argv[2]), 120):
        print("ready", flush=True)
        time.sleep(600)
"""


@pytest.fixture
def started(folder: Path, tmp_path: Path) -> Iterator[tuple["subprocess.Popen[str]", Path]]:
    """A job whose server is ready, and the server's log."""
    log = tmp_path / "000.server.log"
    process = subprocess.Popen(
        [sys.executable, "-c", JOB, stub("child"), str(log), str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield process, log
    process.kill()
    process.wait()


@pytest.mark.parametrize(
    ("number", "whole_group"),
    [
        (signal.SIGTERM, True),
        (signal.SIGTERM, False),
        (signal.SIGUSR1, False),
        (signal.SIGINT, True),
        (signal.SIGKILL, False),
    ],
)
def test_a_job_that_is_signalled_leaves_no_server_behind(number, whole_group, started) -> None:
    process, log = started
    processes = pids(log)
    assert set(processes) == {"server", "child"}
    (os.killpg if whole_group else os.kill)(process.pid, number)
    process.wait(timeout=300)
    assert until(lambda: not any(map(running, processes.values())))


def test_a_server_of_a_local_model_asks_no_hub(started) -> None:
    _, log = started
    assert "offline 1" in log.read_text()


# Asked through the store


@pytest.fixture
def staged(tiny_model: Path, folder: Path) -> Path:
    """A staged model, for servers that load no weights."""
    stage_model(ModelSource(source=f"path:{tiny_model}"), folder / "tiny")
    return folder / "tiny"


def answers(tmp_path: Path, folder: Path, command: str, count: int) -> Iterator[Completion]:
    """What a served model says, one request after the other."""
    api = {"requests_in_flight": 1, "start_timeout": SOON}
    model = ModelSource.model_validate({"source": "path:x", "serve": command, "api": api})
    requests = [Request(str(n), ({"role": "user", "content": f"say {n}"},)) for n in range(count)]
    log = tmp_path / "000.server.log"
    staged = StagedModel(folder / "manifest.json", model, tmp_path / "store", server_log=log)
    with open_engine(staged) as engine:
        yield from engine.generate(requests, GREEDY)


def test_the_server_is_asked_for_the_model_by_its_folder(staged, tmp_path) -> None:
    found = list(answers(tmp_path, staged, stub(), 3))
    assert [answer.text for answer in found] == [f"True say {n}" for n in range(3)]


def test_known_answers_start_no_server_and_another_command_knows_none(staged, tmp_path) -> None:
    list(answers(tmp_path, staged, stub(), 2))
    log = tmp_path / "000.server.log"
    log.unlink()
    assert len(list(answers(tmp_path, staged, stub(), 2))) == 2
    assert not log.exists()
    assert len(list(answers(tmp_path, staged, stub("--more"), 2))) == 2
    assert log.exists()


@pytest.mark.parametrize(
    ("manner", "words"), [("dies", "status 3"), ("killed", "status 137 (signal SIGKILL)")]
)
def test_a_server_that_dies_half_way_is_told_and_what_it_answered_is_kept(
    manner, words, staged, tmp_path
) -> None:
    def run() -> tuple[list[str], str]:
        found: list[str] = []
        with pytest.raises(UserError) as stopped:
            for answer in answers(tmp_path, staged, stub(f"{manner}=5"), 20):
                found.append(answer.text)
        return found, str(stopped.value)

    first, message = run()
    assert first == [f"True say {n}" for n in range(4)]
    assert words in message
    assert str(tmp_path / "000.server.log") in message
    assert run()[0] == [f"True say {n}" for n in range(8)]


# In the workflow


def test_a_server_killed_in_the_middle_of_a_run_loses_no_finished_row_and_says_where_its_log_is(
    tiny_model: Path, tmp_path: Path
) -> None:
    # The fifth question kills it; in the second run only four are left to ask.
    model = {"source": f"path:{tiny_model}", "serve": stub("killed=5")}
    config: dict[str, object] = {
        "models": {"far": model | {"api": {"requests_in_flight": 1, "start_timeout": SOON}}},
        "prompts": {"files": ["prompts.jsonl"], "shards": 1, "eval_fraction": 0.0},
        "dialogues": {"actor": "far"},
        "judges": {"far": {"model": "far"}},
        "rewards": {"wim": {"judge": "far", "zeta": 1.0}},
        "arms": {},
    }
    prompts = ["Name a river.", "How is bread made?", "Why does it rain?", "Who wrote this?"]
    project = Project.copied(tmp_path / "project", config, prompts)
    died = project.run("--", "dialogues", status=1)
    assert "models.far.serve: the server ended with exit status 137 (signal SIGKILL)" in died
    assert "its log: logs/generate_dialogues/base/000.server.log" in died
    assert "Traceback" not in died
    output = project.run("--", "dialogues")
    assert "8 rows, 4 from the store, 4 generated" in output
