"""The rounds of each arm in one table: the policy's reward, its pairs and its training."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from wim.display.json_files import read_json, rounded, write_json
from wim.display.markdown import UNDEFINED, markdown_table, shown
from wim.statistics import MeanAndError
from wim.tables.files import read_table
from wim.tables.metrics import last_value, read_metrics
from wim.tables.schemas import PAIRS, REWARDS

logger = logging.getLogger(__name__)
TEXT = """# Rounds

A round's policy is what answered its prompts: first the actor, then the checkpoint of the round
before. Its mean reward is over all candidates that have one, as the arm's reward gives it; ± is
the standard error, with candidates taken to be independent.

{rounds}

- A higher mean reward of a later policy means that training raised the reward, not that people
  would prefer its answers.
- **Pair margin**: mean difference of reward, chosen minus rejected, over all pairs. **Held-out
  accuracy** and **margin**: of the checkpoint's implicit reward on the round's own held-out
  pairs. **KL**: from the round's reference, in nats a token of these pairs' completions.
- "passed on": the arm had stopped, and the round's checkpoint is that of the round before.
  "{undefined}" is a figure that is not defined.
"""


class RoundInputs(Protocol):
    """The files of each round, all in one order of rounds."""

    rewards: Sequence[str]
    pairs: Sequence[str]
    exclusions: Sequence[str]
    metrics: Sequence[str]


class RoundFiles(Protocol):
    """Where the rounds go: JSON and Markdown."""

    table: str
    text: str


@dataclass(frozen=True)
class RoundSummary:
    """A round's figures; null where one is not defined or was not measured."""

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


def rounds(
    inputs: RoundInputs, arms_and_numbers: Sequence[tuple[str, int]], output: RoundFiles
) -> None:
    """Write rounds.json and rounds.md.

    Args:
        inputs: The files of each round.
        arms_and_numbers: (arm, number) of each round, in the order of the files.
        output: The files to write.
    """
    described = [
        describe_round(arm, number, rewards, pairs, exclusions, metrics)
        for (arm, number), rewards, pairs, exclusions, metrics in zip(
            arms_and_numbers,
            map(Path, inputs.rewards),
            map(Path, inputs.pairs),
            map(Path, inputs.exclusions),
            map(Path, inputs.metrics),
            strict=True,
        )
    ]
    write_json(output.table, rounded({"rounds": [asdict(one) for one in described]}))
    text = TEXT.format(rounds=markdown_table([_row(one) for one in described]), undefined=UNDEFINED)
    Path(output.text).write_text(text, encoding="utf-8")
    logger.info("rounds: %d of %d arms", len(described), len({one.arm for one in described}))


def describe_round(
    arm: str,
    number: int,
    rewards: Path,
    pairs: Path,
    exclusions: Path,
    metrics: Path,
) -> RoundSummary:
    """The figures of a round, from its tables and its training's log."""
    import numpy as np

    scored = read_table(rewards, REWARDS, ["reward"])["reward"]
    reward = MeanAndError.of(scored.drop_null().to_numpy().astype(np.float64))
    margins = read_table(pairs, PAIRS, ["margin"])["margin"].to_numpy()
    counts = read_json(exclusions)["pairs"]
    passed_on = not sum(counts.values())
    rows: list[dict[str, Any]] = [] if passed_on else read_metrics(metrics)
    return RoundSummary(
        arm=arm,
        round=number,
        policy=rewards.parent.name,
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
