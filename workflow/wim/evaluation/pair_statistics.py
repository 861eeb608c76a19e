"""How well a judge agrees with labels: its accuracy, and what else could explain it.

Order, length, ties and chance could. All functions are pure. Shares have 95 % intervals that hold
for few pairs and for pairs of one prompt (wim.evaluation.share_interval).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from wim.evaluation.agreement import alpha, kappa
from wim.evaluation.judged_pairs import LabelledPair, PairJudgement, Winner, longer_wins
from wim.evaluation.share_interval import balance_over_prompts, share_over_prompts
from wim.evaluation.styles import StyleMatrix, style_matrix
from wim.statistics import Estimate, coin


@dataclass(frozen=True)
class SubsetStatistics:
    """A judge's figures on one subset of the pairs, as in `PairStatistics`."""

    pairs: int
    judged: int
    accuracy: Estimate
    right_in_both_orders: Estimate
    longer_wins: Estimate


@dataclass(frozen=True)
class PairStatistics:
    """The figures of a judge's judgements of labelled pairs.

    Attributes:
        pairs: How many were labelled.
        label_ties: How many of them with a tie. Only `right_in_both_orders`, `agreement`, `kappa`,
            `alpha` and what is not about right and wrong are of these too.
        judged, failed: How many pairs the judge judged in both orders, and how many not.
        calls: How many single judgements there were: one for each response, or for each order.
        statuses: Counts of the statuses of these.
        accuracy: Over judged pairs; each order counts 1, a tie 1/2.
        accuracy_failures_wrong: Over all pairs, a failed order counted as wrong; this is LLMBar's
            figure (Zeng et al. 2023, arXiv 2310.07641).
        accuracy_decided: Over the pairs with a winner in both orders.
        right_in_both_orders: The share of all pairs that have their label in both orders, be it a
            tie; this is Auto-J's agreement (Li et al. 2023, arXiv 2310.05470).
        right_on_balance: The share of all pairs that are right in one order and not wrong in the
            other; this is JudgeBench's accuracy (Tan et al. 2024, arXiv 2410.12784).
        right_in_whole_group: The share of groups of more than two responses in which every pair is
            right; with one best response, how often it is found (RewardBench 2, Malik et al. 2025,
            arXiv 2506.01937).
        agreement: The share of judged pairs whose outcome, `tie` where the orders disagree, is the
            label.
        kappa, alpha: Cohen's and Krippendorff's, of outcomes and labels.
        consistency: The share of judged pairs with the same outcome in both orders.
        position_bias: The share of outcomes for the response shown first, minus the share for the
            second, -1 to 1.
        tie_rate: The share of judged pairs without a winner in both orders.
        better_is_shorter, better_is_longer: Accuracy where the shorter, or the longer, response is
            labelled as better, by characters.
        longer_wins: The accuracy of preferring the longer response, on all pairs.
        chance: A coin's accuracy, with its range on as many pairs as were judged.
        subsets: Figures by subset, where there are several.
        styles: Accuracy by the styles of both responses, where these are labelled.
    """

    pairs: int
    label_ties: int
    judged: int
    failed: int
    calls: int
    statuses: Mapping[str, int]
    accuracy: Estimate
    accuracy_failures_wrong: Estimate
    accuracy_decided: Estimate
    right_in_both_orders: Estimate
    right_on_balance: Estimate
    right_in_whole_group: Estimate
    agreement: Estimate
    kappa: Estimate
    alpha: Estimate
    consistency: Estimate
    position_bias: Estimate
    tie_rate: Estimate
    better_is_shorter: Estimate
    better_is_longer: Estimate
    longer_wins: Estimate
    chance: Estimate
    subsets: Mapping[str, SubsetStatistics]
    styles: StyleMatrix | None


def pair_statistics(
    pairs: Sequence[LabelledPair], judgements: Iterable[PairJudgement]
) -> PairStatistics:
    """The figures of a judge's judgements of labelled pairs.

    Args:
        pairs: The labelled pairs.
        judgements: One of each, in any order.

    Raises:
        ValueError: If the judgements are not one for each pair.
    """
    of = _by_pair(pairs, judgements)
    judged = [pair for pair in pairs if of[pair.pair_id].winner]
    decided = [pair for pair in pairs if pair.better != "tie"]
    scored = [pair for pair in judged if pair.better != "tie"]
    lead = {pair.pair_id: _better_by(pair) for pair in decided}
    outcomes = [(pair, winner) for pair in judged if (winner := of[pair.pair_id].winner)]
    both = [(winner, pair.better) for pair, winner in outcomes]
    prompts = [pair.prompt for pair in judged]

    def accuracy(some: Sequence[LabelledPair]) -> Estimate:
        return accuracy_over(some, of)

    def share(some: Sequence[LabelledPair], values: Sequence[float]) -> Estimate:
        return share_over_prompts(values, [pair.prompt for pair in some])

    statuses = call_statuses(of.values())
    return PairStatistics(
        pairs=len(pairs),
        label_ties=len(pairs) - len(decided),
        judged=len(judged),
        failed=len(pairs) - len(judged),
        calls=sum(statuses.values()),
        statuses=statuses,
        accuracy=accuracy(scored),
        accuracy_failures_wrong=accuracy(decided),
        accuracy_decided=accuracy([p for p in scored if of[p.pair_id].winner != "tie"]),
        right_in_both_orders=share(pairs, [right_in_both(p, of[p.pair_id]) for p in pairs]),
        right_on_balance=share(decided, [right_on_balance(p, of[p.pair_id]) for p in decided]),
        right_in_whole_group=_whole_groups(decided, of),
        agreement=share(judged, [float(one == other) for one, other in both]),
        kappa=kappa(both, prompts),
        alpha=alpha(both, prompts),
        consistency=share(judged, [_consistent(of[p.pair_id]) for p in judged]),
        position_bias=balance_over_prompts([lean_to_first(of[p.pair_id]) for p in judged], prompts),
        tie_rate=share(judged, [float(winner == "tie") for winner, _ in both]),
        better_is_shorter=accuracy([p for p in scored if lead[p.pair_id] < 0]),
        better_is_longer=accuracy([p for p in scored if lead[p.pair_id] > 0]),
        longer_wins=_longer(decided),
        chance=coin(len(scored)),
        subsets=_subsets(pairs, of),
        styles=style_matrix(scored, {p.pair_id: credit(p, of[p.pair_id]) for p in scored}),
    )


def accuracy_over(
    pairs: Sequence[LabelledPair], judgements: Mapping[str, PairJudgement]
) -> Estimate:
    """The accuracy on pairs whose label is no tie, of judgements by pair; a failure is wrong."""
    return share_over_prompts(
        [credit(pair, judgements[pair.pair_id]) for pair in pairs], [pair.prompt for pair in pairs]
    )


def credit(pair: LabelledPair, judgement: PairJudgement) -> float:
    """How right a judgement is, 0 to 1, mean of both orders; a tie counts 1/2, a failure 0."""
    values: dict[str, float] = {"tie": 0.5, pair.better: 1.0}
    return sum(values.get(won or "", 0.0) for won in (judgement.in_order, judgement.swapped)) / 2


def right_in_both(pair: LabelledPair, judgement: PairJudgement) -> float:
    """1 if a judgement has the pair's label in both orders, else 0."""
    return float(judgement.in_order == pair.better == judgement.swapped)


def right_on_balance(pair: LabelledPair, judgement: PairJudgement) -> float:
    """1 if a judgement has the pair's label in more orders than the other response, else 0."""
    other: Winner = "b" if pair.better == "a" else "a"
    orders = (judgement.in_order, judgement.swapped)
    return float(orders.count(pair.better) > orders.count(other))


def lean_to_first(judgement: PairJudgement) -> float:
    """How far a judgement prefers a position: 1 if the first wins in both orders, -1 the second."""
    in_order = {"a": 1.0, "b": -1.0}.get(judgement.in_order or "", 0.0)
    swapped = {"b": 1.0, "a": -1.0}.get(judgement.swapped or "", 0.0)
    return (in_order + swapped) / 2


def call_statuses(judgements: Iterable[PairJudgement]) -> dict[str, int]:
    """Counts of the statuses of calls; one that several pairs share is counted once."""
    shared: dict[str, str] = {}
    own: Counter[str] = Counter()
    for judgement in judgements:
        if judgement.calls:
            shared.update(zip(judgement.calls, judgement.statuses, strict=True))
        else:
            own.update(judgement.statuses)
    return dict(sorted((own + Counter(shared.values())).items()))


def stability(
    runs: Sequence[Iterable[PairJudgement]], prompts: Mapping[str, str] | None = None
) -> Estimate:
    """Test-retest: the share of equal winners among every two runs of a judge, mean over pairs.

    A run that failed on a pair does not count for that pair; a pair with fewer than two runs does
    not count at all.

    Args:
        runs: The judgements of each run.
        prompts: The prompt of each pair by its id; None where each pair has its own.
    """
    winners: dict[str, list[str]] = {}
    for run in runs:
        for judgement in run:
            if judgement.winner:
                winners.setdefault(judgement.pair_id, []).append(judgement.winner)
    shares = {}
    for name, found in winners.items():
        same = [one == other for one, other in combinations(found, 2)]
        if same:
            shares[name] = sum(same) / len(same)
    return share_over_prompts(
        list(shares.values()), [name if prompts is None else prompts[name] for name in shares]
    )


def _by_pair(
    pairs: Sequence[LabelledPair], judgements: Iterable[PairJudgement]
) -> dict[str, PairJudgement]:
    given = list(judgements)
    of = {one.pair_id: one for one in given}
    if len(of) < len(given) or set(of) != {pair.pair_id for pair in pairs}:
        raise ValueError(
            f"{len(given)} judgements of {len(of)} pairs are not one for each of {len(pairs)} pairs"
        )
    return of


def _subsets(
    pairs: Sequence[LabelledPair], of: Mapping[str, PairJudgement]
) -> dict[str, SubsetStatistics]:
    """The figures of each subset by name; none where all pairs are of one."""
    names = sorted({pair.subset for pair in pairs})
    found = {}
    for name in names if len(names) > 1 else []:
        own = [pair for pair in pairs if pair.subset == name]
        judged = [pair for pair in own if of[pair.pair_id].winner]
        found[name] = SubsetStatistics(
            pairs=len(own),
            judged=len(judged),
            accuracy=accuracy_over([pair for pair in judged if pair.better != "tie"], of),
            right_in_both_orders=share_over_prompts(
                [right_in_both(pair, of[pair.pair_id]) for pair in own],
                [pair.prompt for pair in own],
            ),
            longer_wins=_longer([pair for pair in own if pair.better != "tie"]),
        )
    return found


def _whole_groups(pairs: Sequence[LabelledPair], of: Mapping[str, PairJudgement]) -> Estimate:
    right: dict[str, float] = {}
    prompts = {}
    for pair in pairs:
        if pair.group:
            won = right_in_both(pair, of[pair.pair_id])
            right[pair.group] = min(won, right.get(pair.group, 1.0))
            prompts[pair.group] = pair.prompt
    return share_over_prompts(list(right.values()), [prompts[group] for group in right])


def _longer(pairs: Sequence[LabelledPair]) -> Estimate:
    return accuracy_over(pairs, {one.pair_id: one for one in longer_wins(pairs)})


def _consistent(judgement: PairJudgement) -> float:
    return float(judgement.in_order == judgement.swapped)


def _better_by(pair: LabelledPair) -> int:
    """By how many characters the better response is longer."""
    lead = len(pair.response_a) - len(pair.response_b)
    return lead if pair.better == "a" else -lead
