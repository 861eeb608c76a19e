"""The profile for SLURM: what it asks for, what is refused, and patience, without a cluster."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from snakemake.profiles import ProfileConfigFileParser

from support.workflow_runs import REPOSITORY, SNAKEMAKE
from wim.cluster.resource_checks import invalid_resources
from wim.dag.resources import RUN_A_MODEL

PROFILE = yaml.safe_load((REPOSITORY / "profiles/slurm/profile.yaml").read_text())
SITES = sorted(path.name for path in (REPOSITORY / "profiles/sites").iterdir())


def dry_run(folder: Path, *arguments: str, profile: Path | str = "slurm") -> str:
    """The output of a dry run with the profile, in an empty directory."""
    command = [SNAKEMAKE, "--snakefile", REPOSITORY / "Snakefile", "--directory", folder]
    command += ["--profile", REPOSITORY / "profiles" / profile, "--dry-run", *arguments]
    done = subprocess.run(
        [*map(str, command), "dpo_checkpoint"], capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def test_a_dry_run_shows_the_resources_of_every_job_on_the_cluster(tmp_path: Path) -> None:
    shown = dry_run(tmp_path)
    for rule, asked in PROFILE["set-resources"].items():
        for job in shown.split(f"rule {rule}:")[1:]:
            resources = job.split("resources: ")[1].splitlines()[0]
            assert f"gpu={asked['gpu']}" in resources
            assert f"cpus_per_task={asked['cpus_per_task']}" in resources
            for name in ("mem_mb", "runtime"):
                first_attempt = eval(asked[name], {"attempt": 1})
                assert f" {name}={first_attempt}" in f" {resources}"


@pytest.mark.parametrize("name", ["slurm", "workstation"])
def test_what_takes_the_place_of_the_default_profile_has_its_settings_too(name: str) -> None:
    default = yaml.safe_load((REPOSITORY / "profiles/default/profile.yaml").read_text())
    del default["printshellcmds"]
    profile = yaml.safe_load((REPOSITORY / "profiles" / name / "profile.yaml").read_text())
    assert {key: profile[key] for key in default} == default


def test_a_workstations_jobs_each_request_a_gpu_of_those_that_are_visible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,3")
    profile = REPOSITORY / "profiles/workstation/profile.yaml"
    with profile.open(encoding="utf-8") as file:
        settings = ProfileConfigFileParser().parse(file)
    assert settings["resources"] == ["gpu=2"]
    cores = max(1, len(os.sched_getaffinity(0)) // 2)
    assert set(settings["set-threads"]) == {f"{rule}={cores}" for rule in RUN_A_MODEL}
    shown = dry_run(tmp_path, profile="workstation")
    for rule in ("generate_dialogues", "rate_candidates", "embed_critiques", "train_dpo"):
        resources = shown.split(f"rule {rule}:")[1].split("resources: ")[1].splitlines()[0]
        assert "gpu=1" in resources
    assert "gpu=1" not in shown.split("rule score_candidates:")[1].split("rule ")[0]


@pytest.mark.parametrize("site", SITES)
def test_a_site_adds_its_own_and_takes_nothing_away(tmp_path: Path, site: str) -> None:
    site_profile = REPOSITORY / "profiles/sites" / site
    shown = dry_run(tmp_path, "--workflow-profile", str(site_profile))
    own = yaml.safe_load((site_profile / "profile.yaml").read_text())
    training = shown.split("rule train_dpo:")[1].split("resources: ")[1].splitlines()[0]
    for name, value in own.get("default-resources", {}).items():
        assert f"{name}={value}" in training
    assert "gpu=1" in training and "mem_mb=64000" in training


@pytest.mark.parametrize(
    ("requests", "write"),
    [
        ({"gpus": 1}, "gpu: 1"),
        ({"nvidia_gpu": 2}, "gpu: 2"),
        ({"gpu": 1, "tasks": 2}, "gpu: <how many>"),
        ({"gres": "gpu:a100:1", "tasks": 2}, "gpu: <how many>"),
        ({"gpu": 1, "gpu_model": "a100-sxm4"}, "(a100)"),
        ({"gres": "gpu:1,tmpspace:10G"}, "gres: tmpspace:10G"),
    ],
)
def test_a_request_that_would_not_be_heard_is_refused_with_what_to_write(
    tmp_path: Path, requests: dict[str, object], write: str
) -> None:
    (told,) = invalid_resources("train_dpo", requests)
    assert told.startswith("train_dpo: ") and write in told
    profile = {**PROFILE, "set-resources": {"train_dpo": requests}}
    (tmp_path / "profile.yaml").write_text(yaml.safe_dump(profile))
    assert told in dry_run(tmp_path, profile=tmp_path)


def test_requests_that_are_heard_are_let_through() -> None:
    assert not invalid_resources(
        "train_dpo", {"gpu": 2, "gpu_model": "a100", "gres": "tmpspace:10G"}
    )
    assert not invalid_resources("some_mpi_rule", {"tasks": 4})


BUSY = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"


def command_that(folder: Path, name: str, script: str) -> None:
    """Put a command on a folder of the PATH."""
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def patiently(
    folder: Path, *arguments: str, patience: float | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command of SLURM's as the wrappers do, with the commands of a folder after them."""
    code = "import sys; from wim.cluster import slurm_retry\n"
    code += f"slurm_retry.FIRST_WAIT = 0.01; limit = {patience}\n"
    code += "if limit: slurm_retry.PATIENCE = dict.fromkeys(slurm_retry.PATIENCE, limit)\n"
    code += "sys.exit(slurm_retry.main(*sys.argv[1:]))"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_scheduler_that_is_away_for_a_moment_is_asked_again(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    command_that(
        tmp_path,
        "sbatch",
        f"[ -e {seen} ] && echo 7 && exit; touch {seen}; echo '{BUSY}' >&2; exit 1",
    )
    command_that(tmp_path, "squeue", "true")
    answer = patiently(tmp_path, "sbatch", "--job-name", "run", "--comment", "rule_x")
    assert (answer.returncode, answer.stdout) == (0, "7\n")


def test_a_job_that_was_submitted_although_sbatch_failed_is_not_submitted_twice(
    tmp_path: Path,
) -> None:
    calls = tmp_path / "calls"
    command_that(tmp_path, "sbatch", f"echo call >> {calls}; echo 'Socket timed out' >&2; exit 1")
    command_that(tmp_path, "squeue", "echo '41|rule_y'; echo '42|rule_x'")
    answer = patiently(tmp_path, "sbatch", "--job-name", "run", "--comment", "rule_x")
    assert (answer.returncode, answer.stdout) == (0, "42\n")
    assert calls.read_text() == "call\n"


def test_what_waiting_does_not_mend_is_said_at_once(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    reason = "sbatch: error: invalid partition specified: nowhere"
    command_that(tmp_path, "sbatch", f"echo call >> {calls}; echo '{reason}' >&2; exit 1")
    answer = patiently(tmp_path, "sbatch", "--job-name", "run", "--comment", "rule_x")
    assert (answer.returncode, answer.stderr.strip()) == (1, reason)
    assert calls.read_text() == "call\n"


def test_a_question_for_states_that_stays_unanswered_is_no_answer_and_no_failure(
    tmp_path: Path,
) -> None:
    command_that(tmp_path, "squeue", f"echo '{BUSY}' >&2; exit 1")
    answer = patiently(tmp_path, "squeue", "--name", "run", patience=0.2)
    assert (answer.returncode, answer.stdout) == (0, "")
    assert BUSY in answer.stderr


@pytest.mark.parametrize(
    ("script", "account"),
    [
        ("echo group-a; echo '  group-b  '", "group-b"),
        ("echo 'Slurm accounting storage is disabled' >&2; exit 1", ""),
        ("true", ""),
    ],
)
def test_the_plugins_look_for_an_account_is_answered_without_an_error(
    tmp_path: Path, script: str, account: str
) -> None:
    refuses = """case "$*" in *-1*) echo "sacct: invalid option -- '1'" >&2; exit 1;; esac"""
    command_that(tmp_path, "sacct", f"{refuses}\n{script}")
    answer = patiently(tmp_path, "sacct", "-nu", "me", "-o", "Account%256", "|", "tail", "-1")
    assert (answer.returncode, answer.stdout.strip(), answer.stderr) == (0, account, "")


def test_requeues_that_save_nothing_come_to_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from wim.cluster import requeue

    requested, tally = tmp_path / "requested", tmp_path / "job.requeues"
    command_that(tmp_path, "scontrol", f'echo "$@" >> {requested}')
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "12")

    def runs(*kept: bool) -> list[bool]:
        queued = []
        for each in kept:
            monkeypatch.setattr(requeue, "_kept", each)
            queued.append(requeue.requeue_job(tally))
        return queued

    assert all(runs(True, False, False, True, False, False))
    assert requested.read_text() == "requeue 12\n" * 6
    assert runs(False) == [False]
    assert "raise this rule's `runtime`" in caplog.text
    assert requested.read_text() == "requeue 12\n" * 6


def test_shards_are_submitted_as_arrays_however_many_there_are(tmp_path: Path) -> None:
    shards, calls, commands = 70, tmp_path / "calls", tmp_path / "bin"
    (tmp_path / "Snakefile").write_text(
        f"rule all:\n    input: expand('out/{{n}}', n=range({shards}))\n    localrule: True\n"
        "rule generate_dialogues:\n    output: 'out/{n}'\n    shell: 'false'\n"
    )
    commands.mkdir()
    (tmp_path / "out").mkdir()
    done = " ".join(f"{tmp_path}/out/{n}" for n in range(shards))
    command_that(commands, "sbatch", f'echo "$*" >> {calls}; touch {done}; echo 7')
    command_that(commands, "squeue", f"for n in $(seq {shards}); do echo 7_$n'|COMPLETED'; done")
    command_that(commands, "scontrol", "echo MaxArraySize = 1001; echo MinJobAge = 7200 sec")
    for name in ("sacct", "sinfo", "scancel"):
        command_that(commands, name, "true")
    profiles = REPOSITORY / "profiles"
    ran = subprocess.run(
        [
            *(SNAKEMAKE, "--profile", profiles / "slurm"),
            *("--workflow-profile", profiles / "sites/arrays"),
            *("--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "30"),
        ],
        cwd=tmp_path,
        env=os.environ | {"PATH": f"{commands}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (call,) = calls.read_text().splitlines()
    assert f"--array=1-{shards}" in call and "--gpus=1" in call
