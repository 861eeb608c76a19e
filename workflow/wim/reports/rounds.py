"""The rounds of each arm one below the other: what the policy earned, its pairs, its training."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from wim.display.markdown import UNDEFINED, markdown_table, shown
from wim.statistics import MeanAndError
from wim.tables.files import read_table
from wim.tables.metrics import last_value, read_metrics, write_json
from wim.tables.schemas import PAIRS, REWARDS

logger = logging.getLogger(__name__)
TEXT = """# Rounds

A round's policy is who answered its prompts: the actor, then the checkpoint of the round before. Its mean reward is over all candidates that have one, as the arm's reward gives it; ± is the standard error, candidates taken for independent.

{rounds}

- A higher mean reward of a later policy means that training raised the reward, and not that people would prefer its answers.
- **Pair margin**: mean difference of reward, chosen minus rejected, over all pairs. **Held-out accuracy** and **margin**: of the checkpoint's implicit reward on the round's own held-out pairs. **KL**: from the round's reference, in nats a token of these pairs' completions.
- "passed on": the arm had stopped, and the round's checkpoint is that of the round before. "{undefined}" is a figure that is not defined.
"""


class RoundFiles(Protocol):
    """Where the rounds go: JSON and Markdown."""

    table: str
    text: str


@dataclass(frozen=True)
class RoundSummary:
    """A round's figures. A null is one that is not defined or was not measured."""

    arm: str
    round: int
    policy: str
    passed_on: bool
    candidates: int
    with_reward: int
    mean_reward: float | None
    standard_error: float | None
    pairs: Mapping[str, int]
    pair_margin: float | None
    loss: float | None
    held_out_accuracy: float | None
    held_out_margin: float | None
    kl: float | None


def write_rounds(
    rounds: Sequence[tuple[str, int]],
    rewards: Sequence[str | Path],
    pairs: Sequence[str | Path],
    exclusions: Sequence[str | Path],
    metrics: Sequence[str | Path],
    output: RoundFiles,
) -> None:
    """Write rounds.json and rounds.md; rounds are (arm, number), and all lists in one order."""
    files = zip(rounds, rewards, pairs, exclusions, metrics, strict=True)
    described = [describe_round(*turn, *paths) for turn, *paths in files]
    write_json(output.table, {"rounds": [asdict(one) for one in described]})
    text = TEXT.format(rounds=markdown_table([_row(one) for one in described]), undefined=UNDEFINED)
    Path(output.text).write_text(text, encoding="utf-8")
    logger.info("rounds: %d of %d arms", len(described), len({one.arm for one in described}))


def describe_round(
    arm: str,
    number: int,
    rewards: str | Path,
    pairs: str | Path,
    exclusions: str | Path,
    metrics: str | Path,
) -> RoundSummary:
    """The figures of a round, of its tables and its training's log."""
    import numpy as np

    scored = read_table(Path(rewards), REWARDS, ["reward"])["reward"]
    reward = MeanAndError.of(scored.drop_null().to_numpy().astype(np.float64))
    margins = read_table(Path(pairs), PAIRS, ["margin"])["margin"].to_numpy()
    counts = json.loads(Path(exclusions).read_text(encoding="utf-8"))["pairs"]
    passed_on = not sum(counts.values())
    rows: list[dict[str, Any]] = [] if passed_on else read_metrics(metrics)
    return RoundSummary(
        arm=arm,
        round=number,
        policy=Path(rewards).parent.name,
        passed_on=passed_on,
        candidates=len(scored),
        with_reward=reward.n,
        mean_reward=reward.mean,
        standard_error=reward.standard_error,
        pairs=counts,
        pair_margin=float(margins.mean()) if len(margins) else None,
        loss=last_value(rows, "loss"),
        held_out_accuracy=last_value(rows, "eval_rewards/accuracies"),
        held_out_margin=last_value(rows, "eval_rewards/margins"),
        kl=last_value(rows, "eval_kl"),
    )


def _row(one: RoundSummary) -> dict[str, str]:
    error = "" if one.standard_error is None else f" ± {one.standard_error:.2g}"
    return {
        "arm": f"`{one.arm}`",
        "round": str(one.round),
        "policy": f"`{one.policy}`",
        "with reward / candidates": f"{one.with_reward:,} / {one.candidates:,}",
        "mean reward": shown(one.mean_reward, ".4f") + error,
        "pairs to train": "passed on" if one.passed_on else f"{one.pairs['train']:,}",
        "held-out pairs": f"{one.pairs['eval']:,}",
        "pair margin": shown(one.pair_margin, ".4f"),
        "loss, last": shown(one.loss, ".4f"),
        "held-out accuracy": shown(one.held_out_accuracy, ".3f"),
        "held-out margin": shown(one.held_out_margin, ".4f"),
        "KL": shown(one.kl, ".4g"),
    }
