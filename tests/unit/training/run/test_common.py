"""What every trainer shares: exact batches, metrics without clocks, whole-or-nothing folders."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wim.provenance.digest import digest_file
from wim.training.run.files import unclocked, whole_folder, write_json_lines, write_manifest
from wim.training.run.steps import accumulation_steps


@pytest.mark.parametrize(
    ("batch_size", "per_device", "devices", "expected"),
    [
        (8, 8, 1, (8, 1)),
        (8, 4, 1, (4, 2)),
        (8, 3, 1, (2, 4)),
        (8, 64, 2, (4, 1)),
        (7, 4, 1, (1, 7)),
        (1, 4, 1, (1, 1)),
        (12, 5, 2, (3, 2)),
    ],
)
def test_the_micro_batch_is_the_largest_that_divides_a_devices_share(
    batch_size, per_device, devices, expected
) -> None:
    assert accumulation_steps(batch_size, per_device, devices) == expected


@given(st.integers(1, 200), st.integers(1, 64), st.integers(1, 8))
def test_micro_batches_steps_and_devices_make_up_the_batch_exactly(
    share, per_device, devices
) -> None:
    micro, steps = accumulation_steps(share * devices, per_device, devices)
    assert micro * steps * devices == share * devices
    assert micro <= per_device


@pytest.mark.parametrize(("batch_size", "devices"), [(8, 3), (2, 4)])
def test_a_batch_that_cannot_be_shared_out_is_refused(batch_size, devices) -> None:
    with pytest.raises(ValueError, match=f"batch of {batch_size} cannot .* {devices} devices"):
        accumulation_steps(batch_size, 4, devices)


def test_metrics_lose_the_clock_and_nothing_else() -> None:
    metrics = {
        "loss": 0.5,
        "step": 3,
        "train_runtime": 12.5,
        "train_samples_per_second": 3.0,
        "eval_steps_per_second": 1.0,
        "total_flos": 1e12,
        "rewards/margins": -0.25,
        "epoch": 1.0,
    }
    kept = {"loss": 0.5, "step": 3, "rewards/margins": -0.25, "epoch": 1.0}
    assert unclocked(metrics) == kept


def test_metrics_that_are_no_numbers_become_null_so_that_json_can_be_read() -> None:
    found = unclocked({"loss": math.nan, "norm": math.inf, "low": -math.inf, "text": "nan"})
    assert found == {"loss": None, "norm": None, "low": None, "text": "nan"}
    json.dumps(found, allow_nan=False)


def test_a_folder_appears_whole_and_takes_the_old_ones_place(tmp_path: Path) -> None:
    folder = tmp_path / "new/checkpoint"
    with whole_folder(folder) as partial:
        (partial / "a").write_text("1")
        assert not folder.exists()
    with whole_folder(folder) as partial:
        (partial / "b").write_text("2")
        assert [path.name for path in folder.iterdir()] == ["a"]
    assert [path.name for path in folder.iterdir()] == ["b"]
    assert list(folder.parent.iterdir()) == [folder]


@pytest.mark.parametrize("fault", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_the_old_folder_and_no_partial_one(tmp_path: Path, fault) -> None:
    folder = tmp_path / "checkpoint"
    with whole_folder(folder) as partial:
        (partial / "a").write_text("1")
    with pytest.raises(fault), whole_folder(folder) as partial:
        (partial / "b").write_text("2")
        raise fault
    assert [path.name for path in folder.iterdir()] == ["a"]
    assert list(tmp_path.iterdir()) == [folder]


def test_what_a_killed_job_left_behind_is_not_taken_over(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    with whole_folder(folder) as partial:
        left = partial
    left.mkdir()
    (left / "torn").write_text("x")
    with whole_folder(folder) as partial:
        (partial / "a").write_text("1")
    assert [path.name for path in folder.iterdir()] == ["a"]


def test_json_lines_are_one_object_a_line(tmp_path: Path) -> None:
    rows = [{"step": 1, "note": "a\nb"}, {"step": 2, "loss": None}]
    write_json_lines(tmp_path / "metrics.jsonl", rows)
    lines = (tmp_path / "metrics.jsonl").read_text(encoding="utf-8").split("\n")
    assert [json.loads(line) for line in lines[:-1]] == rows
    assert lines[-1] == ""


def test_a_checkpoints_identity_is_its_weights_and_not_its_provenance(tmp_path: Path) -> None:
    def digest() -> str:
        write_manifest(tmp_path, "arm wim, round 1")
        return str(json.loads((tmp_path / "manifest.json").read_text())["digest"])

    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "config.json").write_text("{}")
    first = digest()
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["files"]["model.safetensors"] == digest_file(tmp_path / "model.safetensors")
    for name in ("trainer_state.json", "provenance.json"):
        (tmp_path / name).write_text('{"host": "a"}')
    assert digest() == first, "provenance, or the manifest written before, counts"
    (tmp_path / "model.safetensors").write_bytes(b"other weights")
    assert digest() != first
