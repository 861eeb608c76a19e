"""Which GPUs a job takes where no scheduler gives it any, and what it says if there are none."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from wim.cluster import gpu_checks, gpus
from wim.errors import UserError

JOB = """
import os, sys
from pathlib import Path
from types import SimpleNamespace
from wim.cluster import gpus

gpus.DRIVER = Path(sys.argv[1])
resources = dict(part.split("=") for part in sys.argv[2:])
resources = {name: int(value) for name, value in resources.items()}
gpus.take_gpus(SimpleNamespace(resources=resources, params=SimpleNamespace(untracked=None)))
print(os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
sys.stdin.read()
"""


class Jobs:
    """Jobs on a machine of so many cards, each of which runs until it is ended."""

    def __init__(self, folder: Path, cards: int) -> None:
        self.driver, self.folder = folder / "driver", folder
        for number in range(cards):
            (self.driver / f"0000:0{number}:00.0").mkdir(parents=True)
        self.running: list[subprocess.Popen[str]] = []

    def start(self, *resources: str, **exported: str) -> "subprocess.Popen[str]":
        """A job with some resources, such as gpu=1, and some variables of its environment."""
        environment = {k: v for k, v in os.environ.items() if k != gpus.VISIBLE}
        job = subprocess.Popen(
            [sys.executable, "-c", JOB, str(self.driver), *resources],
            env=environment | {"TMPDIR": str(self.folder)} | exported,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.running.append(job)
        return job

    def sees(self, *resources: str, **exported: str) -> str:
        """The GPUs that a new job sees."""
        return line_of(self.start(*resources, **exported))


def line_of(job: "subprocess.Popen[str]") -> str:
    """What a job prints."""
    assert job.stdout
    return job.stdout.readline().strip()


def end(job: "subprocess.Popen[str]") -> None:
    """Let a job end."""
    job.communicate()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Jobs]:
    """A machine of three cards."""
    jobs = Jobs(tmp_path, 3)
    yield jobs
    for job in jobs.running:
        job.kill()
        job.communicate()


def test_jobs_of_shards_are_spread_over_the_cards(machine: Jobs) -> None:
    assert [machine.sees() for _ in range(5)] == ["0", "1", "2", "0", "1"]
    end(machine.running[1])
    assert machine.sees() == "1"


def test_a_job_that_requests_cards_has_them_for_itself_and_waits_for_them(machine: Jobs) -> None:
    assert machine.sees("gpu=1") == "0"
    assert machine.sees("gpu=2") == "1,2"
    waiting = machine.start("gpu=1")
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(timeout=3)
    end(machine.running[0])
    assert line_of(waiting) == "0"


def test_exported_cards_are_all_there_is(machine: Jobs) -> None:
    exported = {gpus.VISIBLE: "GPU-5f,GPU-a1"}
    assert machine.sees("gpu=1", **exported) == "GPU-5f"
    assert machine.sees("gpu=1", **exported) == "GPU-a1"
    assert machine.sees("gpu=2", **exported) == "GPU-5f,GPU-a1"
    assert machine.sees(**{gpus.VISIBLE: ""}) == ""
    assert machine.sees(**{gpus.VISIBLE: "1"}) == "1"


def test_gpu_0_hides_them_all(machine: Jobs) -> None:
    assert machine.sees("gpu=0") == ""
    assert machine.sees("gpu=0", **{gpus.VISIBLE: "0,1"}) == ""


def test_a_training_without_a_request_has_all_of_them(machine: Jobs) -> None:
    assert machine.sees("save_seconds=300") == "None"
    assert machine.sees("save_seconds=300", "gpu=1") == "0"


def requests(monkeypatch: pytest.MonkeyPatch, gpu: int) -> None:
    """Be a job that requested so many GPUs."""
    monkeypatch.delenv(gpu_checks.WITHOUT, raising=False)
    monkeypatch.setenv(gpus.VISIBLE, "")
    monkeypatch.setenv(gpus.GIVEN, "")
    gpus.take_gpus(SimpleNamespace(resources={"gpu": gpu}, params=SimpleNamespace()))


def test_a_job_that_requested_a_gpu_and_finds_none_is_an_error_and_no_slow_job(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)
    requests(monkeypatch, 1)
    with pytest.raises(UserError) as error:
        gpu_checks.check_gpus()
    for part in ("gpu: 1", torch.__version__, "no CUDA", "install torch's wheel", "gpu: 0"):
        assert part in str(error.value)
    monkeypatch.setenv(gpu_checks.WITHOUT, "1")
    gpu_checks.check_gpus()


def test_an_old_driver_is_told_in_cudas_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def init() -> None:
        raise RuntimeError("The NVIDIA driver on your system is too old (found version 11040).\nX")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "init", init)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    requests(monkeypatch, 1)
    with pytest.raises(UserError, match=r"CUDA 13.0.*too old \(found version 11040\)\. Install a"):
        gpu_checks.check_gpus()


def test_fewer_gpus_than_requested_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "init", lambda: None)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    requests(monkeypatch, 2)
    with pytest.raises(UserError, match="gpu: 2, and torch finds 1"):
        gpu_checks.check_gpus()
    requests(monkeypatch, 1)
    gpu_checks.check_gpus()
    requests(monkeypatch, 0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    gpu_checks.check_gpus()


def test_a_node_without_a_compiler_or_pythons_headers_is_told_before_triton_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CC", "cc-of-the-site")
    monkeypatch.setattr(gpu_checks.sysconfig, "get_path", lambda _: str(tmp_path))
    gpu_checks.check_compiler()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(UserError, match=r"cc-of-the-site.*Python\.h.*module load"):
        gpu_checks.check_compiler()
    (tmp_path / "cc-of-the-site").write_text("#!/bin/sh\n")
    (tmp_path / "cc-of-the-site").chmod(0o755)
    (tmp_path / "Python.h").write_text("")
    gpu_checks.check_compiler()
