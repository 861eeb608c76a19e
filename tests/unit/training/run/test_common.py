"""What every trainer shares: exact batches, and metrics without clocks."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wim.training.run.metrics import unclocked
from wim.training.steps import accumulation_steps


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
