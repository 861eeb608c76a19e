"""A real SLURM of one node with two GPUs, in a folder and on ports of its own.

The daemons are those of Debian's packages slurm-wlm and munge. The node claims more cores and
memory than the machine has, so that the requests of a real profile fit, and its two GPUs are
device files that every machine has: jobs hold them, see CUDA_VISIBLE_DEVICES, and cannot compute
on them. There is no accounting.
"""

import getpass
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import psutil
import yaml

from support.workflow_runs import Project

PACKAGES = ("slurm-wlm", "munge")
DAEMONS = ("munged", "slurmctld", "slurmd")
NODE = "node1"
CORES = 16
MEMORY = 256_000
PARTITIONS = {"main": "1-00:00:00", "minute": "00:01:00"}
# A killed test run leaves no daemon behind.
UNTIL_PARENT_ENDS = ("setpriv", "--pdeathsig", "TERM") if shutil.which("setpriv") else ()
PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"

CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=bf_interval=2,sched_min_interval=100000
GresTypes=gpu
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
KillWait=5
OverTimeLimit=1
MinJobAge=7200
NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory={memory} Gres=gpu:2
{partitions}
"""
GPUS = """\
NodeName={node} Name=gpu File=/dev/null
NodeName={node} Name=gpu File=/dev/zero
"""


class NoSlurm(Exception):
    """SLURM's daemons are not here and cannot be installed."""


def install() -> None:
    """Install SLURM's packages where they are missing and that is possible; else NoSlurm."""
    if all(shutil.which(daemon, path=PATH) for daemon in DAEMONS):
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise NoSlurm(f"no {' '.join(PACKAGES)}: install these packages (apt-get install)")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update"],
        ["apt-get", "install", "--yes", "--no-install-recommends", *PACKAGES],
    ):
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=600, check=False
        )
        if done.returncode:
            raise NoSlurm(f"{' '.join(command)} failed: {done.stderr.strip()[-300:]}")


class Cluster:
    """The running cluster. `environment` is what its commands need."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[subprocess.Popen[bytes]] = []
        self.environment = {
            "PATH": f"{folder}/bin:{PATH}",
            "SLURM_CONF": str(folder / "slurm.conf"),
        }

    def start(self) -> None:
        """Bring munge, the controller and the node up; NoSlurm if the node does not get ready."""
        for name in ("state", "spool", "bin"):
            (self.folder / name).mkdir(parents=True)
        self._wrap_srun()
        self._start_munge()
        names = {
            "host": socket.gethostname().split(".")[0],
            "user": getpass.getuser(),
            "folder": self.folder,
            "controller_port": _free_port(),
            "node_port": _free_port(),
            "node": NODE,
            "cores": CORES,
            "memory": MEMORY,
            "partitions": "\n".join(
                f"PartitionName={name} Nodes={NODE} MaxTime={limit} State=UP"
                + (" Default=YES" if name == "main" else "")
                for name, limit in PARTITIONS.items()
            ),
        }
        (self.folder / "slurm.conf").write_text(CONFIGURATION.format_map(names))
        (self.folder / "gres.conf").write_text(GPUS.format_map(names))
        self._daemon("slurmctld", "-D", "-c")
        self._daemon("slurmd", "-D", "-c", "-N", NODE)
        self._wait_for_node()

    def _wrap_srun(self) -> None:
        """Inside a job the plugin takes SLURM_CONF away, which only a usual installation can do."""
        wrapper = self.folder / "bin/srun"
        configuration = self.environment["SLURM_CONF"]
        wrapper.write_text(
            f'#!/bin/sh\nSLURM_CONF={configuration} exec {shutil.which("srun", path=PATH)} "$@"\n'
        )
        wrapper.chmod(0o755)

    def _start_munge(self) -> None:
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        paths = {"socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        options = [f"--{option}={self.folder}/munge.{name}" for option, name in paths.items()]
        self._daemon("munged", "--foreground", "--force", f"--key-file={key}", *options)
        _until(lambda: (self.folder / "munge.socket").exists(), "munged did not start")

    def _daemon(self, name: str, *arguments: str) -> None:
        program = shutil.which(name, path=PATH)
        assert program is not None
        with (self.folder / f"{name}.out").open("wb") as output:
            self.started.append(
                subprocess.Popen(
                    [*UNTIL_PARENT_ENDS, program, *arguments],
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=os.environ | self.environment,
                    start_new_session=True,
                )
            )

    def _wait_for_node(self) -> None:
        def ready() -> bool:
            done = self.command("sinfo", "--noheader", "--format=%T", check=False)
            return done.returncode == 0 and set(done.stdout.split()) == {"idle"}

        _until(ready, f"the node did not get ready; see the logs in {self.folder}")

    def configure(self, key: str, value: object) -> None:
        """Change a line of the configuration while the cluster runs."""
        path = self.folder / "slurm.conf"
        path.write_text(re.sub(f"(?m)^{key}=.*", f"{key}={value}", path.read_text()))
        self.command("scontrol", "reconfigure")

    def command(
        self, *arguments: str, check: bool = True, **options: object
    ) -> subprocess.CompletedProcess[str]:
        """Run one of SLURM's commands."""
        return subprocess.run(
            arguments,
            env=os.environ | self.environment,
            capture_output=True,
            text=True,
            check=check,
            timeout=60,
            **options,  # type: ignore[call-overload]
        )

    def job(self, number: str) -> dict[str, str]:
        """What SLURM says of a job: the fields of `scontrol show job`."""
        shown = self.command("scontrol", "--oneliner", "show", "job", number).stdout
        return dict(part.split("=", 1) for part in shown.split(" ") if "=" in part)

    def jobs(self) -> list[dict[str, str]]:
        """All jobs that the controller remembers, in the order of their numbers."""
        listed = self.command("squeue", "--noheader", "--states=all", "--format=%i").stdout
        return [self.job(number) for number in sorted(listed.split(), key=int)]

    def stop(self) -> None:
        """Cancel what runs, and end the daemons that were started here, by their process ids."""
        self.command("scancel", "--user", getpass.getuser(), check=False)
        self._end_jobs()
        for daemon in reversed(self.started):
            if daemon.poll() is None:
                daemon.send_signal(signal.SIGTERM)
                try:
                    daemon.wait(20)
                except subprocess.TimeoutExpired:
                    daemon.kill()
                    daemon.wait()
        self.started.clear()

    def _end_jobs(self) -> None:
        """End the processes of this cluster's jobs; proctrack/linuxproc loses some of them."""
        configuration = self.environment["SLURM_CONF"]
        for process in psutil.process_iter():
            try:
                environment = process.environ()
            except psutil.Error:
                continue
            if environment.get("SLURM_CONF") == configuration and "SLURM_JOB_ID" in environment:
                process.kill()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _until(true: object, otherwise: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        if time.monotonic() > deadline:
            raise NoSlurm(otherwise)
        time.sleep(0.2)


def request(project: Project, rule: str, **resources: object) -> None:
    """Change a rule's requests in the project's copy of the profile."""
    path = project.folder / "profiles/slurm/profile.yaml"
    profile = yaml.safe_load(path.read_text())
    profile["set-resources"][rule].update(resources)
    path.write_text(yaml.safe_dump(profile))
