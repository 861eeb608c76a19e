"""Further speakers, such as teachers: the same prompts, rules and rewards, in files of their own."""

from pathlib import Path

import pandas as pd

from support.workflow_runs import Project, tiny_config

PROMPTS = ["Name a river.", "How is bread made?", "Why does it rain?", "Who wrote the answer?"]
SHARDS = 2
TEACHER = {"model": "tiny", "candidates": 1, "sampling": {"temperature": 0.0}}


def dialogues(project: Project, policy: str) -> pd.DataFrame:
    return pd.read_parquet(project.folder / "results/dialogues" / policy)


def planned_dialogues(project: Project) -> list[str]:
    """The dialogues tables that a dry run would make."""
    lines = project.run("-n", "--", "dialogues").splitlines()
    return sorted(line.split()[1] for line in lines if "output: results/dialogues/" in line)


def test_a_teacher_answers_the_same_prompts_and_is_rewarded_by_its_path(
    tmp_path: Path, tiny_model: Path, minilm: Path
) -> None:
    config = tiny_config(
        *(tiny_model, minilm),
        shards=SHARDS,
        rewards={"number": {"judge": "tiny", "zeta": 0.0, "rating": "rating_expected"}},
        arms={"number": {"reward": "number"}},
    )
    project = Project.copied(tmp_path / "project", config, PROMPTS)
    project.run("--", "dialogues")
    base = dialogues(project, "base")

    project.set("policies", {"teacher": TEACHER})
    shards = [f"results/dialogues/teacher/{number:03d}.parquet" for number in range(SHARDS)]
    assert planned_dialogues(project) == shards, "a policy added is not the only thing that runs"
    project.run("--", "dialogues", "results/rewards/teacher/number.parquet")
    taught = dialogues(project, "teacher")
    assert set(taught["prompt_id"]) == set(base["prompt_id"])
    assert (taught.groupby("prompt_id").size() == 1).all(), "it has its own number of candidates"
    assert not set(taught["candidate_id"]) & set(base["candidate_id"])
    rewards = pd.read_parquet(project.folder / "results/rewards/teacher/number.parquet")
    assert set(rewards["candidate_id"]) == set(taught["candidate_id"])

    project.set("policies.teacher.sampling.temperature", 0.5)
    project.set("policies.other", TEACHER)
    others = [shard.replace("teacher", "other") for shard in shards]
    assert planned_dialogues(project) == [*others, *shards], "another policy's change is its own"
    pd.testing.assert_frame_equal(dialogues(project, "base"), base)
