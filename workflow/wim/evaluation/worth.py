"""What the judge of an evaluation is worth: its accuracy on labelled pairs, and what that corrects."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wim.evaluation.compared.corrected import Corrected, by_accuracy
from wim.evaluation.compared.outcomes import Outcome
from wim.evaluation.labelled_judgements import judged_by_reward, judged_in_pairs
from wim.evaluation.labels.read import read_labels
from wim.evaluation.pair_statistics import credit
from wim.evaluation.share_interval import share_over_prompts
from wim.statistics import Estimate


@dataclass(frozen=True)
class Worth:
    """How right a judge or a reward is on labelled pairs.

    Attributes:
        labels: The files of labelled pairs.
        credits: (pairs,) how right it is on each pair that it judged, 0 to 1.
        prompts: (pairs,) the context of each, whose pairs depend on each other.
    """

    labels: str
    credits: Sequence[float]
    prompts: Sequence[str]

    def accuracy(self) -> Estimate:
        """The mean, with its interval over prompts."""
        return share_over_prompts(self.credits, self.prompts)

    def corrected(self, outcomes: Sequence[Outcome], seed: int) -> Corrected:
        """A speaker's win rate with the judge's errors taken out."""
        judged = [one for one in outcomes if one.score is not None]
        scores = [one.score for one in judged if one.score is not None]
        groups = [one.group for one in judged]
        return by_accuracy(scores, groups, self.credits, self.prompts, seed)


def measured_worth(
    labels: Sequence[str], said: Sequence[str], pairs: bool, form: str | None = None
) -> Worth | None:
    """What a judge is worth on the gate's labelled pairs; None where there are none.

    Args:
        labels: The files of labelled pairs.
        said: What was said of them: all shards of a judge of pairs, or the table of a reward.
        pairs: Whether it is a judge of pairs.
        form: That of the files, where it is given.
    """
    if not labels:
        return None
    files, tables = [Path(path) for path in labels], [Path(path) for path in said]
    labelled = read_labels(files, form)
    judgements = (
        judged_in_pairs(labelled, tables) if pairs else judged_by_reward(labelled, tables[0])
    )
    by_id = {pair.pair_id: pair for pair in labelled}
    judged = [each for each in judgements if each.winner and by_id[each.pair_id].better != "tie"]
    return Worth(
        ", ".join(path.name for path in files),
        [credit(by_id[each.pair_id], each) for each in judged],
        [by_id[each.pair_id].prompt for each in judged],
    )
