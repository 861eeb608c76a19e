"""The text of the reward gate: its tables in Markdown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wim.display.markdown import estimate_with_interval, markdown_table, shown
from wim.embedding.reading import TextsRead, reading_warnings
from wim.evaluation.agreement import Annotators
from wim.evaluation.labelled_judgements import PAIRS_BY
from wim.evaluation.pair_statistics import PairStatistics
from wim.evaluation.share_interval import TAIL
from wim.evaluation.styles import STYLES
from wim.statistics import Estimate

LONGER = "(longer response)"
ANNOTATORS = "(annotators)"


@dataclass(frozen=True)
class Retest:
    """How far a reward agrees with itself when its judge is queried again with another seed.

    Attributes:
        same_winner: Share of pairs with the same winner, or a tie, both times.
        correlation: Spearman's, of the rewards of the responses.
    """

    same_winner: Estimate
    correlation: Estimate


def gate_text(
    of: str,
    measured: Mapping[str, PairStatistics],
    repeated: Mapping[str, Retest],
    encoded: Mapping[str, Mapping[str, TextsRead]],
    unread: Sequence[str] = (),
    annotators: Annotators | None = None,
) -> str:
    """The gate's page.

    Args:
        of: Whose labels they are.
        measured: Statistics by reward or judge of pairs.
        repeated: Retests by reward; empty where no pair was judged again.
        encoded: How the encoder reads responses and critiques, by judge; too little is a warning.
        unread: The rewards that are cosines of texts of which the encoder does not read most.
        annotators: How far several annotators agree; None where there is one.
    """
    parts = [
        f"# Judges and rewards against labels of {of}",
        _introduction(measured),
        *_warnings(encoded, unread),
        markdown_table([_reward_row(*item) for item in measured.items()], left=None),
    ]
    if annotators:
        parts += [_annotators_text(annotators)]
    in_pairs = {key: one for key, one in measured.items() if key.startswith(PAIRS_BY)}
    if in_pairs:
        parts.append("Judges of pairs, queried in both orders:")
        parts.append(markdown_table([_pairs_row(*item) for item in in_pairs.items()], left=None))
    if any(one.label_ties for one in measured.values()):
        parts.append("Agreement with the labels, ties among them:")
        rows = [_agreement_row(*item) for item in measured.items()]
        parts.append(markdown_table(rows, left=None))
    parts += _subset_tables(measured)
    if any(one.styles for one in measured.values()):
        parts.append(
            "By style: `hard` pairs have a better response in a plainer style than the other, "
            "`easy` ones in a fancier style:"
        )
        rows = [_style_row(name, one) for name, one in measured.items() if one.styles]
        parts.append(markdown_table(rows, left=None))
    if repeated:
        parts.append("Judged again with another seed:")
        parts.append(markdown_table([_retest_row(*item) for item in repeated.items()], left=None))
    return "\n\n".join(parts) + "\n"


def mostly_unread(read: TextsRead) -> bool:
    """Whether most texts are cut, or hard to read."""
    return any((each.share or 0) > 0.5 for each in (read.cut, read.hard))


def _introduction(measured: Mapping[str, PairStatistics]) -> str:
    any_of = next(iter(measured.values()))
    chance = any_of.chance
    ties = f", {any_of.label_ties} of them with a tie" if any_of.label_ties else ""
    tries = sum(name != LONGER for name in measured)
    luck = (
        f" The best of {tries} that are no better than a coin passes a bar of .5 in up to "
        f"{100 * (1 - (1 - TAIL) ** tries):.0f} % of runs: what is chosen among them is to be "
        "measured on other pairs."
        if tries > 1
        else ""
    )
    return (
        f"{any_of.pairs} labelled pairs{ties}; intervals are of 95 %. A coin on {chance.n} pairs "
        f"stays within {shown(chance.low, '.2f')} to {shown(chance.high, '.2f')}.{luck}"
    )


def _warnings(encoded: Mapping[str, Mapping[str, TextsRead]], unread: Sequence[str]) -> list[str]:
    found = []
    if unread:
        names = ", ".join(f"`{name}`" for name in unread)
        found.append(
            f"**Of most texts the encoder does not read enough: the accuracy of {names} is that of "
            "beginnings, or of words that it does not know.**"
        )
    warnings = [
        f"- `{judge}`: {warning}"
        for judge, read in encoded.items()
        for warning in reading_warnings(read)
    ]
    if warnings:
        found.append("**The encoder does not read all of the texts:**\n\n" + "\n".join(warnings))
    return found


def _reward_row(reward: str, one: PairStatistics) -> dict[str, str]:
    return {
        "reward": reward,
        "judged": str(one.judged),
        "accuracy": estimate_with_interval(one.accuracy),
        "ties": estimate_with_interval(one.tie_rate),
        "better is shorter": estimate_with_interval(one.better_is_shorter),
        "better is longer": estimate_with_interval(one.better_is_longer),
        "pairs failed": str(one.failed),
        "calls": ", ".join(f"{count} {name}" for name, count in one.statuses.items()),
    }


def _annotators_text(one: Annotators) -> str:
    labels = ", ".join(f"{count} {name}" for name, count in one.labels.items())
    kappas = "; ".join(
        f"{names}: {estimate_with_interval(kappa)}" for names, kappa in one.kappas.items()
    )
    return (
        f"{len(one.names)} annotators voted on {one.pairs} pairs ({labels} by majority). Every two "
        f"agree on {estimate_with_interval(one.agreement)}; Krippendorff's alpha is "
        f"{estimate_with_interval(one.alpha)}, Cohen's kappas are {kappas}. One of them is right by "
        f"the others' majority on {estimate_with_interval(one.ceiling)}: no judge can be expected "
        "to be more accurate than that."
    )


def _pairs_row(judge: str, one: PairStatistics) -> dict[str, str]:
    return {
        "judge": judge,
        "judged": str(one.judged),
        "consistency": estimate_with_interval(one.consistency),
        "position bias": estimate_with_interval(one.position_bias),
        "right in both orders": estimate_with_interval(one.right_in_both_orders),
        "right on balance": estimate_with_interval(one.right_on_balance),
    }


def _agreement_row(name: str, one: PairStatistics) -> dict[str, str]:
    return {
        "reward": name,
        "judged": str(one.judged),
        "agreement": estimate_with_interval(one.agreement),
        "Cohen's kappa": estimate_with_interval(one.kappa),
        "Krippendorff's alpha": estimate_with_interval(one.alpha),
    }


def _subset_tables(measured: Mapping[str, PairStatistics]) -> list[str]:
    subsets = next(iter(measured.values())).subsets
    if not subsets:
        return []
    rows = [
        {
            "reward": name,
            **{
                subset: estimate_with_interval(each.accuracy)
                for subset, each in one.subsets.items()
            },
        }
        for name, one in measured.items()
    ]
    sizes = ", ".join(f"{each.pairs} {subset}" for subset, each in subsets.items())
    return [f"Accuracy by subset ({sizes}):", markdown_table(rows, left=None)]


def _style_row(name: str, one: PairStatistics) -> dict[str, str]:
    assert one.styles is not None
    cells = {
        f"{style} against {other}": shown(one.styles.matrix[style][other].value, ".2f")
        for style in STYLES
        for other in STYLES
    }
    return {
        "reward": name,
        "hard": estimate_with_interval(one.styles.hard),
        "normal": estimate_with_interval(one.styles.normal),
        "easy": estimate_with_interval(one.styles.easy),
        **cells,
    }


def _retest_row(reward: str, again: Retest) -> dict[str, str]:
    return {
        "reward": reward,
        "pairs": str(again.same_winner.n),
        "same winner": estimate_with_interval(again.same_winner),
        "rank correlation of rewards": estimate_with_interval(again.correlation),
    }
