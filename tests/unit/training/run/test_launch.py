"""The processes of a training on several GPUs: real ones, of torchrun, on the CPU."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support import ranks
from support.workflow_runs import REPOSITORY
from wim.training.run.launch import write_checkpoint_on
from wim.training.run.setup import Run

TRAINING = """
import sys
from pathlib import Path
from support import ranks
from wim.training.run.launch import write_checkpoint_on
from wim.training.run.setup import Run

folder = Path(sys.argv[1])
run = Run(folder, 0, 1, folder, 1, folder)
write_checkpoint_on(ranks.saves, 2, folder / "training.log", run=run, folder=folder)
"""


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [str(REPOSITORY / "tests"), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))


def test_each_process_opens_on_a_gpu_of_its_own_and_takes_no_settings_of_other_launches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home/accelerate"
    home.mkdir(parents=True)
    (home / "default_config.yaml").write_text(
        "compute_environment: LOCAL_MACHINE\ndistributed_type: DEEPSPEED\nnum_machines: 2\n"
        "num_processes: 16\nmachine_rank: 1\nmain_process_ip: 10.0.0.1\n"
    )
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    monkeypatch.setenv("FSDP_VERSION", "1")
    run = Run(tmp_path, 0, 1, tmp_path, 1, tmp_path)
    write_checkpoint_on(ranks.devices, 2, tmp_path / "training.log", run=run, folder=tmp_path)
    for number in range(2):
        told = json.loads((tmp_path / f"{number}.json").read_text())
        assert told == {"device": [number], "world": "2", "foreign": []}


def test_processes_that_are_to_stop_have_the_time_that_they_need_to_save(tmp_path: Path) -> None:
    training = subprocess.Popen([sys.executable, "-c", TRAINING, str(tmp_path)])
    ready = [tmp_path / f"{number}.ready" for number in range(2)]
    try:
        until = time.monotonic() + 120
        while not all(path.exists() and path.read_text() for path in ready):
            assert training.poll() is None and time.monotonic() < until
            time.sleep(0.05)
        # A scheduler sends it to every process, also to torchrun's agent, which would kill the others
        # after a while.
        os.kill(int(ready[0].read_text()), signal.SIGTERM)
        time.sleep(1)
        training.send_signal(signal.SIGTERM)
        assert training.wait(timeout=60) == 128 + signal.SIGTERM
    finally:
        training.kill()
    assert [(tmp_path / f"{number}.saved").read_text() for number in range(2)] == ["1", "1"]
