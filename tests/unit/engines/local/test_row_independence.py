"""A row depends on itself alone: batch size and shards change nothing in float32."""

import runpy
from pathlib import Path

import pytest

from support.workflow_runs import REPOSITORY

AGREEMENT = runpy.run_path(str(REPOSITORY / "bench/row_independence.py"))["agreement"]


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.parametrize(
    ("mode", "temperature", "share"), [("greedy", 0.0, 1.0), ("sampled", 0.9, 0.99)]
)
def test_rows_are_the_same_in_other_batches_and_shards(
    smollm2: Path, mode: str, temperature: float, share: float
) -> None:
    for change, equal in AGREEMENT(smollm2, "float32", temperature, new_tokens=10).items():
        print(f"float32, {mode}, {change}: {equal} of 48 rows equal")
        assert equal >= share * 48
