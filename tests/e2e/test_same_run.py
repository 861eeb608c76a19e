"""The same run twice is the same run: in another folder, with another store and order of hashes."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from support.finished import PROMPTS
from support.workflow_runs import Project, tiny_config

# Two runs of two rounds take minutes.
pytestmark = pytest.mark.slow


def settings(model: Path, encoder: Path) -> dict[str, object]:
    """An arm of adapters with two rounds, and one of all weights."""
    training = {"batch_size": 2, "learning_rate": 1e-3, "warmup": 0.0}
    return tiny_config(
        *(model, encoder, 32),
        prompts={"files": ["prompts.jsonl"], "shards": 2, "eval_fraction": 0.2},
        dialogues={"actor": "tiny", "candidates": 4, "sampling": {"max_new_tokens": 16}},
        rewards={"wim": {"judge": "tiny", "zeta": 1.0}},
        arms={
            "adapter": {"reward": "wim", "rounds": {"count": 2}, "training": training},
            "whole": {"reward": "wim", "training": {**training, "lora": None}},
        },
    )


def stored(project: Project) -> dict[str, dict[bytes, dict[str, object]]]:
    """Every row of the store by its stage and key."""
    found: dict[str, dict[bytes, dict[str, object]]] = {}
    for part in (project.folder / "store").rglob("part-*.parquet"):
        rows = {row.pop("key"): row for row in pq.read_table(part).to_pylist()}
        found.setdefault(part.parent.name, {}).update(rows)
    return found


def test_a_run_in_another_folder_and_order_of_hashes_is_equal_to_the_byte(
    tiny_model: Path, minilm: Path, tmp_path: Path
) -> None:
    config = settings(tiny_model, minilm)
    runs = []
    for seed in ("0", "1"):
        # The paths are not of one length.
        folder = tmp_path / f"run{seed}" / ("further/down" if seed == "1" else "")
        project = Project.copied(folder, config, PROMPTS)
        project.hash_seed = seed
        project.run()
        runs.append(project)
    first, second = (run.results() for run in runs)
    assert {name.split("/")[0] for name in first} >= {"checkpoints", "models", "pairs", "report"}
    assert "checkpoints/adapter/round2/adapter/adapter_config.json" in first
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []
    keys, others = map(stored, runs)
    assert {"generate_dialogues", "rate_candidates", "embed_critiques"} <= {
        stage for stage in keys if keys[stage]
    }
    assert keys == others
