"""What a stage reads, and what it is identified by, by configuration and wildcards."""

import json
import re
from pathlib import Path
from types import SimpleNamespace as Wildcards
from typing import Any

import pytest

from support.workflow_runs import REPOSITORY
from wim import paths
from wim.dag.comparisons import Comparisons
from wim.dag.inputs import Inputs, one_of
from wim.dag.models import Models
from wim.dag.resources import threads_of_shard
from wim.dag.rewards import Gate, Rewards
from wim.dag.rounds import Rounds, with_previous_round
from wim.dag.specs import Specs
from wim.dag.start import check_gpus_are_requested
from wim.dag.training import Training
from wim.dag.training_specs import TrainingSpecs, card_settings
from wim.dag.untracked import UntrackedOf
from wim.errors import UserError
from wim.plan.reasons import Job
from wim.plan.rows import model_sources
from wim.settings.config import Config
from wim.settings.load import load_config
from wim.settings.optimization import OptimizationSettings

TUNED = {"tuned": {"completions": "teacher", "prompts": 0.5}}


def inputs(**sections: Any) -> Inputs:
    """Inputs of three shards and a teacher, with what a test sets otherwise."""
    common = {"prompts": {"shards": 3}, "policies": {"teacher": {"model": "smollm2"}}}
    return Inputs(load_config({**common, **sections}), REPOSITORY)


def compared() -> Inputs:
    """A fine-tuned judge of pairs compares the actor with the teacher."""
    return inputs(
        sft=TUNED,
        judges={"smollm2": {"model": "smollm2"}, "fine": {"model": "tuned", "method": "pairwise"}},
        comparisons={"versus": {"judge": "fine", "between": ["base", "teacher"]}},
        arms={"versus": {"comparison": "versus"}},
    )


@pytest.mark.parametrize(
    ("count", "first", "last"),
    [
        (1, "000", "000"),
        (999, "000", "998"),
        (1000, "000", "999"),
        (1001, "0000", "1000"),
        (2000, "0000", "1999"),
        (99_999, "00000", "99998"),
    ],
)
def test_shards_are_numbered_with_the_digits_that_their_count_needs_and_at_least_three(
    count: int, first: str, last: str
) -> None:
    found = inputs(prompts={"shards": count})
    shards, pattern = found.shards, found.shard_pattern
    assert (shards[0], shards[-1], len(set(shards))) == (first, last, count)
    assert all(re.fullmatch(pattern, name) for name in shards)
    assert not re.fullmatch(pattern, f"0{last}")


def test_a_fine_tuned_model_is_known_by_its_checkpoint_and_run_as_what_it_was() -> None:
    found = compared()
    wildcards = Wildcards(comparison="versus", judge="fine", shard="000")
    assert found.manifest_of_judge(wildcards) == "results/checkpoints/sft/tuned/manifest.json"
    (source,) = UntrackedOf(found).pair_judge(wildcards).models
    assert source == found.config.models["smollm2"]


def test_the_plan_knows_the_model_of_a_fine_tuned_judge_of_pairs() -> None:
    config = compared().config
    wildcards = {"comparison": "versus", "judge": "fine", "shard": "000"}
    job = Job("compare_candidates", wildcards, "", [], [], None)
    assert list(model_sources(job, config)) == [config.models["smollm2"]]


def test_used_models_are_those_that_names_come_from_each_once() -> None:
    assert Models(compared()).used == ["minilm", "smollm2"]


def test_two_policies_are_compared_shard_by_shard_and_paired_from_all_shards() -> None:
    found = Comparisons(compared())
    wildcards = Wildcards(comparison="versus", judge="fine", shard="001", arm="versus")
    assert found.dialogues(wildcards) == [
        "results/dialogues/base/001.parquet",
        "results/dialogues/teacher/001.parquet",
    ]
    assert len(found.dialogues_of_arm(wildcards)) == 6
    assert found.of_arm(wildcards) == found.shards("versus", "fine")
    assert found.policies("labelled") == ["labelled_pairs"]


def three_rounds(**rounds: Any) -> Rounds:
    """An arm of four rounds, which may stop."""
    stop = {"metric": "pair_margin", "below": 0.1}
    arms = {"long": {"reward": "wim", "rounds": {"count": 4, "stop": stop, **rounds}}}
    return Rounds(inputs(arms=arms | {"short": {"reward": "wim"}}))


def test_a_round_starts_from_the_checkpoint_before_and_learns_from_its_dialogues() -> None:
    rounds = three_rounds(reference="initial")
    first, third = (Wildcards(arm="long", round=number) for number in ("1", "3"))
    assert rounds.start(first) == "results/models/smollm2/manifest.json"
    assert rounds.start(third) == "results/checkpoints/long/round2/manifest.json"
    assert rounds.reference(first) == []
    assert rounds.reference(third) == "results/models/smollm2/manifest.json"
    assert rounds.dialogues(first)[0] == "results/dialogues/base/000.parquet"
    assert rounds.dialogues(third)[0] == "results/dialogues/long-round2/000.parquet"
    assert rounds.rewards(third) == "results/rewards/long-round2/wim.parquet"


def test_an_arm_may_have_stopped_from_its_third_round_on() -> None:
    rounds = three_rounds()
    assert [rounds.verdicts_before("long", number) for number in (1, 2)] == [[], []]
    assert rounds.verdicts_before("long", 3) == ["results/rounds/long/round2.json"]
    assert rounds.verdicts_before("short", 3) == []
    assert rounds.repeated == [("long", number) for number in (1, 2, 3, 4)]
    assert rounds.last == [("long", 4), ("short", 1)]
    assert (rounds.name("long", 2), rounds.name("short", 1)) == ("long-round2", "short")


def test_the_actor_answers_one_slice_only_if_every_arm_begins_with_it() -> None:
    wildcards = Wildcards(policy="base", shard="000")
    every = "results/prompts/shards/000.parquet"
    assert three_rounds(prompts="fresh").prompts_of_policy(wildcards) == every
    alone = Rounds(
        inputs(arms={"a": {"reward": "wim", "rounds": {"count": 2, "prompts": "fresh"}}})
    )
    assert alone.prompts_of_policy(wildcards) == "results/prompts/rounds/a/round1/000.parquet"


def test_convergence_is_told_from_a_round_and_the_one_before() -> None:
    files = with_previous_round(paths.PAIRS)
    found = files(Wildcards(arm="a", round="3"))
    assert found == ["results/pairs/a/round2.parquet", "results/pairs/a/round3.parquet"]


def test_rewards_read_embeddings_only_if_they_are_made_of_them() -> None:
    rewards = {
        "wim": {"judge": "smollm2", "zeta": 1.0},
        "long": {"judge": "smollm2", "kind": "length"},
    }
    found = Rewards(inputs(rewards=rewards))
    of = {name: Wildcards(policy="base", reward=name) for name in rewards}
    assert len(found.embeddings(of["wim"])) == 3
    assert found.embeddings(of["long"]) == []
    assert len(found.ratings(of["long"])) == 3
    shards = [
        f"results/embeddings/labelled/smollm2/{shard}.parquet" for shard in ("000", "001", "002")
    ]
    assert found.embeddings_of("labelled") == shards
    only_long = Rewards(inputs(rewards={"long": rewards["long"]}, arms={"a": {"reward": "long"}}))
    assert only_long.embeddings_of("labelled") == []


def unjudged(**sections: Any) -> Inputs:
    """Rewards that read no judge, beside a judge that nothing reads."""
    rewards = {"brief": {"kind": "brevity"}, "lot": {"kind": "random"}}
    return inputs(rewards=rewards, arms={"brief": {"reward": "brief"}}, **sections)


def test_where_no_reward_reads_a_judge_nothing_is_rated_and_no_judge_is_staged() -> None:
    judges = {"large": {"model": "large"}}
    found = unjudged(models={"large": {"source": "path:large"}}, judges=judges)
    rewards = Rewards(found)
    assert rewards.ratings(Wildcards(policy="base", reward="brief")) == []
    assert rewards.embeddings(Wildcards(policy="base", reward="brief")) == []
    assert rewards.wanted_ratings == rewards.audits == []
    assert Models(found).used == ["smollm2"]
    one = inputs(rewards={"wim": {"judge": "smollm2", "zeta": 1.0}, "lot": {"kind": "random"}})
    assert Rewards(one).wanted_ratings == Rewards(one).base_ratings(["smollm2"])
    assert Rewards(one).audits == ["results/report/critiques/smollm2.json"]
    assert Models(one).used == ["minilm", "smollm2"]


def test_an_arm_of_a_reward_without_a_judge_carries_no_judges_name() -> None:
    found = unjudged()
    spec = json.loads(TrainingSpecs(found).pairs(Wildcards(arm="brief", round="1")))
    assert spec["names"] == {"policy": "base", "judge": "", "reward": "brief"}
    assert found.config.upstream_settings("brief").keys() == {"dialogues", "pairs", "reward"}


def test_online_training_by_a_reward_without_a_judge_opens_none() -> None:
    arms = {"online": {"reward": "lot", "method": "online_dpo"}}
    found = inputs(rewards={"lot": {"kind": "random"}}, arms=arms)
    wildcards, of = Wildcards(arm="online", round="1"), Training(found)
    assert of.manifest_of_online_judge(wildcards) == of.templates_of_online_judge(wildcards) == []
    assert of.encoder(wildcards) == []
    assert UntrackedOf(found).online_judge(wildcards).models == ()
    spec = json.loads(TrainingSpecs(found).online_training(wildcards))
    assert spec["judge"] is spec["answering"] is spec["names"]["judge"] is None


def test_a_bar_asks_for_proof_of_what_labels_an_arm() -> None:
    assert Gate(compared()).proof(Wildcards(arm="versus")) == []
    gated = compared().config.model_dump(mode="json")
    gated["gate"] = {"pairs": "pairs.json", "bar": 0.5}
    proof = Gate(Inputs(load_config(gated), Path())).proof(Wildcards(arm="versus"))
    assert proof == "results/evaluation/passed/pairs/fine.txt"


def test_a_gate_without_pairs_says_what_to_write() -> None:
    with pytest.raises(UserError, match=r"gate\.pairs is empty; write the path"):
        Gate(inputs()).pairs()


def test_a_file_that_is_not_there_and_one_with_braces_are_refused() -> None:
    with pytest.raises(UserError, match=r"prompts\.files: found 'none\.jsonl'"):
        inputs().file_at("none.jsonl", "prompts.files")
    with pytest.raises(UserError, match="for a wildcard; rename it"):
        inputs().file_at("{braces}.jsonl", "prompts.files")
    with pytest.raises(UserError, match="chat_template: found ''; write a path, or leave the line"):
        inputs().file_at("", "models.tiny.chat_template")
    embedded = inputs().file_at("config/prompts/demo.jsonl", "prompts.files")
    assert Path(embedded).name == "demo.jsonl"


def test_a_folder_of_prompts_is_known_by_the_files_in_it(tmp_path: Path) -> None:
    (tmp_path / "set/train").mkdir(parents=True)
    (tmp_path / "set/.cache").mkdir()
    for name in ("set/train/0.jsonl", "set/README.md", "set/.cache/x", "alone.jsonl"):
        (tmp_path / name).write_text("{}")
    found = inputs(prompts={"files": [str(tmp_path / "set"), str(tmp_path / "alone.jsonl")]})
    assert found.prompt_files == [str(tmp_path / "set"), str(tmp_path / "alone.jsonl")]
    names = ("README.md", "train/0.jsonl")
    assert found.files_in_prompt_folders == [str(tmp_path / "set" / name) for name in names]
    assert inputs().files_in_prompt_folders == []


def spec(name: str, config: Config, **wildcards: str) -> dict[str, Any]:
    """A stage's spec."""
    specs = TrainingSpecs if name == "training" else Specs
    text = getattr(specs(Inputs(config, REPOSITORY)), name)(Wildcards(**wildcards))
    found: dict[str, Any] = json.loads(text)
    return found


def test_settings_that_change_no_result_are_in_no_spec() -> None:
    plain = inputs().config
    moved = load_config(
        {
            **plain.model_dump(mode="json"),
            "store": "/elsewhere",
            "local_scratch": "/tmp",
            "tracking": ["wandb"],
            "parallel": "fsdp",
        }
    )
    arm = {"arm": "wim", "round": "1"}
    judge = {"policy": "base", "judge": "smollm2"}
    for name, wildcards in (("training", arm), ("ratings", judge), ("dialogues", judge)):
        assert spec(name, plain, **wildcards) == spec(name, moved, **wildcards)
    untracked = UntrackedOf(Inputs(moved, REPOSITORY)).job(Wildcards())
    assert (untracked.store, untracked.local_scratch) == ("/elsewhere", "/tmp")
    assert (untracked.tracking, untracked.parallel) == (("wandb",), "fsdp")


def test_zeta_is_in_the_spec_of_its_reward_and_of_no_judge() -> None:
    plain, other = (
        inputs(rewards={"wim": {"judge": "smollm2", "zeta": zeta}}).config for zeta in (1.0, 0.5)
    )
    reward = {"policy": "base", "reward": "wim"}
    assert spec("reward", plain, **reward) != spec("reward", other, **reward)
    judge = {"policy": "base", "judge": "smollm2"}
    assert spec("ratings", plain, **judge) == spec("ratings", other, **judge)


def test_the_gate_judges_again_by_another_seed() -> None:
    config = inputs().config
    seeds = [
        spec("ratings", config, policy=policy, judge="smollm2")["seed"]
        for policy in ("base", "labelled", "retest")
    ]
    assert seeds[0] == seeds[1] != seeds[2]


def test_a_card_shows_what_differs_from_the_defaults() -> None:
    settings = OptimizationSettings.model_construct()
    assert card_settings({"training": settings}) == {"training": {}}


def test_a_reward_model_learns_from_the_first_round_of_its_arm() -> None:
    found = Training(inputs(reward_models={"rm": {"arm": "wim"}}))
    wildcards = Wildcards(reward_model="rm")
    assert found.pairs_of_reward_model(wildcards) == "results/pairs/wim/round1.parquet"
    assert found.start_of_reward_model(wildcards) == "results/models/smollm2/manifest.json"


def test_shards_share_the_cores_and_have_one_at_least() -> None:
    assert [threads_of_shard(cores, 3) for cores in (12, 4, 1)] == [4, 1, 1]


def test_names_are_matched_whole_and_no_names_match_nothing() -> None:
    assert one_of(["a.b", "c"]) == r"a\.b|c"
    assert one_of([]) == "(?!)"


def test_a_planned_rule_with_a_model_and_no_gpu_is_refused_and_another_is_not() -> None:
    resources = {
        "train_dpo": {"batch_size": 8},
        "embed_critiques": {"mem_mb": 8000},
        "summary": {},
        "rate_candidates": {"batch_size": 1, "gpu": 0},
    }
    check_gpus_are_requested(resources, {"summary", "rate_candidates"})
    for rule in ("train_dpo", "embed_critiques"):
        with pytest.raises(UserError, match=f"{rule} requests no GPU"):
            check_gpus_are_requested(resources, {rule})
