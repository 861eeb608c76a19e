"""Metrics that depend on the training alone, not on the machine or the clock."""

import math
from collections.abc import Mapping
from typing import Any

# Parts of the names of metrics that depend on the machine and the clock.
CLOCKED = ("runtime", "per_second", "total_flos")


def unclocked(values: Mapping[str, Any]) -> dict[str, Any]:
    """Metrics without those that depend on the clock; nan and infinities become None."""
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in values.items()
        if not any(word in key for word in CLOCKED)
    }
