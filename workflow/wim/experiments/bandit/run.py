"""The bandit: all policies of the population and of each seed, and what is read off them."""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from wim.display.json_files import rounded, write_json
from wim.experiments.bandit.figure import draw_bandit
from wim.experiments.bandit.learning import (
    expected_preferences,
    imitation,
    peaked,
    preference_optimised,
    regularised,
    reward_model,
    sampled_preferences,
)
from wim.experiments.bandit.text import bandit_text
from wim.settings.bandit import BanditSettings

if TYPE_CHECKING:
    import numpy as np

    from wim.experiments.bandit.learning import Array

logger = logging.getLogger(__name__)
POPULATION = "population"
KNOWN = 1e-4
"""A student's probability of an arm above which DPO is compared with the closed form."""


class BanditFiles(Protocol):
    """Where the bandit goes: JSON, Markdown and an SVG figure."""

    table: str
    text: str
    figure: str


@dataclass(frozen=True)
class Source:
    """Where pairs and the teacher's arms come from: expectations, or draws by a seed.

    What takes longest, DPO at the further betas, is left to the expectations.
    """

    preferences: "Callable[[Array], Array]"
    taught: "Array"
    exact: bool = False


def bandit(settings: BanditSettings, output: BanditFiles) -> None:
    """Write the figures of the bandit; the same settings give the same bytes.

    Args:
        settings: Its settings.
        output: Where the figures go.
    """
    student = peaked(settings.arms, settings.student, settings.width)
    teacher = peaked(settings.arms, settings.teacher, settings.width)
    runs = {
        name: Run(settings, student, teacher, source)
        for name, source in _sources(settings, student, teacher)
    }
    figures = rounded(
        {
            "settings": settings.model_dump(mode="json"),
            "runs": {name: run.figures() for name, run in runs.items()},
        }
    )
    write_json(output.table, figures)
    text = bandit_text(figures, Path(output.figure).name)
    Path(output.text).write_text(text, encoding="utf-8")
    draw_bandit(figures, Path(output.figure))
    for line in text.splitlines():
        logger.info("%s", line)


def _sources(
    settings: BanditSettings, student: "Array", teacher: "Array"
) -> Iterator[tuple[str, Source]]:
    import numpy as np

    yield POPULATION, Source(expected_preferences, teacher, exact=True)
    for seed in settings.seeds:
        generator = np.random.default_rng(seed)
        drawn = generator.choice(settings.arms, size=settings.teacher_samples, p=teacher)
        shares = np.bincount(drawn, minlength=settings.arms) / settings.teacher_samples

        def preferences(policy: "Array", generator: "np.random.Generator" = generator) -> "Array":
            return sampled_preferences(policy, settings.pairs, generator)

        yield f"seed {seed}", Source(preferences, shares)


@dataclass(frozen=True)
class Run:
    """One run of the experiment: the published arms, and those beside them."""

    settings: BanditSettings
    student: "Array"
    teacher: "Array"
    source: Source

    def figures(self) -> dict[str, Any]:
        """The policies with what is read off them, and the learned rewards."""
        preferred = self.source.preferences(self.student)
        rewards = self._rewards(preferred)
        taught = imitation(self.source.taught, self.settings.learning_rate, self.settings.sft_steps)
        of_taught = self._rewards(self.source.preferences(taught))
        policies = {"student": self.student, "teacher": self.teacher, "sft": taught}
        distances = {}
        for place, beta in enumerate(self.settings.betas):
            closed = regularised(self.student, rewards, beta)
            policies[f"rlaif {beta:g}"] = closed
            if place == 0 or self.source.exact:
                optimised = preference_optimised(
                    *(self.student, preferred, beta),
                    *(self.settings.learning_rate, self.settings.reward_steps),
                )
                policies[f"dpo {beta:g}"] = optimised
                distances[f"{beta:g}"] = _distance(optimised, closed, self.student)
            policies[f"sft, then rlaif {beta:g}"] = regularised(taught, of_taught, beta)
            if place == 0:
                policies |= self._rounds(closed, beta)
        return {
            "policies": {name: self._read(policy) for name, policy in policies.items()},
            "rewards": rewards.tolist(),
            "span": float(rewards.max() - rewards.min()),
            "highest": int(rewards.argmax()),
            "lowest": int(rewards.argmin()),
            "dpo_from_closed_form": distances,
        }

    def _rewards(self, preferred: "Array") -> "Array":
        return reward_model(preferred, self.settings.learning_rate, self.settings.reward_steps)

    def _rounds(self, policy: "Array", beta: float) -> "Mapping[str, Array]":
        """On-policy rounds: the second learns from the policy of the first, and so on."""
        found = {}
        for number in range(2, self.settings.rounds + 1):
            rewards = self._rewards(self.source.preferences(policy))
            policy = regularised(policy, rewards, beta)
            found[f"rlaif {beta:g}, round {number}"] = policy
        return found

    def _read(self, policy: "Array") -> dict[str, Any]:
        import numpy as np

        arms = np.arange(self.settings.arms)
        return {
            "reward": float(policy @ arms),
            "mode": int(policy.argmax()),
            "peak": float(policy.max()),
            "beyond": float(policy[arms > self.settings.beyond].sum()),
            "probabilities": policy.tolist(),
        }


def _distance(policy: "Array", closed: "Array", student: "Array") -> float:
    """The largest difference of log-probabilities, in nats, where the student is above KNOWN."""
    import numpy as np

    known = student > KNOWN
    tiny = np.finfo(float).tiny
    logs = (np.log(np.maximum(each[known], tiny)) for each in (policy, closed))
    return float(np.abs(next(logs) - next(logs)).max())
