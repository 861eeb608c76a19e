"""The means of rewards on each speaker's answers, and what they differ by from the reference's."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from wim.evaluation.compared.bootstrap import mean_over
from wim.evaluation.compared.paired import difference
from wim.evaluation.compared.verdicts import verdicts
from wim.evaluation.speakers import Answers, rewards_by_candidate

Scores = Mapping[str, Mapping[str, float | None]]
"""By speaker, the reference first, and prompt: the reward of the answer, None where it has none."""


def scores_of_rewards(
    tables: Sequence[str],
    speakers: Sequence[str],
    rewards: Sequence[str],
    answers: Mapping[str, Answers],
) -> dict[str, Scores]:
    """The rewards of each speaker's answers, by reward.

    Args:
        tables: The rewards tables, reward by reward and speaker by speaker.
        speakers: Who answers, the reference first.
        rewards: Their names.
        answers: By speaker.
    """
    found: dict[str, Scores] = {}
    for place, reward in enumerate(rewards):
        own = tables[place * len(speakers) : (place + 1) * len(speakers)]
        scores = {}
        for speaker, path in zip(speakers, own, strict=True):
            of = rewards_by_candidate(path)
            scores[speaker] = {
                prompt: of[each.candidate_id].reward for prompt, each in answers[speaker].items()
            }
        found[reward] = scores
    return found


def known(scores: Scores) -> dict[str, dict[str, float]]:
    """The scores without those that are None."""
    return {
        speaker: {prompt: value for prompt, value in of.items() if value is not None}
        for speaker, of in scores.items()
    }


def reward_means(scores: Scores, seed: int) -> dict[str, Any]:
    """The mean reward of each speaker with its difference from the first one's, by speaker."""
    values = known(scores)
    reference, *others = values
    differences = {
        speaker: difference(values[speaker], values[reference], seed) for speaker in others
    }
    said = verdicts(differences, reference, "bootstrap", percent=False)
    return {
        speaker: {
            "mean": asdict(mean_over(list(of.values()), list(of), seed)),
            "failed": len(scores[speaker]) - len(of),
            **(
                {"difference": asdict(differences[speaker]), "verdict": asdict(said[speaker])}
                if speaker in differences
                else {}
            ),
        }
        for speaker, of in values.items()
    }
