"""`snakemake --profile profiles/slurm` on a real SLURM, and what happens there to jobs."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

from support.paced import answers_to, numbered
from support.slurm_cluster import NODE, Cluster, request
from support.workflow_runs import REPOSITORY, Project, forked_environment, rows_computed

PROFILE = ("--profile", "profiles/slurm", "--slurm-init-seconds-before-status-checks", "2")
FLUSH_ROWS = 64
MEMORY = {"M": 1, "G": 1024}


def start(
    cluster: Cluster,
    project: Project,
    *arguments: str,
    path: str | None = None,
    forked: bool = False,
) -> subprocess.Popen[bytes]:
    """Start snakemake with the profile of the cluster; its output goes to run.log.

    forked: whether it and its jobs run in forks of the fork server, which is fast, but then they
    are no children of SLURM's, which cannot end them.
    """
    command, environment = project.command(*PROFILE, *arguments)
    if forked:
        environment = forked_environment(project.folder / "workflow")
    environment = environment | cluster.environment
    if path is not None:
        environment["PATH"] = f"{path}:{environment['PATH']}"
    with (project.folder / "run.log").open("wb") as log:
        return subprocess.Popen(
            command, cwd=project.folder, env=environment, stdout=log, stderr=log
        )


def output_of(project: Project) -> str:
    """What the run that was started last has printed."""
    return (project.folder / "run.log").read_text()


def finish(project: Project, process: subprocess.Popen[bytes], status: int = 0) -> str:
    """Wait for a run, which must end with a status; its output."""
    process.wait(timeout=1500)  # Beside other tests on a slow machine.
    assert process.returncode == status, output_of(project)
    return output_of(project)


def submitted(output: str) -> list[str]:
    """The numbers of the jobs that a run submitted."""
    return re.findall(r"has been submitted with SLURM jobid (\d+)", output)


def until(true: Callable[[], bool], project: Project, seconds: float = 240) -> None:
    """Wait until something is true of the run."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, output_of(project)
        time.sleep(0.1)


def state(cluster: Cluster, number: str) -> str:
    """A job's state, in SLURM's word."""
    return cluster.job(number)["JobState"]


def flushed(project: Project) -> int:
    """Dialogues' rows in the whole parts of the store."""
    parts = (project.folder / "store/generate_dialogues").glob("part-*.parquet")
    return sum(pq.read_metadata(part).num_rows for part in parts)


def table(project: Project, name: str) -> pd.DataFrame:
    """The rows of a table, all files."""
    files = sorted((project.folder / "results" / name).rglob("*.parquet"))
    return pd.concat(map(pd.read_parquet, files), ignore_index=True)


def completions(project: Project) -> dict[str, str]:
    """Every candidate's text."""
    rows = table(project, "dialogues")
    return dict(zip(rows["candidate_id"], rows["completion"], strict=True))


@pytest.fixture(scope="module")
def ran(
    cluster: Cluster, settings: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Project, list[dict[str, str]]]:
    """The whole workflow on the cluster, every way of training included, and SLURM's view of it."""
    project = Project.copied(tmp_path_factory.mktemp("cluster") / "project", settings, numbered(12))
    trained = {"batch_size": 4, "precision": "float32"}
    project.set("sft.tuned", {"completions": "base", "finished": False, **trained})
    project.set("reward_models.scorer", {"arm": "wim", **trained})
    own = {"loss": {"file": "config/losses/sigmoid.py"}, **trained}
    project.set("arms.own", {"reward": "wim", "training": own})
    project.set("arms.online", {"reward": "wim", "method": "online_dpo", "training": trained})
    project.set("judges.pairs", {"model": "tiny", "method": "pairwise"})
    few = {"judge": "pairs", "speakers": ["wim"], "kl": True}
    project.set("evaluations.few", {**few, "prompts": {"files": ["prompts.jsonl"], "limit": 2}})
    targets = ("dpo_checkpoint", "sft_checkpoint", "reward_model", "evaluation")
    output = finish(project, start(cluster, project, "--", *targets, forked=True))
    return project, [cluster.job(number) for number in submitted(output)]


def test_the_cluster_makes_the_same_tables_as_a_local_run(
    ran: tuple[Project, list[dict[str, str]]], finished: Project
) -> None:
    project, _ = ran
    for name in ("dialogues/base", "ratings/base", "rewards/base", "pairs/wim"):
        ours, theirs = table(project, name), table(finished, name)
        key = [column for column in ours.columns if column.endswith("_id")]
        ours, theirs = (each.sort_values(key, ignore_index=True) for each in (ours, theirs))
        pd.testing.assert_frame_equal(ours, theirs, atol=1e-4)
    assert (project.folder / "results/checkpoints/wim/round1/manifest.json").exists()


def test_every_job_held_what_the_profile_asks_for(
    ran: tuple[Project, list[dict[str, str]]],
) -> None:
    _, jobs = ran
    profile = yaml.safe_load((REPOSITORY / "profiles/slurm/profile.yaml").read_text())
    seen = set()
    for job in jobs:
        rule = re.match(r"rule_(.+)_wildcards_", job["Comment"])
        assert rule is not None
        asked = profile["set-resources"][rule[1]]
        held = dict(each.split("=") for each in job["TRES"].split(","))
        hours, minutes, _ = map(int, re.findall(r"\d+", job["TimeLimit"]))
        assert job["JobState"] == "COMPLETED"
        assert job["TresPerJob"] == f"gres:gpu:{asked['gpu']}"
        assert job["NumCPUs"] == held["cpu"] == str(asked["cpus_per_task"])
        assert held["node"] == str(asked["nodes"])
        megabytes = float(held["mem"][:-1]) * MEMORY[held["mem"][-1]]
        assert megabytes == eval(asked["mem_mb"], {"attempt": 1})
        assert hours * 60 + minutes == eval(asked["runtime"], {"attempt": 1})
        seen.add(rule[1])
    # Topics stand in the place of this project's prompts; benchmarks need an environment of their own;
    # no judge of this project has samples, aspects or labels, it discovers no losses and studies no rewards.
    not_run = {
        *("create_topics", "run_harness", "rate_samples", "rate_aspects", "rate_by_label"),
        *("propose_loss", "train_discovered", "fit_heads", "reward_study"),
    }
    assert seen == set(profile["set-resources"]) - not_run


def test_two_jobs_run_at_once_on_a_gpu_each_and_a_third_waits(
    ran: tuple[Project, list[dict[str, str]]],
) -> None:
    project, jobs = ran
    # Three shards of two speakers and online training, which all are ready when the prompts are.
    dialogues = "rule_generate_dialogues_wildcards_"
    ready = (f"{dialogues}base_", f"{dialogues}few@base_", "rule_train_online_dpo")
    at_once = [job for job in jobs if job["Comment"].startswith(ready)]
    assert len(at_once) == 7
    at_once.sort(key=lambda job: (job["StartTime"], int(job["JobId"])))
    first, second, third = at_once[:3]
    assert second["StartTime"] < first["EndTime"]
    assert third["StartTime"] >= min(first["EndTime"], second["EndTime"])
    gpus = {}
    for log in (project.folder / "logs").rglob("*.log"):
        if told := re.search(r"SLURM job (\d+), CUDA_VISIBLE_DEVICES (\S+)", log.read_text()):
            gpus[told[1]] = told[2]
    assert {gpus[first["JobId"]], gpus[second["JobId"]]} == {"0", "1"}


def test_a_cancelled_job_is_retried_and_loses_no_flushed_row(
    cluster: Cluster, brief: Project, tmp_path: Path
) -> None:
    project = brief.again(tmp_path / "project")
    process = start(cluster, project, "--", "dialogues")
    until(lambda: flushed(project) > 0, project)
    (number,) = submitted(output_of(project))
    cluster.command("scancel", number)
    until(lambda: state(cluster, number) == "CANCELLED", project)
    kept = flushed(project)
    output = finish(project, process)
    assert len(submitted(output)) == 2
    log = (project.folder / "logs/generate_dialogues/base/000.log").read_text()
    assert rows_computed(log)["generated"] == 2 * 80 - kept
    assert set(completions(project).values()) == answers_to(numbered(80))


def test_a_warned_job_goes_on_in_a_new_turn_which_is_no_retry(
    cluster: Cluster, brief: Project, tmp_path: Path
) -> None:
    project = brief.again(tmp_path / "project")
    process = start(cluster, project, "--retries", "0", "--", "dialogues")
    until(lambda: flushed(project) > 0, project)
    (number,) = submitted(output_of(project))
    cluster.command("scancel", "--signal=USR1", number)
    until(lambda: cluster.job(number)["Restarts"] == "1", project)
    kept = flushed(project)
    output = finish(project, process)
    assert submitted(output) == [number]
    assert state(cluster, number) == "COMPLETED"
    log = (project.folder / "logs/generate_dialogues/base/000.log").read_text()
    assert rows_computed(log)["generated"] == 2 * 80 - kept
    assert set(completions(project).values()) == answers_to(numbered(80))


def test_work_longer_than_the_partition_allows_ends_over_several_turns(
    cluster: Cluster, paced: Project, tmp_path: Path
) -> None:
    project = paced.again(tmp_path / "project")
    # SLURM looks twice a minute and warns up to a minute early, so one second means half the time.
    limited = {"runtime": 1, "slurm_partition": "minute", "slurm_extra": "'--signal=USR1@1'"}
    request(project, "generate_dialogues", **limited)
    output = finish(project, start(cluster, project, "--retries", "0", "--", "dialogues"))
    (number,) = submitted(output)
    job = cluster.job(number)
    assert job["TimeLimit"] == "00:01:00"
    assert int(job["Restarts"]) >= 1
    assert set(completions(project).values()) == answers_to(numbered(220))


def test_a_job_over_its_memory_is_retried_with_more(
    cluster: Cluster, finished: Project, tmp_path: Path
) -> None:
    project = finished.again(tmp_path / "project")
    (project.folder / "results/dialogues/base/000.parquet").unlink()
    shutil.rmtree(project.folder / "store")
    request(project, "generate_dialogues", mem_mb="attempt * attempt * 500")
    output = finish(project, start(cluster, project, "--", "dialogues"))
    first, second = (cluster.job(number) for number in submitted(output))
    assert first["JobState"] in ("OUT_OF_MEMORY", "FAILED", "CANCELLED")
    assert "mem=500M" in first["TRES"] and "mem=2000M" in second["TRES"]
    assert second["JobState"] == "COMPLETED"


def test_a_job_over_its_time_is_retried_with_more_and_keeps_its_rows(
    cluster: Cluster, paced: Project, tmp_path: Path
) -> None:
    project = paced.again(tmp_path / "project")
    request(project, "generate_dialogues", runtime="1 if attempt == 1 else 30", slurm_extra="")
    cluster.configure("OverTimeLimit", 0)
    try:
        output = finish(project, start(cluster, project, "--", "dialogues"))
    finally:
        cluster.configure("OverTimeLimit", 1)
    first, second = (cluster.job(number) for number in submitted(output))
    assert (first["JobState"], first["TimeLimit"]) == ("TIMEOUT", "00:01:00")
    assert (second["JobState"], second["TimeLimit"]) == ("COMPLETED", "00:30:00")
    log = (project.folder / "logs/generate_dialogues/base/000.log").read_text()
    assert rows_computed(log)["generated"] <= 2 * 220 - FLUSH_ROWS
    assert set(completions(project).values()) == answers_to(numbered(220))


def test_a_drained_node_is_waited_for(cluster: Cluster, finished: Project, tmp_path: Path) -> None:
    project = finished.again(tmp_path / "project")
    for path in (project.folder / "results/dialogues/base").iterdir():
        path.unlink()
    process = start(cluster, project, "--", "dialogues")
    until(lambda: len(submitted(output_of(project))) == 3, project)
    numbers = submitted(output_of(project))
    until(lambda: "RUNNING" in [state(cluster, number) for number in numbers], project)
    cluster.command("scontrol", "update", f"NodeName={NODE}", "State=DRAIN", "Reason=test")
    try:
        until(lambda: "RUNNING" not in [state(cluster, number) for number in numbers], project)
        assert "PENDING" in [state(cluster, number) for number in numbers]
    finally:
        cluster.command("scontrol", "update", f"NodeName={NODE}", "State=RESUME")
    output = finish(project, process)
    assert submitted(output) == numbers
    assert completions(project) == completions(finished)


def test_a_busy_scheduler_is_waited_for(
    cluster: Cluster, finished: Project, tmp_path: Path
) -> None:
    project = finished.again(tmp_path / "project")
    for path in (project.folder / "results/dialogues/base").iterdir():
        path.unlink()
    busy = tmp_path / "busy"
    busy.mkdir()
    for name in ("sbatch", "squeue"):
        calls = tmp_path / f"{name}.calls"
        (busy / name).write_text(
            "#!/bin/sh\n"
            f"echo call >> {calls}\nif [ $(($(wc -l < {calls}) % 3)) = 1 ]; then\n"
            "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1; fi\n"
            f'PATH={cluster.environment["PATH"]} exec {name} "$@"\n'
        )
        (busy / name).chmod(0o755)
    process = start(cluster, project, "--retries", "0", "--", "dialogues", path=str(busy))
    output = finish(project, process)
    assert len(submitted(output)) == 3
    assert completions(project) == completions(finished)
    for name in ("sbatch", "squeue"):
        assert len((tmp_path / f"{name}.calls").read_text().split()) >= 3


@pytest.mark.parametrize(
    ("resources", "reason"),
    [
        ({"slurm_partition": "nowhere"}, "invalid partition specified: nowhere"),
        ({"gpu": 3}, "Requested node configuration is not available"),
    ],
)
def test_what_slurm_refuses_ends_with_its_own_reason(
    cluster: Cluster,
    finished: Project,
    tmp_path: Path,
    resources: dict[str, object],
    reason: str,
) -> None:
    project = finished.again(tmp_path / "project")
    (project.folder / "results/dialogues/base/000.parquet").unlink()
    request(project, "generate_dialogues", **resources)
    output = finish(project, start(cluster, project, "--", "dialogues"), status=1)
    assert reason.lower() in output.lower()


def test_an_unknown_account_ends_with_slurms_reason(
    cluster: Cluster, finished: Project, tmp_path: Path
) -> None:
    """The cluster keeps no accounts, so what sbatch says where they are kept is put in its mouth."""
    project = finished.again(tmp_path / "project")
    (project.folder / "results/dialogues/base/000.parquet").unlink()
    request(project, "generate_dialogues", slurm_account="nobody")
    reason = "Invalid account or account/partition combination specified"
    sbatch = tmp_path / "strict/sbatch"
    sbatch.parent.mkdir()
    sbatch.write_text(f"#!/bin/sh\necho 'sbatch: error: {reason}' >&2; exit 1\n")
    sbatch.chmod(0o755)
    process = start(cluster, project, "--", "dialogues", path=str(sbatch.parent))
    assert reason in finish(project, process, status=1)


def test_an_interrupted_snakemake_cancels_its_jobs_and_goes_on_from_their_rows(
    cluster: Cluster, brief: Project, tmp_path: Path
) -> None:
    project = brief.again(tmp_path / "project")
    process = start(cluster, project, "--", "dialogues")
    until(lambda: flushed(project) > 0, project)
    (number,) = submitted(output_of(project))
    os.kill(process.pid, signal.SIGINT)
    finish(project, process, status=1)
    until(lambda: state(cluster, number) == "CANCELLED", project)
    kept = flushed(project)
    assert kept >= FLUSH_ROWS
    finish(project, start(cluster, project, "--", "dialogues"))
    log = (project.folder / "logs/generate_dialogues/base/000.log").read_text()
    assert rows_computed(log)["generated"] == 2 * 80 - kept
    assert set(completions(project).values()) == answers_to(numbered(80))
