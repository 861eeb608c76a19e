"""What a proposed loss does, before it is trained with; and baselines, which are proposed by hand."""

import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

from wim.display.json_files import read_json, rounded, write_json
from wim.experiments.discovery.propose import Attempt
from wim.own_loss.check import Check, Limits, check_text
from wim.own_loss.expressions import shortened
from wim.own_loss.parse import parse_loss

logger = logging.getLogger(__name__)


def take_baseline(text: Path, name: str, output: Path) -> None:
    """Write a baseline as a generation whose only attempt it is.

    Args:
        text: Its function.
        name: Its name.
        output: The file, as propose_loss writes it.
    """
    code = text.read_text(encoding="utf-8")
    attempt = Attempt(answer="", name=name, code=code, digest=parse_loss(code).digest)
    write_json(output, {"attempts": [asdict(attempt)], "parent": None})


def check_loss(proposals: Path, beta: float, limits: Limits, output: Path) -> None:
    """Write what the check of a generation's proposal finds, as JSON.

    `problem` says why there is nothing to train with; otherwise there are `code`, `over_batch`
    (whether a pair's loss depends on others), `slope` (at a difference of log-ratios of 0) and
    `curve` (the loss of one pair by that difference).

    Args:
        proposals: What propose_loss or take_baseline wrote.
        beta: The beta that it is to be trained with.
        limits: Of the process that tries it.
        output: The file.
    """
    attempts: list[dict[str, Any]] = read_json(proposals)["attempts"]
    valid = [each for each in attempts if each["reason"] is None]
    if not valid:
        found = Check(f"none of {len(attempts)} proposals was valid")
        chosen: dict[str, Any] = {"name": None, "code": None, "digest": None}
    else:
        chosen = {key: valid[0][key] for key in ("name", "code", "digest")}
        found = check_text(valid[0]["code"], None, beta, limits)
    write_json(output, rounded({**chosen, **asdict(found)}))
    logger.info(
        "check: %s: %s",
        shortened(chosen["name"] or "no loss"),
        found.problem or f"slope {found.slope:.4g} at the reference",
    )
    if found.slope is not None and found.slope > 0:
        logger.warning(
            "check: %s rises with the margin at the reference: training begins by lowering margins",
            shortened(chosen["name"]),
        )
