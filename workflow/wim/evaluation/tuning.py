"""Tuning a judge without fooling oneself: the best of several tries on prompts it was not chosen on.

The best of several figures on the same pairs is too high, as it is the best by luck too. So the
tries, such as judges with several templates, are compared on one half of the prompts, and only the
best is measured on the other half.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from wim.display.json_files import write_json
from wim.display.markdown import estimate_with_interval, markdown_table
from wim.errors import UserError
from wim.evaluation.judged_pairs import LabelledPair, PairJudgement
from wim.evaluation.labelled_judgements import PAIRS_BY, judgements_by_name
from wim.evaluation.labels.read import read_labels
from wim.evaluation.pair_statistics import accuracy_over, credit
from wim.evaluation.share_interval import balance_over_prompts
from wim.provenance.digest import seed_of
from wim.statistics import Estimate

logger = logging.getLogger(__name__)


class TuningInputs(Protocol):
    """The labelled pairs, the table of each reward, and the shards of each judge of pairs."""

    pairs: Sequence[str]
    rewards: Sequence[str]
    comparisons: Sequence[str]


@dataclass(frozen=True)
class Tuning:
    """The best of several tries; a failed judgement is wrong in every figure.

    Attributes:
        tries: How many there are.
        chosen, first: The best one on the choosing half, and the one to beat.
        choosing_prompts, choosing_pairs, reporting_prompts, reporting_pairs: The halves.
        choosing: The accuracy of each on the choosing half, too high for the best one.
        accuracy, first_accuracy: That of the best and of the first on the reporting half.
        gain: By how much the best is more accurate than the first there, pair by pair.
    """

    tries: int
    chosen: str
    first: str
    choosing_prompts: int
    choosing_pairs: int
    reporting_prompts: int
    reporting_pairs: int
    choosing: Mapping[str, Estimate]
    accuracy: Estimate
    first_accuracy: Estimate
    gain: Estimate


def judge_tuning(
    inputs: TuningInputs,
    tuned: Sequence[str],
    seed: int,
    table: Path,
    text: Path,
    form: str | None = None,
) -> None:
    """Write which of several rewards or judges of pairs is best, and how good it is.

    Args:
        inputs: The labelled pairs and what was said of them, in the order of `tuned`.
        tuned: The tries: rewards, and judges of pairs after PAIRS_BY; the first is to be beaten.
        seed: By which prompts are divided.
        table: Where the figures go, as JSON.
        text: Where they go in words, as Markdown; they are logged too.
        form: That of the files of labelled pairs, where it is given.

    Raises:
        UserError: The labelled pairs are of a single prompt.
    """
    pairs = read_labels(map(Path, inputs.pairs), form)
    judges = [name.removeprefix(PAIRS_BY) for name in tuned if name.startswith(PAIRS_BY)]
    found = judgements_by_name(
        pairs,
        rewards=[name for name in tuned if not name.startswith(PAIRS_BY)],
        tables=inputs.rewards,
        judges=judges,
        comparisons=inputs.comparisons,
    )
    tuning = best_of(pairs, {name: found[name] for name in tuned}, seed)
    write_json(table, asdict(tuning))
    words = tuning_text(tuning)
    text.write_text(words, encoding="utf-8")
    for line in words.splitlines():
        logger.info("%s", line)


def best_of(
    pairs: Sequence[LabelledPair], judgements: Mapping[str, Sequence[PairJudgement]], seed: int
) -> Tuning:
    """The best of several tries, chosen on half of the prompts and measured on the others.

    Pairs with a tie as their label do not count. Of tries equally right the first is chosen.

    Args:
        pairs: The labelled pairs.
        judgements: Of each try, one of each pair; the first is the one to beat.
        seed: By which prompts are divided.

    Raises:
        UserError: The pairs are of a single prompt.
    """
    decided = [pair for pair in pairs if pair.better != "tie"]
    prompts = sorted(
        {pair.prompt for pair in decided}, key=lambda prompt: seed_of(seed, "tuning", prompt)
    )
    if len(prompts) < 2:
        raise UserError(
            f"gate.tuned: the labelled pairs have {len(prompts)} prompts; to choose on one half "
            "and report on the other there must be two or more."
        )
    chosen_on = set(prompts[: len(prompts) // 2])
    halves = [
        [pair for pair in decided if (pair.prompt in chosen_on) is half] for half in (True, False)
    ]
    of = {name: {one.pair_id: one for one in each} for name, each in judgements.items()}
    choosing = {name: accuracy_over(halves[0], each) for name, each in of.items()}
    names = list(of)
    best = max(names, key=lambda name: choosing[name].value or 0.0)
    leads = [
        credit(pair, of[best][pair.pair_id]) - credit(pair, of[names[0]][pair.pair_id])
        for pair in halves[1]
    ]
    return Tuning(
        tries=len(names),
        chosen=best,
        first=names[0],
        choosing_prompts=len(chosen_on),
        choosing_pairs=len(halves[0]),
        reporting_prompts=len(prompts) - len(chosen_on),
        reporting_pairs=len(halves[1]),
        choosing=choosing,
        accuracy=accuracy_over(halves[1], of[best]),
        first_accuracy=accuracy_over(halves[1], of[names[0]]),
        gain=balance_over_prompts(leads, [pair.prompt for pair in halves[1]]),
    )


def tuning_text(tuning: Tuning) -> str:
    """The page of a tuning."""
    rows = [
        {"try": name, "accuracy where it was chosen": estimate_with_interval(one)}
        for name, one in tuning.choosing.items()
    ]
    reported = (
        f"On the other {tuning.reporting_prompts} prompts ({tuning.reporting_pairs} pairs), which "
        f"took no part in the choice, `{tuning.chosen}` is right on "
        f"{estimate_with_interval(tuning.accuracy)}"
    )
    if tuning.chosen == tuning.first:
        reported += ". No try was better than the first one."
    else:
        reported += (
            f" and `{tuning.first}`, the first, on {estimate_with_interval(tuning.first_accuracy)}: "
            f"a gain of {estimate_with_interval(tuning.gain)}, {_verdict(tuning.gain)}."
        )
    return (
        "\n\n".join(
            [
                f"# The best of {tuning.tries} tries: {tuning.chosen}",
                f"Chosen on {tuning.choosing_prompts} prompts ({tuning.choosing_pairs} pairs), where "
                f"the best of {tuning.tries} is too high by luck:",
                markdown_table(rows, left=None),
                reported + " A failed judgement counts as wrong.",
            ]
        )
        + "\n"
    )


def _verdict(gain: Estimate) -> str:
    if gain.low is not None and gain.low > 0:
        return "which is shown"
    if gain.high is not None and gain.high < 0:
        return "so that it is worse"
    return "which is not shown to be one"
