"""The page of the study: one table of all judges and rewards on all sets, and what it speaks for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wim.display.markdown import markdown_table, percent, shown
from wim.evaluation.study.choice import UNPROVEN, Choice, proven_on
from wim.evaluation.study.measure import Measured
from wim.statistics import Estimate


@dataclass(frozen=True)
class SetNote:
    """What is to be said of a set.

    Attributes:
        labels: What tells which response is better, in words.
        judgements: How many there are, by status.
        repeated: How many rows repeat another, and are left out.
        splits: How each head was split from what it was fitted to, by reward.
        left_out: Why rewards of the configuration have no figures, by reward.
    """

    labels: str
    judgements: Mapping[str, int]
    repeated: int
    splits: Mapping[str, str]
    left_out: Mapping[str, str]


def study_text(
    figures: Mapping[str, Mapping[str, Measured]], notes: Mapping[str, SetNote], choice: Choice
) -> str:
    """The page, in Markdown.

    Args:
        figures: By set and reward.
        notes: By set.
        choice: The reward that the study speaks for.
    """
    rows = [
        _row(where, name, one) for where, of_set in figures.items() for name, one in of_set.items()
    ]
    parts = [
        "# Rewards: which one to train on",
        choice_text(choice, figures),
        "Accuracy is the share of pairs in which the better response has the higher reward; a tie "
        "counts half. `less length` and `less cosine` are what it is above preferring the longer "
        "response, and above the cosine of response and critique, on the same pairs. Intervals are "
        "of 95 %, over prompts. `x 2` is the mean over two judgements of a response. Tokens are what "
        "the judge wrote for both responses of a pair.",
        markdown_table(rows, left=2),
    ]
    several = [
        _samples_row(where, name, one)
        for where, of_set in figures.items()
        for name, one in of_set.items()
        if one.samples > 1
    ]
    if several:
        parts += [
            "## What more judgements buy",
            "`over one` is the accuracy above that of one of the judgements alone, on the same pairs; "
            "`same winner` how often they agree.",
            markdown_table(several, left=2),
        ]
    for where, note in notes.items():
        parts += [f"## {where}", "\n".join(f"- {line}" for line in _note_lines(note))]
        if subsets := _subset_rows(figures[where]):
            parts.append(markdown_table(subsets))
    return "\n\n".join(parts) + "\n"


def choice_text(choice: Choice, figures: Mapping[str, Mapping[str, Measured]]) -> str:
    """The sentence that says which reward to train on."""
    if choice.reward is None:
        return (
            f"**None of the {choice.tried} rewards is worth training on:** on no set does one beat "
            "both preferring the longer response and the cosine, with intervals above 0."
        )
    where = "; ".join(
        f"{name}: {_three(one.accuracy)}, {_signed(one.less_length)} over length, "
        f"{_signed(one.less_cosine)} over the cosine"
        for name in choice.proven
        for one in [figures[name][choice.reward]]
    )
    text = (
        f"**Train on `{choice.reward}`:** it beats both preferring the longer response and the "
        f"cosine, with intervals above 0, on {len(choice.proven)} of {choice.sets} sets ({where})."
    )
    if len(choice.proven) < choice.sets:
        text += " On the others it does not, so look at what your prompts are like."
    return text + (
        f" {choice.tried} rewards were tried, and the best of many looks better than it is: a lead of "
        f"less than {UNPROVEN:.2f} over another reward is unproven."
    )


def _row(where: str, reward: str, one: Measured) -> dict[str, str]:
    return {
        "set": where,
        "reward": f"**{reward}**" if proven_on(one) else reward,
        "judge": one.judge or "none",
        "judged pairs (prompts)": f"{one.judged:,} of {one.pairs:,} ({one.prompts:,})",
        "accuracy": _three(one.accuracy),
        "less length": _signed(one.less_length),
        "less cosine": _signed(one.less_cosine),
        "ties": percent(one.ties.value, 0),
        "prefers the longer": percent(one.prefers_longer.value, 0),
        "better is shorter": shown(one.better_is_shorter.value, ".3f"),
        "better is longer": shown(one.better_is_longer.value, ".3f"),
        "tokens a pair": shown(one.tokens, ",.0f"),
    }


def _samples_row(where: str, reward: str, one: Measured) -> dict[str, str]:
    return {
        "set": where,
        "reward": reward,
        "judgements": str(one.samples),
        "accuracy": _three(one.accuracy),
        "over one": _signed(one.over_one),
        "ties": percent(one.ties.value, 0),
        "same winner": percent(one.same_winner.value, 0),
        "tokens a pair": shown(one.tokens, ",.0f"),
    }


def _three(one: Estimate) -> str:
    if one.value is None or one.low is None or one.high is None:
        return shown(one.value, ".3f")
    return f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]"


def _signed(one: Estimate) -> str:
    if one.value is None or one.low is None or one.high is None:
        return shown(one.value, "+.3f")
    return f"{one.value:+.3f} [{one.low:+.3f}, {one.high:+.3f}]"


def _note_lines(note: SetNote) -> list[str]:
    lines = [f"Which response is better: {note.labels}."]
    if note.judgements:
        counts = ", ".join(f"{count:,} {status}" for status, count in note.judgements.items())
        lines.append(f"Judgements: {counts}.")
    if note.repeated:
        lines.append(f"{note.repeated:,} rows repeat another, and are left out.")
    lines += [f"`{name}` is split {split}." for name, split in note.splits.items()]
    lines += [f"`{name}` is not measured: {why}." for name, why in note.left_out.items()]
    return lines


def _subset_rows(figures: Mapping[str, Measured]) -> Sequence[dict[str, str]]:
    """Accuracies by subset, a row for each reward; none where there are no subsets."""
    names = sorted({subset for one in figures.values() for subset in one.subsets})
    if not names:
        return []
    return [
        {"reward": reward}
        | {name: _three(one.subsets[name]) if name in one.subsets else "" for name in names}
        for reward, one in figures.items()
    ]
