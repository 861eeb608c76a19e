"""The figure of the bandit: each arm's probability by policy, and the learned reward."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wim.display.plotting import DASHES, GREY, PALETTE, figure_at


def draw_bandit(figures: Mapping[str, Any], path: Path) -> None:
    """Draw the population's policies at the first beta, and the learned rewards of all runs."""
    settings, runs = figures["settings"], figures["runs"]
    beta = f"{settings['betas'][0]:g}"
    population, *sampled = runs.values()
    rounds = [f"rlaif {beta}, round {number}" for number in range(2, settings["rounds"] + 1)]
    names = ["student", "teacher", f"rlaif {beta}", f"dpo {beta}", "sft"]
    names += [f"sft, then rlaif {beta}", *rounds[-1:]]
    with figure_at(path, 10.0, 4.3) as figure:
        chances, rewards = figure.subplots(1, 2)
        for place, name in enumerate(names):
            chances.plot(
                population["policies"][name]["probabilities"],
                label=name,
                color=PALETTE[place % len(PALETTE)],
                linestyle=DASHES[place % len(DASHES)],
            )
        chances.set_xlabel("arm, which is its true reward")
        chances.set_ylabel("probability")
        chances.set_ylim(bottom=0)
        chances.legend(frameon=False, fontsize=8.5)
        for run in sampled:
            rewards.plot(run["rewards"], color=GREY, linewidth=0.8, alpha=0.7)
        rewards.plot(population["rewards"], color=PALETTE[0])
        rewards.set_xlabel("arm")
        rewards.set_ylabel("learned reward (grey: sampled)" if sampled else "learned reward")
