"""Verdicts: whether each arm is better than what it is compared with, in a word and in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from wim.evaluation.compared.paired import ALPHA, POWER, Difference, holm, smallest_difference

Test = Literal["mcnemar", "bootstrap"]


class Verdict(StrEnum):
    """What a comparison has shown."""

    BETTER = "better"
    WORSE = "worse"
    NOT_SHOWN = "not shown"


@dataclass(frozen=True)
class ArmVerdict:
    """What is known of an arm.

    Attributes:
        verdict: Better or worse where the adjusted p is at most 0.05.
        p: Of the test alone.
        p_holm: Adjusted for the number of arms.
        smallest: The difference that would have been found four times of five, at the level of
            the first of as many tests as there are arms; null where nothing varies.
        words: The verdict as a sentence, with its figures.
    """

    verdict: Verdict
    p: float
    p_holm: float
    smallest: float | None
    words: str


def verdicts(
    differences: Mapping[str, Difference],
    reference: str,
    test: Test = "mcnemar",
    *,
    percent: bool = True,
    prompts: str = "prompts",
    family: str = "arms",
) -> dict[str, ArmVerdict]:
    """The verdict on each arm, corrected for their number by Holm's procedure.

    A test of signs and the mean may point in different directions; then nothing is shown.

    Args:
        differences: Of each arm from the reference.
        reference: What the words call it.
        test: Whose p decides.
        percent: The scores are shares, and are worded as percentage points.
        prompts: What the words call what the scores are of.
        family: What the words call the differences together.
    """
    p_values = {
        arm: one.p_mcnemar if test == "mcnemar" else one.p_bootstrap
        for arm, one in differences.items()
    }
    adjusted = holm(p_values)
    found = {}
    for arm, one in differences.items():
        level = ALPHA / len(differences)
        smallest = smallest_difference(one.standard_error, one.prompts, level)
        verdict = _verdict(one, adjusted[arm], test)
        holm_over = f"{len(differences)} {family}" if len(differences) > 1 else None
        words = _words(
            arm, reference, one, verdict, adjusted[arm], smallest, holm_over, percent, prompts
        )
        found[arm] = ArmVerdict(verdict, p_values[arm], adjusted[arm], smallest, words)
    return found


def _verdict(one: Difference, p_holm: float, test: Test) -> Verdict:
    mean = one.difference.value or 0.0
    if p_holm > ALPHA or not mean:
        return Verdict.NOT_SHOWN
    if test == "mcnemar" and (one.higher > one.lower) != (mean > 0):
        return Verdict.NOT_SHOWN
    return Verdict.BETTER if mean > 0 else Verdict.WORSE


def _words(
    arm: str,
    reference: str,
    one: Difference,
    verdict: Verdict,
    p_holm: float,
    smallest: float | None,
    holm_over: str | None,
    percent: bool,
    prompts: str,
) -> str:
    if not one.common:
        return f"{arm} against {reference}: not shown; there are no common {prompts}."

    def amount(value: float | None, sign: str = "+") -> str:
        shown = 100 * value if percent and value is not None else value
        return "?" if shown is None else format(shown, f"{sign}.1f" if percent else f"{sign}.3g")

    unit = " points" if percent else ""
    found = one.difference
    figures = (
        f"{amount(found.value)}{unit} [{amount(found.low)}, {amount(found.high)}] "
        f"on {one.prompts} {prompts}, p = {p_holm:.2g}"
    )
    if holm_over:
        figures += f" after Holm over {holm_over}"
    if verdict is not Verdict.NOT_SHOWN:
        return f"{arm} is {verdict} than {reference}: {figures}."
    seen = ""
    if smallest is not None:
        seen = f" A difference of {amount(smallest, '')}{unit} would have been found {POWER:.0%}"
        seen += " of the time."
    return f"{arm} against {reference}: not shown; {figures}.{seen}"
