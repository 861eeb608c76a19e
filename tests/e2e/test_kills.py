"""Runs that are killed at random moments end with the bytes of a run that nothing disturbed."""

import os
import random
import shutil
import signal
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from support.finished import finished_project
from support.started import StartedRun
from support.workflow_runs import Project, tiny_config

pytestmark = pytest.mark.slow
KILLS = 40
FLUSH_ROWS = 4
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
# A training that saves each step can be killed between two of them. A job that was killed is tried
# again by the same run of snakemake, so that not each kill costs the start of another.
ARGUMENTS = ("--set-resources", "train_dpo:save_seconds=0", "--retries", "9")
PROMPTS = [
    "Name a river.",
    "How is bread made?",
    "Why does it rain?",
    "When does the train leave?",
    "What does a ticket cost?",
    "Who wrote the answer?",
    "Where do the hills end?",
    "Which word is missing?",
]


@pytest.fixture(scope="module")
def undisturbed(tiny_model: Path, minilm: Path) -> Project:
    """Two arms of two rounds, and all that nothing disturbed has made of them."""
    training = {"batch_size": 2, "precision": "float32"}
    rounds = {"count": 2}
    config = tiny_config(
        *(tiny_model, minilm, 24),
        prompts={"files": ["prompts.jsonl"], "shards": 2, "eval_fraction": 0.0},
        rewards={"wim": {"judge": "tiny", "zeta": 1.0}, "length": {"kind": "length"}},
        arms={
            arm: {"reward": arm, "rounds": rounds, "training": training}
            for arm in ("wim", "length")
        },
    )
    return finished_project("kills", config, PROMPTS, flush_rows=FLUSH_ROWS)


def a_new_one(undisturbed: Project, folder: Path) -> Project:
    """A project that has yet to run."""
    project = Project.copied(folder, undisturbed.config, PROMPTS)
    project.note_what_is_kept(FLUSH_ROWS)
    return project


def done_again(project: Project, undisturbed: Project) -> Counter[str]:
    """How many rows were computed that had been before, by stage; likewise saved states."""
    usual, again = undisturbed.kept(), Counter[str]()
    for (stage, row), number in project.kept().items():
        again[stage] += max(0, number - max(1, usual[stage, row]))
    return +again


def test_forty_kills_change_no_byte(undisturbed: Project, tmp_path: Path) -> None:
    draw = random.Random(0)
    kills = [(what, number) for what in ("job", "group", "snakemake") for number in SIGNALS]
    kills = draw.sample(kills * 5, KILLS)
    course = 0
    while kills:
        project = a_new_one(undisturbed, tmp_path / f"course{course}")
        lost = disturb(project, kills, draw)
        project.run()
        assert project.planned() == {}
        assert project.results() == undisturbed.results()
        # Not vectors: of texts that several jobs have, each may compute them.
        again = done_again(project, undisturbed)
        assert again["generate_dialogues"] + again["rate_candidates"] <= lost * (FLUSH_ROWS - 1)
        course += 1


def disturb(project: Project, kills: list[tuple[str, signal.Signals]], draw: random.Random) -> int:
    """Run a project, with kills, until it ends well or no kill is left; how many may lose rows."""
    lost, run = 0, StartedRun(project, *ARGUMENTS)
    while kills:
        wait_for_a_moment(run, project, draw)
        if run.runs():
            what, number = kills.pop()
            with run.log.open("a") as log:
                log.write(f"\nTest: {number.name} to {what}\n")
            lost += kill(run, what, number, draw)
            if what == "job":
                continue
            if (what, number) == ("snakemake", signal.SIGKILL):
                # Its jobs are still there when the next one is started.
                run.process.wait()
                run = StartedRun(project, *ARGUMENTS)
        elif run.ended() == 0:
            return lost
        else:
            run = StartedRun(project, *ARGUMENTS)
    run.ended()
    return lost


def wait_for_a_moment(run: StartedRun, project: Project, draw: random.Random) -> None:
    """Wait until the run has made some progress, and for a moment more, or until it has ended."""
    # Not for a time alone, so that on a slow machine too it gets to its end between kills.
    wanted = project.kept().total() + draw.choice([0, 0, 1, 2, 4, 8, 16])
    run.wait_until(lambda: project.kept().total() >= wanted)
    run.wait_until(lambda: bool(run.jobs()))
    time.sleep(draw.uniform(0.0, 2.0))


def kill(run: StartedRun, what: str, number: signal.Signals, draw: random.Random) -> int:
    """Signal a job, the whole run, or snakemake alone; how many jobs could flush no row."""
    jobs, snakemake = run.jobs(), run.snakemake()
    with suppress(ProcessLookupError):
        if what == "snakemake" and snakemake:
            os.kill(snakemake, number)
            return 0
        if what == "job" and jobs:
            os.kill(draw.choice(sorted(jobs)), number)
            return int(number == signal.SIGKILL)
        run.signal(number)
    return len(jobs) if number == signal.SIGKILL else 0


OUTLIVING = {
    "results/dialogues/base/000.parquet": "generate_dialogues",
    "results/ratings/base/tiny/001.parquet": "rate_candidates",
    "results/embeddings/base/tiny/000.parquet": "embed_critiques",
    "results/checkpoints/length/round1/manifest.json": "train_dpo",
    "results/checkpoints/length/round2/manifest.json": "train_dpo",
}


def test_a_job_that_outlives_its_snakemake_is_waited_for_and_nothing_is_done_twice(
    undisturbed: Project, tmp_path: Path
) -> None:
    project = undisturbed.again(tmp_path / "project")
    # As of a cluster; the jobs of this machine would end too.
    starter = "no_starter() if submits_jobs(workflow) else starter()"
    project.edit_code(starter, "no_starter()", "dag")
    hold, noted = project.folder / "hold", project.folder / "kept.log"
    for target, rule in OUTLIVING.items():
        (project.folder / target).unlink()
        shutil.rmtree(project.folder / "store" / rule)
        noted.unlink()
        hold.touch()
        arguments = (*ARGUMENTS, "--", target)
        first = StartedRun(project, *arguments)
        assert first.wait_until(lambda: project.kept().total() > 0)
        snakemake = first.snakemake()
        assert snakemake
        os.kill(snakemake, signal.SIGKILL)
        first.process.wait()
        second = StartedRun(project, *arguments)
        try:
            second.wait_until(lambda: "waiting for it" in second.output, seconds=120)  # noqa: B023
            assert first.jobs(), "the job had to outlive its snakemake"
        finally:
            hold.unlink()
        assert "waiting for it" in second.output, second.output
        assert second.ended() == 0, second.output
        first.ended()
        assert project.results() == undisturbed.results()
        assert not done_again(project, undisturbed), "nothing is computed or saved twice"
