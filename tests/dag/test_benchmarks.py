"""Benchmarks are planned for each model and no other, with a GPU on a cluster; nothing is installed."""

import pytest

from support.workflow_runs import Project, job_counts

TASK = "task: mine\ndataset_path: json\ndataset_kwargs: {data_files: {test: questions.jsonl}}\n"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project of one arm, of which nothing has run."""
    bench = {"kind": "harness", "tasks": ["arc_easy", "mine.yaml"]}
    config: dict[str, object] = {
        "prompts": {"files": ["prompts.jsonl"], "shards": 1},
        "rewards": {"chance": {"kind": "random"}},
        "arms": {"chance": {"reward": "chance"}},
        "evaluations": {"bench": bench},
    }
    made = Project.copied(tmp_path_factory.mktemp("benchmarks") / "project", config, ["A prompt."])
    (made.folder / "mine.yaml").write_text(TASK)
    (made.folder / "questions.jsonl").write_text("{}\n")
    return made


def test_each_model_is_one_job_on_a_gpu_and_answers_nothing_for_it(project: Project) -> None:
    shown = project.run("-n", "--profile", "profiles/slurm", "--", "evaluation")
    jobs = job_counts(shown)
    assert (jobs["stage_harness"], jobs["run_harness"], jobs["evaluate_harness"]) == (1, 2, 1)
    assert jobs["train_dpo"] == jobs["generate_dialogues"] == jobs["verdict"] == 1
    assert not {"export_evaluation", "find_leaks", "evaluate"} & set(jobs)
    for job in shown.split("rule run_harness:")[1:]:
        assert "gpu=1" in job.split("resources: ")[1].splitlines()[0]
    assert "results/checkpoints/chance/round1/manifest.json" in shown.split("rule run_harness:")[2]


def test_tasks_are_staged_with_the_models(project: Project) -> None:
    planned = project.planned("--", "stage")
    assert planned["stage_harness"] == 1 and "run_harness" not in planned


def test_a_missing_file_of_a_task_is_told_before_anything_runs(project: Project) -> None:
    (project.folder / "questions.jsonl").rename(project.folder / "kept.jsonl")
    said = project.run("-n", "--", "evaluation", status=1)
    (project.folder / "kept.jsonl").rename(project.folder / "questions.jsonl")
    assert "mine.yaml: dataset_kwargs.data_files: found 'questions.jsonl'" in said
    assert "Traceback" not in said
