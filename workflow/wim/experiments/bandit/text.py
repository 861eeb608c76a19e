"""The page of the bandit."""

from collections.abc import Mapping
from typing import Any

from wim.display.markdown import UNDEFINED, markdown_table, shown
from wim.statistics import MeanAndError

TEXT = """# Why AI feedback stays where its samples are

{arms} arms, the true reward of an arm is its number. The student's choices have their peak at arm
{student:g}, the teacher's at {teacher:g}. A judge without any error prefers the larger of two arms
that the student draws; the reward model learns from such pairs, and the policy is student(a)
exp(r(a) / β). SFT imitates the teacher. The experiment is that of "A Critical Evaluation of AI
Feedback" ([arXiv 2402.12366](https://arxiv.org/abs/2402.12366)).

![Probability and learned reward of each arm]({figure})

{table}

- **E[reward]** is exact for a policy; the sampled column is the mean ± standard error of {seeds} runs
  with {pairs:,} pairs each.
- **The learned reward** spans {span:.5g}; it is largest at arm {highest} and smallest at arm {lowest}.
  Arms that were never compared keep the reward 0 that they began with.
- **DPO** trains a softmax policy on the same pairs with the loss `sigmoid`; from the closed form it
  differs by at most {distance:.2g} nats where the student's probability is above 1e-4.
- **Rounds** draw new pairs from the policy of the round before: their support moves with it, and a
  few arms per round is how far.
"""


def bandit_text(figures: Mapping[str, Any], figure: str) -> str:
    """The page in Markdown; `figure`: the name of its picture."""
    settings, runs = figures["settings"], figures["runs"]
    population, *sampled = runs.values()
    rows = [
        {
            "policy": name,
            "E[reward]": f"{one['reward']:.4f}",
            "sampled": _sampled(
                [run["policies"][name]["reward"] for run in sampled if name in run["policies"]]
            ),
            "mode": str(one["mode"]),
            "peak": f"{one['peak']:.5f}",
            f"P(arm > {settings['beyond']:g})": f"{one['beyond']:.3g}",
        }
        for name, one in population["policies"].items()
    ]
    return TEXT.format(
        arms=settings["arms"],
        student=settings["student"],
        teacher=settings["teacher"],
        pairs=settings["pairs"],
        figure=figure,
        table=markdown_table(rows),
        seeds=len(sampled),
        span=population["span"],
        highest=population["highest"],
        lowest=population["lowest"],
        distance=max(population["dpo_from_closed_form"].values()),
    )


def _sampled(values: list[float]) -> str:
    one = MeanAndError.of(values)
    if one.mean is None:
        return UNDEFINED
    error = "" if one.standard_error is None else f" ± {shown(one.standard_error, '.2g')}"
    return f"{one.mean:.4f}{error}"
