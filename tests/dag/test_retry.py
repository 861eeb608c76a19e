"""Which tables `wim retry` makes again, and which it leaves alone."""

import sys
from pathlib import Path

from support.workflow_runs import Project
from wim.plan.reasons import Job
from wim.plan.retry import _follows_training, tables_with_failed_rows
from wim.tables.files import read_table, write_table
from wim.tables.schemas import RATINGS

RATED = "results/ratings/base/tiny/000.parquet"


def test_a_local_model_is_not_asked_again_for_what_it_could_not_answer(project: Project) -> None:
    table = project.folder / RATED
    write_table(table, RATINGS, read_table(table, RATINGS), failed=3)
    assert tables_with_failed_rows(project.folder) == {RATED: 3}
    done = project.call([sys.executable, "-m", "wim.cli", "retry"])
    assert done.returncode == 0, done.stderr
    assert "No table has a row that a server did not answer" in done.stdout
    assert tables_with_failed_rows(project.folder) == {RATED: 3}


def test_the_working_directory_may_be_named(project: Project, tmp_path: Path) -> None:
    done = project.call(
        [sys.executable, "-m", "wim.cli", "retry", "-n", "--", "--directory", str(tmp_path)]
    )
    assert done.returncode == 0, done.stderr
    assert "No table has a row" in done.stdout


def job(rule: str, inputs: list[str], output: str) -> Job:
    return Job(rule, {}, "", inputs, [output], None)


def test_what_follows_a_training_is_left_to_the_run_that_trains() -> None:
    jobs = [
        job("generate_dialogues", ["prompts"], "dialogues"),
        job("rate_candidates", ["dialogues"], "ratings"),
        job("score_candidates", ["ratings"], "rewards"),
        job("train_dpo", ["rewards"], "checkpoint"),
        job("generate_dialogues", ["prompts", "checkpoint"], "later dialogues"),
        job("rate_candidates", ["later dialogues"], "later ratings"),
    ]
    makers = {each.output[0]: each for each in jobs}
    left = [each.output[0] for each in jobs if _follows_training(each, makers)]
    assert left == ["later dialogues", "later ratings"]
