"""Training refuses or leaves out what cannot be trained on, and says what ran out."""

import errno
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.preference_training import ROWS, settings_of, trained
from support.workflow_runs import REPOSITORY
from wim.errors import UserError
from wim.settings.training import TrainingSettings

SHORT = {"precision": "float32", "batch_size": 4, "warmup": 0.0}


def tokenised(*rows: tuple[int, list[int], list[int]]) -> Any:
    """A dataset of (tokens of the prompt, chosen, rejected)."""
    from datasets import Dataset

    return Dataset.from_list(
        [
            {"prompt_ids": [1] * prompt, "chosen_ids": chosen, "rejected_ids": rejected}
            for prompt, chosen, rejected in rows
        ]
    )


def test_pairs_without_anything_to_learn_are_left_out_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    from wim.training.dpo.filter_pairs import usable_pairs

    dataset = tokenised(
        (3, [1, 2], [1, 3]),
        (0, [1, 2], [1, 3]),
        (3, [1, 2], []),
        (3, [1, 2], [1, 2]),
        (6, [5, 5, 1], [5, 5, 2]),
        (6, [5, 4, 1], [5, 5, 2]),
        (8, [1, 2], [1, 3]),
        (9, [1, 2], [1, 3]),
    )
    kept = usable_pairs(dataset, "train", 8, 8)
    assert [len(prompt) for prompt in kept["prompt_ids"]] == [3, 6]
    left_out, cut = (each.getMessage() for each in caplog.records)
    for part in (
        "of 8 of the split 'train'",
        "2: the prompt alone fills max_length",
        "1: nothing of the prompt is left",
        "1: one side has no tokens",
        "2: both sides are the same up to max_length",
    ):
        assert part in left_out
    assert "1 of 2 of the split 'train' have a completion cut off at 8 tokens" in cut


def test_a_set_without_a_usable_pair_is_refused_in_training_and_empty_when_held_out() -> None:
    from wim.training.dpo.filter_pairs import usable_pairs

    alike = tokenised((3, [1, 2], [1, 2]), *[(16, [1, 2], [1, 3])] * 3)
    with pytest.raises(UserError, match=r"of 4 pairs of the split 'train' none .* 3: the prompt"):
        usable_pairs(alike, "train", 16, None)
    assert len(usable_pairs(alike, "eval", 16, None)) == 0


def test_pairs_beyond_the_models_context_are_refused_with_the_setting_to_write() -> None:
    from wim.training.dpo.filter_pairs import usable_pairs

    dataset = tokenised((30, [1] * 20, [2] * 9))
    with pytest.raises(
        UserError, match=r"has 50 tokens, .* takes 40; write training.max_length: 40"
    ):
        usable_pairs(dataset, "train", 64, 40)
    assert len(usable_pairs(dataset, "train", 40, 40)) == 1


def test_training_leaves_out_pairs_without_a_preference(
    tiny_model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    alike = [{**ROWS[0], "rejected": ROWS[0]["chosen"], "prompt_id": "alike"}]
    trained(tiny_model, tmp_path, settings_of("sigmoid", **SHORT), [*ROWS[:4], *alike])
    messages = [each.getMessage() for each in caplog.records]
    assert any("of 5 of the split 'train' left out 1: both sides" in each for each in messages)
    assert any("dpo: 4 rows" in each for each in messages)


@pytest.mark.parametrize(
    "fault",
    [
        RuntimeError(
            "[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate"
        ),
        MemoryError(),
        "torch",
    ],
)
def test_running_out_of_memory_names_the_settings_to_lower(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Any
) -> None:
    import torch

    from wim.training.dpo.trainer import PreferenceTrainer

    def failing(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.") if fault == "torch" else fault

    monkeypatch.setattr(PreferenceTrainer, "compute_loss", failing)
    with pytest.raises(UserError) as error:
        trained(tiny_model, tmp_path, settings_of("aot", lora=None, **SHORT))
    for part in (
        "the memory ran out",
        "batch_size below 4",
        "training.gradient_checkpointing: true",
        "training.max_length below 512",
        "training.lora in place of all weights",
        "training.precision: bfloat16",
    ):
        assert part in str(error.value)


def test_other_failures_stay_what_they_are(tmp_path: Path) -> None:
    from wim.training.records.resource_errors import explain_out_of_memory

    with (
        pytest.raises(RuntimeError, match="shapes"),
        explain_out_of_memory(TrainingSettings(), 1, tmp_path),
    ):
        raise RuntimeError("shapes do not fit")


@pytest.mark.parametrize(
    "fault",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("PytorchStreamWriter failed writing file data.pkl: file write failed"),
    ],
)
def test_a_full_disk_leaves_the_last_good_state_from_which_training_goes_on(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    import torch

    from wim.training.saved_states import last_saved

    caplog.set_level(logging.INFO)
    settings = settings_of("sigmoid", epochs=2, **SHORT)
    save, saved = torch.save, []

    def full(value: Any, target: Any, *more: Any, **named: Any) -> None:
        if "checkpoint-3" in str(target):
            Path(target).write_bytes(b"torn")
            raise fault
        saved.append(target)
        save(value, target, *more, **named)

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(
        UserError, match=r"no space left on a disk .* checkpoint-2 is complete and kept"
    ):
        trained(tiny_model, tmp_path, settings, save_seconds=0)
    assert saved
    (working,) = (path for path in (tmp_path / "store/train_dpo").iterdir() if path.is_dir())
    assert last_saved(working) == working / "checkpoint-2"
    monkeypatch.undo()
    checkpoint = trained(tiny_model, tmp_path, settings)
    assert "resuming from checkpoint-2" in caplog.text
    assert (checkpoint / "manifest.json").exists()


def test_a_full_disk_at_the_end_leaves_the_checkpoint_that_was_there(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wim.training.run import training

    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    (checkpoint / "earlier").touch()

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(training, "write_manifest", full)
    with pytest.raises(UserError, match="no space left on a disk"):
        trained(tiny_model, tmp_path, settings_of("sigmoid", **SHORT))
    assert [path.name for path in checkpoint.iterdir()] == ["earlier"]


def test_metrics_go_to_tensorboard_beside_the_log_and_change_no_digest(
    tiny_model: Path, tmp_path: Path
) -> None:
    import json

    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    settings, logs = settings_of("sigmoid", **SHORT), tmp_path / "logs/mixed/round1"
    digests = []
    for folder in (None, logs, logs):
        checkpoint = trained(tiny_model, tmp_path, settings, logs=folder)
        digests.append(json.loads((checkpoint / "manifest.json").read_text())["digest"])
    assert len(set(digests)) == 1
    assert not list(checkpoint.rglob("events.*"))
    assert len(list(logs.glob("events.out.tfevents.*"))) == 1
    read = EventAccumulator(str(logs)).Reload()
    rows = [json.loads(line) for line in (checkpoint / "metrics.jsonl").read_text().splitlines()]
    expected = [row["loss"] for row in rows if "loss" in row]
    assert [each.value for each in read.Scalars("train/loss")] == pytest.approx(expected)
    assert {"train/rewards/margins", "train/logps/chosen"} <= set(read.Tags()["scalars"])


@pytest.mark.parametrize(
    ("tracker", "module", "written"),
    [
        ("wandb", "wandb", "wandb/offline-run-*/*.wandb"),
        ("comet", "comet_ml", "*.zip"),
        ("trackio", "trackio", "trackio/wim.db"),
    ],
)
def test_a_tracker_writes_offline_beside_the_event_files(
    tiny_model: Path, tmp_path: Path, tracker: str, module: str, written: str
) -> None:
    """In a process of its own, as trackers set up the one that they are in."""
    pytest.importorskip(module, reason=f"{module} is not installed: pip install 'wim[{tracker}]'")
    code = """
import sys
from pathlib import Path
from support.preference_training import settings_of, trained
settings = settings_of("sigmoid", precision="float32", batch_size=4, warmup=0.0)
folder = Path(sys.argv[2])
trained(Path(sys.argv[1]), folder, settings, logs=folder / "logs", tracking=(sys.argv[3],))
"""
    paths = [str(REPOSITORY / "tests"), os.environ.get("PYTHONPATH", "")]
    run = subprocess.run(
        [sys.executable, "-c", code, str(tiny_model), str(tmp_path), tracker],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "checkpoint/manifest.json").exists()
    kept = list((tmp_path / "logs").glob(written))
    assert kept and all(file.stat().st_size for file in kept)


def test_a_tracker_that_is_not_installed_is_named_with_what_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wim import trackers
    from wim.training.records import tracking

    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"wandb is configured .* pip install 'wim\[wandb\]'"):
        tracking.trackers(tmp_path, ["wandb"], 0)
