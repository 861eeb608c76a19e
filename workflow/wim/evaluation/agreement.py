"""How far labels agree: annotators with each other, and a judge with them, by chance left out.

All functions are pure. Labels are `a`, `b` and `tie`, as names of equal distance.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from wim.evaluation.judged_pairs import LabelledPair, Winner
from wim.evaluation.share_interval import share_over_prompts
from wim.statistics import Estimate

LABELS: tuple[Winner, ...] = ("a", "b", "tie")


@dataclass(frozen=True)
class Annotators:
    """How far several annotators of the same pairs agree: the most that a judge can be asked for.

    Attributes:
        names: The annotators.
        pairs: How many pairs have more than one vote.
        labels: Counts of the labels of these pairs, which their votes gave.
        agreement: The share of equal votes among every two of a pair, mean over pairs.
        alpha: Krippendorff's, for nominal labels.
        kappas: Cohen's, of every two annotators with pairs in common.
        ceiling: How often an annotator's vote is the majority of the others', where that is no tie;
            a tie counts 1/2. It is what `accuracy` is of a judge, so a judge that is as right as a
            person reaches it.
    """

    names: tuple[str, ...]
    pairs: int
    labels: Mapping[str, int]
    agreement: Estimate
    alpha: Estimate
    kappas: Mapping[str, Estimate]
    ceiling: Estimate


def annotators_of(pairs: Sequence[LabelledPair]) -> Annotators | None:
    """What the votes on pairs say of the annotators; None where no pair has two votes."""
    several = [pair for pair in pairs if len(pair.votes) > 1]
    if not several:
        return None
    names = tuple(sorted({name for pair in several for name, _ in pair.votes}))
    prompts = [pair.prompt for pair in several]
    votes = [[vote for _, vote in pair.votes] for pair in several]
    kappas = {}
    for one, other in combinations(names, 2):
        by_name = [dict(pair.votes) for pair in several]
        both = [place for place, each in enumerate(by_name) if one in each and other in each]
        if both:
            kappas[f"{one}, {other}"] = kappa(
                [(by_name[place][one], by_name[place][other]) for place in both],
                [prompts[place] for place in both],
            )
    ceiling = [found for pair in several if (found := _left_out(pair)) is not None]
    return Annotators(
        names=names,
        pairs=len(several),
        labels=dict(sorted(Counter(pair.better for pair in several).items())),
        agreement=share_over_prompts([equal_share(each) for each in votes], prompts),
        alpha=alpha(votes, prompts),
        kappas=kappas,
        ceiling=share_over_prompts(
            [share for share, _ in ceiling], [prompt for _, prompt in ceiling]
        ),
    )


def majority(votes: Sequence[Winner]) -> Winner:
    """The label that has more votes than any other; `tie` if there is none."""
    counts = Counter(votes).most_common()
    return "tie" if len(counts) > 1 and counts[0][1] == counts[1][1] else counts[0][0]


def kappa(pairs: Sequence[tuple[Winner, Winner]], prompts: Sequence[str]) -> Estimate:
    """Cohen's kappa of two raters (1960, Educational and Psychological Measurement 20).

    (p - e) / (1 - e), p the share of equal labels and e that of raters who give each label as often
    as these do, independently; null where e is 1. As in Cohen's interval e is taken as known, and p
    has the interval of a share over prompts.

    Args:
        pairs: (n,) the labels of both raters.
        prompts: (n,) the prompt of each.
    """
    equal = share_over_prompts([float(one == other) for one, other in pairs], prompts)
    ones, others = (Counter(rater) for rater in (zip(*pairs, strict=True) if pairs else ((), ())))
    by_chance = sum(ones[label] * others[label] for label in LABELS) / max(1, len(pairs)) ** 2
    return _above_chance(equal, equal.value, by_chance)


def alpha(votes: Sequence[Sequence[Winner]], prompts: Sequence[str]) -> Estimate:
    """Krippendorff's alpha for nominal labels and any number of raters (2011).

    1 - observed / expected disagreement: the former is the share of unequal labels among every two
    of a pair, mean over pairs weighted by their votes, the latter that among every two of all
    labels; null where all labels are the same. The latter is taken as known, and the former has the
    interval of a share over prompts.

    Args:
        votes: The labels of each pair; a pair with fewer than two does not count.
        prompts: The prompt of each.
    """
    counted = [(each, prompt) for each, prompt in zip(votes, prompts, strict=True) if len(each) > 1]
    shares = [equal_share(each) for each, _ in counted]
    equal = share_over_prompts(shares, [prompt for _, prompt in counted])
    total = sum(len(each) for each, _ in counted)
    counts = Counter(label for each, _ in counted for label in each)
    weighted = sum(share * len(each) for share, (each, _) in zip(shares, counted, strict=True))
    by_chance = sum(count * (count - 1) for count in counts.values()) / max(1, total * (total - 1))
    return _above_chance(equal, weighted / total if total else None, by_chance)


def equal_share(votes: Sequence[Winner]) -> float:
    """The share of equal labels among every two of a pair; there must be two."""
    same = [one == other for one, other in combinations(votes, 2)]
    return sum(same) / len(same)


def _above_chance(equal: Estimate, value: float | None, by_chance: float) -> Estimate:
    """(value - by chance) / (1 - by chance), with the interval of the share `equal` around it."""
    room = 1 - by_chance
    if value is None or equal.value is None or equal.low is None or equal.high is None:
        return Estimate(None, None, None, equal.n)
    if room < 1e-12:
        return Estimate(None, None, None, equal.n)
    found = (value - by_chance) / room
    low, high = (found + (end - equal.value) / room for end in (equal.low, equal.high))
    return Estimate(found, low, min(high, 1.0), equal.n)


def _left_out(pair: LabelledPair) -> tuple[float, str] | None:
    """How right a pair's annotators are by the others' majority, and its prompt."""
    votes = [vote for _, vote in pair.votes]
    credits = []
    for place, vote in enumerate(votes):
        others = majority(votes[:place] + votes[place + 1 :])
        if others != "tie":
            credits.append(1.0 if vote == others else 0.5 if vote == "tie" else 0.0)
    return (sum(credits) / len(credits), pair.prompt) if credits else None
