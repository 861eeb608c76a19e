"""A judge whose preference and whose biases are known, for figures that have to find them."""

from dataclasses import dataclass

import numpy as np

from wim.evaluation.compared.outcomes import Outcome

# Prompts from which a judge's true win rate is integrated.
MANY = 400_000


@dataclass(frozen=True)
class SimulatedJudge:
    """It prefers the speaker's answer with log-odds of preference + by_length tanh(D) + ...

    Attributes:
        preference: At equal length.
        by_length: Times tanh of how much longer the speaker's answer is, in standard deviations.
        by_position: Added for the answer shown first.
        by_prompt: Standard deviation of what judgements of one prompt have in common.
        by_cluster: The same, of prompts of one cluster.
        ties: Share of judgements that are ties, whatever else.
    """

    preference: float
    by_length: float = 0.0
    by_position: float = 0.0
    by_prompt: float = 0.0
    by_cluster: float = 0.0
    ties: float = 0.0

    def length_free_rate(self) -> float:
        """The win rate at equal length, of a judge that varies by nothing else."""
        return float(1 / (1 + np.exp(-self.preference)))

    def true_rate(self) -> float:
        """The win rate over all prompts, by integration."""
        draws = _Draws(self, np.random.default_rng(0), MANY, 1, 1)
        decided = float(np.mean([draws.share(order).mean() for order in (1, -1)]))
        return (1 - self.ties) * decided + self.ties / 2

    def outcomes(
        self,
        seed: int,
        prompts: int,
        *,
        judgements: int = 1,
        cluster_size: int = 1,
        orders: int = 2,
    ) -> list[Outcome]:
        """Judgements of a sample of prompts: so many a prompt, in one order or both."""
        generator = np.random.default_rng(seed)
        draws = _Draws(self, generator, prompts, judgements, cluster_size)
        scores = []
        for order in (1, -1)[:orders]:
            share = draws.share(order)
            won = (generator.random(share.shape) < share) * 1.0
            won[generator.random(won.shape) < self.ties] = 0.5
            scores.append(won)
        return [
            Outcome(
                prompt_id=f"{prompt}",
                scores=tuple(float(score[prompt, number]) for score in scores),
                length=int(draws.length[prompt, number]),
                reference_length=int(draws.reference_length[prompt, number]),
                cluster=f"cluster {prompt // cluster_size}",
            )
            for prompt in range(prompts)
            for number in range(judgements)
        ]


class _Draws:
    """Lengths and effects of prompts, (prompts, judgements) each."""

    def __init__(
        self,
        judge: SimulatedJudge,
        generator: np.random.Generator,
        prompts: int,
        judgements: int,
        cluster_size: int,
    ) -> None:
        shape = (prompts, judgements)
        self.judge = judge
        self.length = np.round(generator.gamma(4, 300, shape)) + 1
        self.reference_length = np.round(generator.gamma(4, 220, shape)) + 1
        clusters = -(-prompts // cluster_size)
        shared = generator.normal(0, judge.by_cluster, clusters)[np.arange(prompts) // cluster_size]
        self.effect = (generator.normal(0, judge.by_prompt, prompts) + shared)[:, None]

    def share(self, order: int) -> np.ndarray:
        """The probability that its answer wins, if there is no tie; shown first (1) or second (-1)."""
        lead = self.length - self.reference_length
        logits = self.judge.preference + self.judge.by_length * np.tanh(lead / lead.std(ddof=1))
        return 1 / (1 + np.exp(-logits - self.effect - order * self.judge.by_position))
