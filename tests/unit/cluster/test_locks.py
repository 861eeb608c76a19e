"""Turns at work: others wait, never for a dead process, and never two for each other."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from wim.cluster import locks
from wim.cluster.locks import turn

HOLDER = """
import sys, time
from pathlib import Path
from wim.cluster.locks import turn

with turn(Path(sys.argv[1]), sys.argv[2], "is at it", lambda: 0) as mine:
    print("turn", mine.alone, flush=True)
    while True:
        print("awaited" if mine.is_awaited() else "alone", flush=True)
        if sys.stdin.readline() == "end\\n":
            break
"""


class Other:
    """Another process, which has its turn at some work."""

    def __init__(self, folder: Path, name: str = "work") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(folder), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout and self.process.stdin
        self.heard, self.told = self.process.stdout, self.process.stdin

    def says(self) -> str:
        return self.heard.readline().strip()

    def hears(self, line: str) -> None:
        self.told.write(line + "\n")
        self.told.flush()

    def end(self) -> None:
        self.hears("end")
        self.process.wait()


@contextmanager
def other(folder: Path, name: str = "work") -> Iterator[Other]:
    """Another process that has its turn."""
    started = Other(folder, name)
    try:
        assert started.says() == "turn True"
        assert started.says() == "alone"
        yield started
    finally:
        started.process.kill()
        started.process.wait()


def waits(folder: Path, name: str = "work") -> bool:
    """Whether a turn has to wait; it comes once the patience is over."""
    with turn(folder, name, "is at it", lambda: 0) as mine:
        return not mine.alone


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "PATIENCE", 0.3)
    monkeypatch.setattr(locks, "LONGEST_PAUSE", 0.05)


def test_who_waits_has_its_turn_when_the_other_ends(tmp_path: Path) -> None:
    with other(tmp_path) as first:
        second = Other(tmp_path)
        while first.hears("?") or first.says() == "alone":
            time.sleep(0.05)
        first.end()
        assert [second.says(), second.says()] == ["turn True", "alone"]
        second.end()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_turn_ends_with_its_process_however_it_ends(
    tmp_path: Path, number: signal.Signals
) -> None:
    with other(tmp_path) as dead:
        dead.process.send_signal(number)
        dead.process.wait()
        assert not waits(tmp_path)


def test_other_work_of_the_same_folder_waits_for_nothing(tmp_path: Path) -> None:
    with other(tmp_path):
        assert not waits(tmp_path, "other work")


def test_a_process_that_hangs_is_waited_for_no_longer_than_it_shows_no_progress(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "wim")
    progress = iter([*range(10), *[9] * 1000])
    with (
        other(tmp_path) as hanging,
        turn(tmp_path, "work", "is at it", lambda: next(progress)) as mine,
    ):
        os.kill(hanging.process.pid, 0)
        assert not mine.alone
        assert next(progress) == 9, "it waited while there was progress"
    assert "another job is at it; waiting" in caplog.text
    assert "no progress" in caplog.text


def test_a_process_with_a_turn_never_waits_so_that_no_two_wait_for_each_other(
    tmp_path: Path,
) -> None:
    with other(tmp_path, "b"), turn(tmp_path, "a", "is at a", lambda: 0):
        start = time.monotonic()
        with turn(tmp_path, "b", "is at b", lambda: 0) as nested:
            assert not nested.alone
        assert time.monotonic() - start < 0.2
    assert not waits(tmp_path, "b"), "the turn at a has ended"


def test_a_signal_ends_the_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "PATIENCE", 60.0)
    before = signal.signal(signal.SIGUSR1, lambda *_: sys.exit(138))
    try:
        with other(tmp_path), pytest.raises(SystemExit):
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGUSR1)).start()
            waits(tmp_path)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert not waits(tmp_path)


def test_without_locks_of_the_file_system_nobody_waits_and_a_warning_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def none(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(locks.fcntl, "lockf", none)
    assert not waits(tmp_path)
    assert not waits(tmp_path)
    assert caplog.text.count("nothing can be locked here (No locks available)") == 1


def test_a_lock_file_is_as_writable_as_its_folder(tmp_path: Path) -> None:
    shared = tmp_path / "store"
    shared.mkdir()
    shared.chmod(0o775)
    before = os.umask(0o077)
    try:
        assert not waits(shared)
    finally:
        os.umask(before)
    assert (shared / ".lock").stat().st_mode & 0o777 == 0o664
    assert (shared / ".lock").stat().st_size == 0
