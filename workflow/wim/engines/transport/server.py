"""A server that runs a staged model during a job, on a port of this machine only."""

import logging
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

from wim.engines.transport import server_guard as guard
from wim.errors import UserError

logger = logging.getLogger(__name__)
HOST = "127.0.0.1"
BETWEEN_LOOKS = 0.25
LOOK_TIMEOUT = 5.0
LAST_LINES = 3
# Seconds for the guard to end: its own grace, in which it ends the server, and some more.
ENDING = guard.GRACE + 5.0


class Server:
    """A running server command; see `serving`. model: the model's name on the server."""

    def __init__(self, command: Sequence[str], folder: Path, log: Path) -> None:
        port = _free_port()
        self.model = str(folder.resolve())
        self.url = f"http://{HOST}:{port}"
        self.log = log
        words = [
            word.replace("{model}", self.model).replace("{port}", str(port)) for word in command
        ]
        environment = os.environ | {"PATH": _path()}
        # A job compiles nothing (see wim.job), and servers do.
        environment.pop("TORCHDYNAMO_DISABLE", None)
        program = shutil.which(words[0], path=environment["PATH"])
        if program is None:
            raise UserError(
                f"models.{folder.name}.serve: found no program '{words[0]}'; install it in this "
                "environment, or write its path."
            )
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w", encoding="utf-8") as output:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", guard.__file__, program, *words[1:]],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=environment,
                # Signals to the job's group must not end the guard before the server.
                start_new_session=True,
            )
        self._name = folder.name

    def check(self) -> None:
        """Raises UserError if the server has ended: its exit status, its log and its last lines."""
        status = self._guard.poll()
        if status is None:
            return
        how = f"exit status {status}"
        with suppress(ValueError):
            how += f" (signal {signal.Signals(status - 128).name})"
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        last = "".join(f"\n  {line[:300]}" for line in lines[-LAST_LINES:])
        raise UserError(
            f"models.{self._name}.serve: the server ended with {how}; its log: {self.log}.{last}"
        )

    def wait_until_ready(self, timeout: float) -> None:
        """Raises UserError if the server ends, or is not ready after `timeout` seconds."""
        start = time.monotonic()
        while not self._is_ready():
            self.check()
            if time.monotonic() - start > timeout:
                raise UserError(
                    f"models.{self._name}.serve: the server is not ready after {timeout:g} s; its "
                    f"log: {self.log}. Give it more time by `api.start_timeout`."
                )
            time.sleep(BETWEEN_LOOKS)
        self.check()
        logger.info("the server is ready after %.0f s", time.monotonic() - start)

    def _is_ready(self) -> bool:
        """Whether /health reports it; if there is no such page, whether the API lists models."""
        status = _status(f"{self.url}/health")
        if status in (404, 405):
            status = _status(f"{self.url}/v1/models")
        return status == 200

    def stop(self) -> None:
        """End the server and all its processes."""
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        try:
            self._guard.wait(ENDING)
        except subprocess.TimeoutExpired:
            logger.warning("the server (process %d) does not end", self._guard.pid)


@contextmanager
def serving(command: str, folder: Path, log: Path, start_timeout: float) -> Iterator[Server]:
    """A server that is ready, made by a command that serves a model's folder.

    In the command {model} is replaced by the folder, and {port} by a free port. The server is
    stopped when the context ends, for whatever reason; it also ends when this process is killed.
    """
    server = Server(shlex.split(command), folder, log)
    logger.info("starting a server for the model; its log: %s", log)
    try:
        server.wait_until_ready(start_timeout)
        yield server
    finally:
        server.stop()


def _path() -> str:
    """The search path, with the programs of this environment first, activated or not."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _status(url: str) -> int | None:
    """The status of a page, or None where nothing answers."""
    # Addresses of this machine are not reached through a proxy of the environment.
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(url, timeout=LOOK_TIMEOUT) as page:
            return int(page.status)
    except HTTPError as error:
        return error.code
    except (URLError, OSError, HTTPException):
        return None
