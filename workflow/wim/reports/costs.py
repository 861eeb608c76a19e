"""What a run has cost: hours and GPU-hours of each stage, and tokens and money of APIs.

It reads what jobs leave beside their results: benchmark files and records of usage. Both are about
one run on one machine, so nothing of them is in a data table.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from wim.display.json_files import rounded, write_json
from wim.engines.transport.usage import spending
from wim.reports.costs_figure import draw_costs
from wim.reports.costs_text import Costs, as_json, costs_text
from wim.reports.times import stage_times
from wim.settings.prices import Price

logger = logging.getLogger(__name__)


class CostFiles(Protocol):
    """Where the costs go: JSON, Markdown and an SVG figure."""

    table: str
    text: str
    figure: str


def costs(prices: Mapping[str, Price], output: CostFiles) -> None:
    """Write what the run in the working directory has cost, as JSON, Markdown and a figure."""
    found = Costs(stage_times(), spending(), prices)
    write_json(output.table, rounded(as_json(found)))
    Path(output.text).write_text(costs_text(found), encoding="utf-8")
    draw_costs(found, Path(output.figure))
    total = found.total
    logger.info(
        "costs: %.2f hours of jobs, %.2f GPU-hours%s: %s",
        sum(one.seconds for one in found.times.values()) / 3600,
        sum(one.gpu_seconds for one in found.times.values()) / 3600,
        "" if total is None else f", {total:.2f} by `prices`",
        output.text,
    )
