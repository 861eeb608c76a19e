"""Dialogues of two speakers in a run, from topics to a checkpoint."""

import json
from pathlib import Path

import pandas as pd

from support.workflow_runs import Project, rows_computed, tiny_config
from wim.dialogues.candidates import ACTOR, PARTNER


def test_a_run_ends_in_a_checkpoint_learnt_from_the_actors_turns_and_repeats_from_the_store(
    tmp_path: Path, tiny_model: Path, minilm: Path
) -> None:
    drawn = {"max_new_tokens": 24, "temperature": 1.0}
    config = tiny_config(
        *(tiny_model, minilm, 24),
        shards=2,
        dialogues={"mode": "expert_chat", "actor": "tiny", "sampling": drawn},
        rewards={"wim": {"judge": "tiny", "zeta": 0.5, "rating": "rating_expected"}},
        arms={"wim": {"reward": "wim", "training": {"batch_size": 4}}},
    )
    topics = [f"The number {number} in history." for number in range(8)]
    project = Project.copied(tmp_path / "project", config, topics)
    first = rows_computed(project.run("--", "dpo_checkpoint"))
    pairs = pd.read_parquet(project.folder / "results/pairs/wim/round1.parquet")
    assert len(pairs)
    for prompt in pairs["prompt"]:
        assert prompt[0]["role"] == "system" and prompt[-1]["role"] == "user"
    dialogues = pd.concat(
        map(pd.read_parquet, sorted((project.folder / "results/dialogues/base").iterdir()))
    )
    judged = dialogues[dialogues["judged"]]
    assert set(judged["speaker"]) == {ACTOR} and set(dialogues["speaker"]) == {ACTOR, PARTNER}
    assert first["generated"] == len(dialogues)
    assert set(pairs["chosen_id"]) | set(pairs["rejected_id"]) <= set(judged["candidate_id"])
    project.set("dialogues.exchanges", 3)
    longer = rows_computed(project.run("--", "ratings"))
    # The turns that were held are known; only those behind them are drawn.
    assert 0 < longer["generated"] < first["generated"]
    card = json.loads(
        (project.folder / "results/checkpoints/wim/round1/provenance.json").read_text()
    )
    assert card["settings"]["dialogues"]["mode"] == "expert_chat"
