"""What policies of the bandit learn, by gradient descent on expectations or on counts of samples.

A policy is an array (arms,) of probabilities. `preferred` is an array (arms, arms): the share of all
pairs in which the arm of the row beats that of the column. Samples give shares that are counts, the
population those that are probabilities; the descent on all of them at once is the same.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def peaked(arms: int, peak: float, width: float) -> "Array":
    """The policy that chooses arm a in proportion to exp(-(a - peak)^2 / width)."""
    import numpy as np

    return normalised(-((np.arange(arms, dtype=np.float64) - peak) ** 2) / width)


def normalised(logits: "Array") -> "Array":
    """The softmax of logits (arms,)."""
    import numpy as np

    powers = np.exp(logits - logits.max())
    found: Array = powers / powers.sum()
    return found


def expected_preferences(policy: "Array") -> "Array":
    """Shares of the pairs of two independent draws, of which the larger arm is preferred."""
    import numpy as np

    found: Array = np.tril(2 * np.outer(policy, policy), -1)
    return found


def sampled_preferences(policy: "Array", pairs: int, generator: "np.random.Generator") -> "Array":
    """The same of so many pairs that are drawn; two draws of one arm prefer neither."""
    import numpy as np

    arms = len(policy)
    first, second = generator.choice(arms, size=(2, pairs), p=policy)
    better, worse = np.maximum(first, second), np.minimum(first, second)
    counts = np.bincount(better * arms + worse, minlength=arms * arms).reshape(arms, arms)
    found: Array = np.tril(counts, -1) / pairs
    return found


def reward_model(preferred: "Array", rate: float, steps: int) -> "Array":
    """The rewards (arms,) of a Bradley-Terry model: descent from 0 on -log s(r_better - r_worse)."""
    import numpy as np

    rewards = np.zeros(len(preferred))
    for _ in range(steps):
        powers = np.exp(rewards - rewards.max())
        # Times the power of the worse arm: the probability that the model gives the wrong order.
        shares = preferred / (powers[:, None] + powers)
        rewards += rate * (shares @ powers - shares.sum(axis=0) * powers)
    return rewards


def regularised(policy: "Array", rewards: "Array", beta: float) -> "Array":
    """The best policy under reward - beta KL(. || policy): policy(a) exp(r(a) / beta), normalised."""
    import numpy as np

    with np.errstate(divide="ignore"):
        return normalised(np.log(policy) + rewards / beta)


def imitation(shares: "Array", rate: float, steps: int) -> "Array":
    """SFT from equal logits: descent on the cross-entropy with shares (arms,) of a teacher's arms."""
    import numpy as np

    logits = np.zeros(len(shares))
    for _ in range(steps):
        logits += rate * (shares - normalised(logits))
    return normalised(logits)


def preference_optimised(
    policy: "Array", preferred: "Array", beta: float, rate: float, steps: int
) -> "Array":
    """DPO of a softmax policy with this workflow's loss and autograd, from and towards `policy`.

    Its implicit reward beta log(pi / policy) takes the steps of a reward model at `rate`: a step of
    the logits of rate / beta^2 changes it by rate times the reward model's gradient, and the
    normalisation is no part of a difference of two arms.
    """
    import numpy as np
    import torch

    from wim.training.losses import LogRatios, sigmoid

    better, worse = (torch.from_numpy(each) for each in np.nonzero(preferred))
    shares = torch.from_numpy(preferred)[better, worse]
    # Arms that the policy never chooses are in no pair.
    reference = torch.from_numpy(np.log(np.maximum(policy, np.finfo(float).tiny)))
    logits = reference.clone().requires_grad_()
    optimizer = torch.optim.SGD([logits], lr=rate / beta**2)
    for _ in range(steps):
        chances = torch.log_softmax(logits, 0)
        pairs = LogRatios(chances[better], chances[worse], reference[better], reference[worse])
        optimizer.zero_grad()
        (shares * sigmoid(pairs, beta)).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    found: Array = torch.softmax(logits.detach(), 0).numpy()
    return found
