"""What a rule's script does around its work: settings, log, signals."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from wim import job

PROGRAM = """
import os, signal, sys
from types import SimpleNamespace
from wim.job import job

stub = SimpleNamespace(
    rule="stub", log=[sys.argv[1]], threads=1, resources={}, params=SimpleNamespace(spec="{}")
)
with job(stub):
    print("work", flush=True)
    if sys.argv[2] == "within":
        os.kill(os.getpid(), signal.SIGUSR1)
if sys.argv[2] == "after":
    os.kill(os.getpid(), signal.SIGUSR1)
print("end", flush=True)
"""


def run(tmp_path: Path, when: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "stub.log"), when]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_warning_after_the_work_is_done_does_not_fail_the_job(tmp_path: Path) -> None:
    done = run(tmp_path, "after")
    assert (done.returncode, done.stdout) == (0, "work\nend\n"), done.stderr


def test_a_warning_during_the_work_stops_the_job(tmp_path: Path) -> None:
    done = run(tmp_path, "within")
    assert (done.returncode, done.stdout) == (138, "work\n"), done.stderr
    assert "SIGUSR1: stopping" in done.stderr


@pytest.mark.parametrize(
    ("share", "cores"),
    [
        ("200000 100000\n", 2),
        ("150000 100000", 2),
        ("max 100000\n", 4),
        ("5000 100000", 1),
        ("", 4),
    ],
)
def test_a_job_has_no_more_threads_than_cores_it_may_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: str, cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 7})
    monkeypatch.setattr(job, "CONTAINER_CPU", tmp_path / "cpu.max")
    assert job.usable_cores() == 4
    (tmp_path / "cpu.max").write_text(share)
    assert job.usable_cores() == cores


UNALIGNED = """
import sys
from types import SimpleNamespace
from wim.job import job

stub = SimpleNamespace(
    rule="stub", log=[sys.argv[1]], threads=1, params=SimpleNamespace(spec="{}"), resources={}
)
with job(stub):
    import torch

    def laid(numbers, place):
        memory = torch.empty(numbers.numel() + 32)
        start = -memory.data_ptr() // 4 % 16 + place
        return memory[start : start + numbers.numel()].view(numbers.shape).copy_(numbers)

    for rows, width, out in ((1, 16, 16), (2, 16, 300), (33, 576, 1), (100, 576, 8)):
        left, right = torch.randn(rows, width), torch.randn(out, width)
        products = [laid(left, place) @ laid(right, place).T for place in (0, 1, 2, 3, 4, 8)]
        assert all(each.equal(products[0]) for each in products), (rows, width, out)
"""


def test_a_product_has_the_same_bits_wherever_its_operands_lie_in_memory(tmp_path: Path) -> None:
    """On processors of AMD it had not: weights read from a file lie elsewhere than copied ones."""
    environment = {name: value for name, value in os.environ.items() if name != "MKL_CBWR"}
    command = [sys.executable, "-c", UNALIGNED, str(tmp_path / "stub.log")]
    subprocess.run(command, check=True, env=environment)


def test_how_threads_wait_is_left_to_who_says_so() -> None:
    kept = dict(os.environ)
    try:
        for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
            os.environ.pop(name, None)
        job._configure_environment(2)
        assert os.environ["GOMP_SPINCOUNT"] == "10000"
        os.environ["GOMP_SPINCOUNT"] = "3"
        job._configure_environment(2)
        assert os.environ["GOMP_SPINCOUNT"] == "3"
        del os.environ["GOMP_SPINCOUNT"]
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
        job._configure_environment(2)
        assert "GOMP_SPINCOUNT" not in os.environ
    finally:
        os.environ.clear()
        os.environ.update(kept)
