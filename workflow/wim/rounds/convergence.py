"""Whether an arm has converged: whether its latest round still moved a metric."""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from wim.display.json_files import write_json
from wim.rounds.stop import reason_to_stop
from wim.settings.rounds import StopSettings
from wim.tables.files import read_table
from wim.tables.metrics import last_value, read_metrics
from wim.tables.schemas import PAIRS

logger = logging.getLogger(__name__)


def check_convergence(
    rounds: Sequence[int],
    pairs: Sequence[str | Path],
    metrics: Sequence[str | Path],
    verdicts: Iterable[str | Path],
    stop: StopSettings,
    output: Path,
) -> None:
    """Write whether the later of two rounds has moved the metric: {"stop", "reason", ...}.

    Args:
        rounds, pairs, metrics: The numbers, pairs and logs of the round before and of the round.
        verdicts: The verdict of the round before, from the third round on. If it has stopped the
            arm, the arm stays stopped.
        stop: The metric, and the change below which the arm has converged.
        output: The verdict, as JSON.
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
    logger.info("round %d: %s", rounds[1], f"stop: {reason}" if reason else "continues")
    verdict = {"stop": bool(reason), "reason": reason, "metric": stop.metric, "values": values}
    write_json(output, verdict)


def _measured(stop: StopSettings, pairs: str | Path, metrics: str | Path) -> float | None:
    """A round's metric, None if it was not measured."""
    import pyarrow.compute as pc

    if stop.metric == "pair_margin":
        margin = pc.mean(read_table(Path(pairs), PAIRS, ["margin"])["margin"]).as_py()
        return None if margin is None else float(margin)
    return last_value(read_metrics(metrics), "eval_rewards/accuracies")
