"""The contract of reruns by settings: which stages' specs differ after which change.

A stage runs again if its spec, its code or an input differs. What follows from inputs is Snakemake's
part, which tests/dag/test_reruns.py shows by dry runs.
"""

import json
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from support.workflow_runs import REPOSITORY
from wim.dag.inputs import Inputs
from wim.dag.rewards import Rewards
from wim.dag.specs import Specs
from wim.dag.study import Study
from wim.dag.training_specs import TrainingSpecs
from wim.settings.load import load_config

CONFIG: dict[str, Any] = {
    "models": {"tiny": {"source": "path:tiny"}, "encoder": {"source": "path:encoder"}},
    "prompts": {"files": ["prompts.jsonl"], "shards": 2},
    "dialogues": {"actor": "tiny"},
    "judges": {"tiny": {"model": "tiny"}},
    "embeddings": {"encoder": "encoder"},
    "rewards": {"wim": {"judge": "tiny", "zeta": 0.5}},
    "arms": {"wim": {"reward": "wim"}},
}
WILDCARDS = SimpleNamespace(
    policy="base",
    shard="000",
    model="tiny",
    judge="tiny",
    reward="wim",
    arm="wim",
    round="1",
)
STAGES = (
    *("prompts", "shards", "model", "dialogues", "ratings", "embeddings", "reward"),
    *("audit", "summary", "rounds", "sweep", "costs"),
)
TRAINING_STAGES = ("pairs", "training")


def specs_of(config: dict[str, Any]) -> dict[str, str]:
    """Every stage's spec by its name."""
    inputs = Inputs(load_config(config), Path(REPOSITORY))
    specs, training_specs = Specs(inputs), TrainingSpecs(inputs)
    return {
        **{stage: getattr(specs, stage)(WILDCARDS) for stage in STAGES},
        **{stage: getattr(training_specs, stage)(WILDCARDS) for stage in TRAINING_STAGES},
    }


def changed(path: str, value: object) -> dict[str, Any]:
    """The configuration with one key, named by dots, set to another value."""
    config = deepcopy(CONFIG)
    *way, last = path.split(".")
    place = config
    for key in way:
        place = place.setdefault(key, {})
    place[last] = value
    return config


CASES = [
    ("store", "elsewhere", set()),
    ("tracking", ["wandb"], set()),
    ("local_scratch", "$SLURM_TMPDIR", set()),
    ("models.tiny.attention", "eager", set()),
    ("prompts.shards", 3, {"shards"}),
    ("prompts.limit", 5, {"prompts"}),
    ("dialogues.sampling", {"temperature": 0.5}, {"dialogues", "training"}),
    ("judges.tiny.sampling", {"max_new_tokens": 17}, {"ratings", "training"}),
    ("judges.tiny.phrases", {"refusals": ["En voi"]}, {"ratings", "training"}),
    ("judges.tiny.phrases", {"refusals": []}, set()),
    ("judges.other", {"model": "tiny"}, set()),
    ("embeddings.long", "windows", {"embeddings"}),
    ("embeddings.long", "cut", set()),
    ("rewards.wim.zeta", 0.4, {"reward", "summary", "training"}),
    ("rewards.other", {"judge": "tiny", "zeta": 0.1}, {"summary"}),
    ("pairs", {"ties": "first"}, {"pairs", "training"}),
    ("arms.wim.training", {"beta": 0.2}, {"training"}),
    ("arms.wim.training", {"loss": "ipo"}, {"training", "summary"}),
    ("arms.wim.seed", 1, {"training"}),
    ("arms.other", {"reward": "wim"}, {"summary", "sweep"}),
    ("rounds", 2, {"summary", "rounds"}),
    (
        "seed",
        5,
        {"dialogues", "ratings", "pairs", "training", "audit"},
    ),
]


@pytest.mark.parametrize(("path", "value", "stages"), CASES, ids=[f"{c[0]}={c[1]}" for c in CASES])
def test_a_setting_changes_the_specs_of_the_stages_that_use_it_and_no_other(
    path: str, value: object, stages: set[str]
) -> None:
    before, after = specs_of(CONFIG), specs_of(changed(path, value))
    assert {stage for stage in before if before[stage] != after[stage]} == stages


def test_the_order_of_keys_changes_no_spec() -> None:
    assert specs_of(dict(reversed(list(CONFIG.items())))) == specs_of(CONFIG)


def test_a_run_without_aspects_is_known_as_before_there_were_any() -> None:
    found = specs_of(CONFIG)
    assert not any("aspect" in each for each in found.values())
    inputs = Inputs(load_config(CONFIG), Path(REPOSITORY))
    assert "aspect" not in Study(inputs).spec(WILDCARDS)
    assert "without_cosines" not in Specs(inputs).gate(WILDCARDS)


def test_aspects_are_a_part_of_what_the_judge_and_its_rewards_are_known_by() -> None:
    config = changed("judges.tiny.aspects", ["truthfulness", "honesty"])
    config["judges"]["tiny"]["sampling"] = {"max_new_tokens": 80}
    config["rewards"] = {"wim": {"judge": "tiny", "zeta": 0.0}}
    inputs = Inputs(load_config(config), Path(REPOSITORY))
    specs = Specs(inputs)
    known = json.loads(specs.samples(WILDCARDS))["judge"]["aspects"]
    assert list(known) == ["honesty", "truthfulness"]
    assert json.loads(specs.reward_by_aspect(WILDCARDS))["aspects"] == list(known)
    assert Rewards(inputs).embedded_judges == []
