"""Further speakers, such as teachers: the same prompts, rules and rewards, in files of their own."""

from pathlib import Path

import pandas as pd
import pytest

from support.workflow_runs import Project, tiny_config
from wim.errors import UserError
from wim.settings.load import load_config

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


@pytest.mark.parametrize(
    ("policies", "words"),
    [
        ({"base": {"model": "smollm2"}}, ["policies.base", "base is the actor", "another"]),
        ({"labelled": {"model": "smollm2"}}, ["policies.labelled", "gate's pairs"]),
        ({"wim-round2": {"model": "smollm2"}}, ["policies.wim-round2", "a checkpoint"]),
        ({"teacher": {"model": "smolm2"}}, ["policies.teacher.model", "did you mean 'smollm2'?"]),
        ({"teacher": {}}, ["policies.teacher.model", "missing"]),
        (
            {"teacher": {"model": "smollm2", "sampling": {"temperatur": 1}}},
            ["policies.teacher.sampling.temperatur", "did you mean 'temperature'?"],
        ),
        (
            {"teacher": {"model": "smollm2", "sampling": {"top_p": 2}}},
            ["policies.teacher.sampling.top_p", "found 2"],
        ),
    ],
)
def test_a_policy_that_cannot_be_is_refused_in_the_users_terms(policies, words) -> None:
    with pytest.raises(UserError) as refused:
        load_config({"policies": policies}, "mine.yaml")
    for each in words:
        assert each in str(refused.value)


def test_a_policys_own_sampling_lies_over_the_common_one() -> None:
    config = load_config(
        {
            "dialogues": {"candidates": 4, "sampling": {"temperature": 0.7}},
            "policies": {"teacher": {"model": "minilm", "sampling": {"max_new_tokens": 9}}},
        }
    )
    found = config.policy_dialogues("teacher")
    assert (found.actor, found.candidates) == ("minilm", 4)
    assert (found.sampling.temperature, found.sampling.max_new_tokens) == (0.7, 9)
    assert config.policy_dialogues("base") == config.policy_dialogues("wim-round1")


def test_one_candidate_a_prompt_makes_no_pairs_and_is_refused_where_there_are_arms() -> None:
    with pytest.raises(UserError, match=r"dialogues\.candidates: found 1.*at least 2"):
        load_config({"dialogues": {"candidates": 1}})
    assert load_config({"dialogues": {"candidates": 1}, "arms": {}}).dialogues.candidates == 1
