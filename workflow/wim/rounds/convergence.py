"""Rounds of an arm: the prompts of each, and whether it has converged."""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from wim.display.json_files import write_json
from wim.provenance.digest import seed_of
from wim.rounds.stop import reason_to_stop
from wim.settings.rounds import StopSettings
from wim.tables.files import as_arrow, read_table, write_table
from wim.tables.metrics import last_value, read_metrics
from wim.tables.schemas import PAIRS, PROMPTS, Prompt

logger = logging.getLogger(__name__)


def slice_of(prompt_id: str, slices: int) -> int:
    """The slice of a prompt, from 1, by its id alone: no other prompt moves it."""
    return 1 + seed_of(0, "slice", prompt_id) % slices


def select_prompts(
    prompts: Path, verdicts: Iterable[str | Path], number: int, slices: int | None, output: Path
) -> None:
    """The prompts of a shard that a round takes: all, or its slice of those to train on.

    Held-out prompts are in every round, so that rounds are measured on the same. Behind a round
    that has converged there are none, and with them nothing of the round.
    """
    rows = [Prompt(**row) for row in read_table(prompts, PROMPTS).to_pylist()]
    kept = [
        row
        for row in rows
        if slices is None or row.split == "eval" or slice_of(row.prompt_id, slices) == number
    ]
    stopped = reason_to_stop(verdicts)
    if stopped:
        logger.info("prompts: none, as the arm has stopped: %s", stopped)
        kept = []
    else:
        logger.info("prompts: %d of %d are of round %d", len(kept), len(rows), number)
    write_table(output, PROMPTS, as_arrow(PROMPTS, kept))


def check_convergence(
    rounds: Sequence[int],
    pairs: Sequence[str | Path],
    metrics: Sequence[str | Path],
    verdicts: Iterable[str | Path],
    stop: StopSettings,
    output: Path,
) -> None:
    """Write whether the later of two rounds has moved the metric: {"stop", "reason", ...}.

    rounds, pairs, metrics: of the round before and of the round. verdicts: of the round before,
    from the third round on; one that has stopped the arm stays.
    """
    values: list[float | None] = []
    reason = reason_to_stop(verdicts)
    if not reason:
        values = [_measured(stop, *files) for files in zip(pairs, metrics, strict=True)]
        before, now = values
        known = None not in (before, now)
        moved = abs((now or 0.0) - (before or 0.0))
        if known and moved < stop.below:
            reason = (
                f"{stop.metric} moved by {moved:.4g} from round {rounds[0]} to round {rounds[1]}, "
                f"less than {stop.below:g}."
            )
        logger.info("round %d: %s %s -> %s", rounds[1], stop.metric, before, now)
    logger.info("round %d: %s", rounds[1], f"stop: {reason}" if reason else "goes on")
    verdict = {"stop": bool(reason), "reason": reason, "metric": stop.metric, "values": values}
    write_json(output, verdict)


def _measured(stop: StopSettings, pairs: str | Path, metrics: str | Path) -> float | None:
    """A round's metric, None where there is none."""
    import pyarrow.compute as pc

    if stop.metric == "pair_margin":
        margin = pc.mean(read_table(Path(pairs), PAIRS, ["margin"])["margin"]).as_py()
        return None if margin is None else float(margin)
    return last_value(read_metrics(metrics), "eval_rewards/accuracies")
