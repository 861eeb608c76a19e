"""What every training logs: metrics without those of the clock."""

import math
from collections.abc import Mapping
from typing import Any

# Figures of the machine and the hour, which are no property of the checkpoint.
CLOCKED = ("runtime", "per_second", "total_flos")


def unclocked(values: Mapping[str, Any]) -> dict[str, Any]:
    """Metrics without those that depend on the clock; numbers that are not finite become null."""
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in values.items()
        if not any(word in key for word in CLOCKED)
    }
