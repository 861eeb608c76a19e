"""A server that imports the large libraries once, and runs jobs in forks of itself.

A job of the tests computes for a moment, and imports torch, transformers and TRL for seconds.
`address()` starts a server, where `share()` has not started one for all processes of the tests. A
fork has the arguments, folder, environment, files and exit status of the process that asked for it,
and none of this project's modules: those are imported from the project that it runs in. If asked
to, it joins that process's group, as what is started in a terminal, which may then be signalled as
a whole.
"""

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path
from typing import Any

PRELOADED = (
    *("torch", "transformers", "transformers.models.llama.modeling_llama", "peft", "datasets"),
    *("trl", "trl.trainer.dpo_trainer", "sentence_transformers", "accelerate", "safetensors.torch"),
    *("pandas", "pyarrow.parquet", "pyarrow.dataset", "scipy.stats", "matplotlib.pyplot"),
    *("jinja2", "pydantic", "yaml", "tenacity", "openai", "psutil", "tqdm.auto"),
    *("snakemake.cli", "snakemake.api", "snakemake.script", "snakemake.executors.local"),
)
# What a job sets before it imports these libraries, which read it once.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_CBWR": "AUTO",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TORCHDYNAMO_DISABLE": "1",
    "MPLBACKEND": "agg",
}


# Where the processes that are started from here find the server that they share.
SHARED = "WIM_TEST_SHARED_FORK_SERVER"
SECONDS_TO_START = 600


def share() -> None:
    """Start the server of all processes that are started from here, and do not wait for it."""
    os.environ[SHARED] = start()


@functools.cache
def address(hash_seed: str | None = None) -> str:
    """The socket of the server: the shared one, or this process's, started when first asked for.

    Forks have the order of hashes of their server, so there is one for each `hash_seed`.
    """
    shared = os.environ.get(SHARED) if hash_seed is None else None
    path = Path(shared or start(hash_seed))
    deadline = time.monotonic() + SECONDS_TO_START
    while not path.exists():
        assert time.monotonic() < deadline, path.with_name("log").read_text()
        time.sleep(0.05)
    return str(path)


def start(hash_seed: str | None = None) -> str:
    """Start a server, which ends with this process; its socket, which is there once it is ready."""
    folder = tempfile.mkdtemp(prefix="fork-")
    path = f"{folder}/socket"
    environment = {**os.environ, **ENVIRONMENT}
    environment.pop("PYTHONPATH", None)
    if hash_seed is not None:
        environment["PYTHONHASHSEED"] = hash_seed
    with Path(folder, "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, __file__, path], env=environment, stdout=log, stderr=log
        )

    def end() -> None:
        server.kill()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(end)
    return path


def serve(path: str) -> None:
    """Accept requests until the process that started the server is gone."""
    for name in PRELOADED:
        importlib.import_module(name)
    assert "wim" not in sys.modules
    gc.collect()
    gc.freeze()
    parent = os.getppid()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{path}.partial")
        listening.listen(64)
        listening.settimeout(1)
        Path(f"{path}.partial").rename(path)
        while os.getppid() == parent:
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            try:
                asking, _ = listening.accept()
            except TimeoutError:
                continue
            if not os.fork():
                listening.close()
                answer(asking)
                os._exit(0)
            asking.close()


def answer(asking: socket.socket) -> None:
    """Run one request in a fork, end the fork if who asked is gone, and send its exit status."""
    asking.settimeout(None)
    length, files, *_ = socket.recv_fds(asking, 8, 3)
    message = asking.recv(int.from_bytes(length, "big"), socket.MSG_WAITALL)
    child = os.fork()
    if not child:
        asking.close()
        become(files, **json.loads(message))
    for each in (*files, 0, 1, 2):
        os.close(each)
    asking.sendall(child.to_bytes(8, "big"))
    ended = os.pidfd_open(child)
    ready, _, _ = select.select([asking, ended], [], [])
    if ended not in ready:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if ended in ready:
        asking.sendall((code if code >= 0 else 128 - code).to_bytes(8, "big"))


def become(
    files: list[int],
    arguments: list[str],
    folder: str,
    environment: dict[str, str],
    group: int | None,
) -> None:
    """Be the process that asked: run its command line, and end with its exit status."""
    if group is not None:
        os.setpgid(0, group)
    # The kernel cuts it to 15 characters.
    Path("/proc/self/comm").write_text(script_name(arguments))
    for number, each in enumerate(files):
        os.dup2(each, number)
        os.close(each)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    own = [each for each in environment.get("PYTHONPATH", "").split(os.pathsep) if each]
    code = run(arguments, own)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def script_name(arguments: list[str]) -> str:
    """What a command line runs: snakemake, a module, or a rule, whose script has it as a suffix."""
    name = arguments[1] if arguments[0] == "-m" else Path(arguments[0]).name.removesuffix(".py")
    return name.rpartition(".")[2]


def run(arguments: list[str], path: list[str]) -> int:
    """Run a script or `-m module` with its arguments, as Python does; its exit status."""
    code: Any = 0
    try:
        if arguments[0] == "-m":
            sys.path[:1] = [str(Path.cwd()), *path]
            sys.argv = arguments[1:]
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.path[:1] = [str(Path(arguments[0]).parent), *path]
            sys.argv = arguments
            runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as leaving:
        code = leaving.code
    except BaseException:  # noqa: BLE001, as Python itself does
        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    if isinstance(code, str):
        print(code, file=sys.stderr)
        code = 1
    return int(code or 0) & 0xFF


if __name__ == "__main__":
    serve(sys.argv[1])
