"""The part of an evaluation's page that is about questions of several turns."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from wim.display.markdown import UNDEFINED, estimate_with_interval, markdown_table, percent, shown
from wim.evaluation.formats.rows import printable
from wim.statistics import Estimate

READ = {
    "strict": "what a judgement ends with, its only verdict in double brackets",
    "as_published": "the first verdict found, as published, also in single brackets and of any size",
}


def question_parts(figures: Mapping[str, Any]) -> Iterator[str]:
    """Verdicts in words, figures by speaker and by category, and the speakers against each other."""
    single, speakers = figures["mode"] == "single", figures["speakers"]
    said = [f"- **{one['verdict']['words']}**" for one in speakers.values() if "verdict" in one]
    if said:
        yield "\n".join(said)
    turns = sorted({turn for one in speakers.values() for turn in one["by_turn"]})
    outside = any(one.get("outside") for one in speakers.values())
    yield markdown_table(
        [
            _single_row(name, one, turns, outside) if single else _pair_row(name, one, turns)
            for name, one in speakers.items()
        ]
    )
    what = (
        "Grades are from 1 to 10; the mean is over all judged turns."
        if single
        else "Each turn is compared in both orders; what they disagree on is a tie, and a tie counts half."
    )
    yield f"{what} Read is {READ[figures['parse']]}; a failed judgement is in no figure."
    yield from category_parts(speakers)
    if figures["between"]:
        yield "## Speakers against each other"
        yield markdown_table([_between_row(pair, one) for pair, one in figures["between"].items()])


def category_parts(speakers: Mapping[str, Any]) -> Iterator[str]:
    """Each speaker's figure in each category of prompts, where there are several."""
    categories = sorted({name for one in speakers.values() for name in one["by_category"]})
    if len(categories) > 1:
        yield "## By category"
        yield markdown_table([_category_row(name, speakers) for name in categories])


def without_leaks(one: Mapping[str, Any]) -> dict[str, str]:
    """The cell of a speaker's figure without what leaks, where something does."""
    if "without_leaks" not in one:
        return {}
    return {"without leaks": estimate_with_interval(Estimate(**one["without_leaks"]))}


def question_answer_rows(figures: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """How long each speaker's answers are, and what is wrong with them."""
    for speaker, missing in figures["unanswered"].items():
        yield {
            "speaker": f"`{speaker}`",
            "tokens": estimate_with_interval(Estimate(**figures["tokens"][speaker])),
            "cut": str(figures["cut"][speaker]),
            "turns without an answer": f"{missing} of {figures['turns']}",
        }


def _single_row(
    name: str, one: Mapping[str, Any], turns: Sequence[int], outside: bool
) -> dict[str, str]:
    lead = one.get("difference", {}).get("difference")
    return {
        "speaker": f"`{name}`",
        "mean": estimate_with_interval(Estimate(**one["mean"])),
        **_turns(one["by_turn"], turns),
        "minus the reference": estimate_with_interval(Estimate(**lead)) if lead else UNDEFINED,
        "judged": str(one["mean"]["n"]),
        "failed": _failures(one["failures"]),
        **without_leaks(one),
        **({"not from 1 to 10": str(one["outside"])} if outside else {}),
    }


def _pair_row(name: str, one: Mapping[str, Any], turns: Sequence[int]) -> dict[str, str]:
    return {
        "speaker": f"`{name}`",
        "adjusted win rate": estimate_with_interval(Estimate(**one["adjusted"])),
        **_turns(one["by_turn"], turns),
        "wins / ties / losses": f"{one['wins']} / {one['ties']} / {one['losses']}",
        "won": percent(one["win_rate"], 1),
        "lost": percent(one["loss_rate"], 1),
        "consistency": estimate_with_interval(Estimate(**one["consistency"])),
        "position bias": estimate_with_interval(Estimate(**one["position_bias"])),
        "failed": _failures(one["failures"]),
        **without_leaks(one),
    }


def _turns(by_turn: Mapping[int, Mapping[str, Any]], turns: Sequence[int]) -> dict[str, str]:
    return {
        f"turn {turn}": shown(by_turn[turn]["value"], ".2f") if turn in by_turn else UNDEFINED
        for turn in turns
    }


def _failures(failures: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {cause}" for cause, count in failures.items()) or "0"


def _category_row(name: str, speakers: Mapping[str, Any]) -> dict[str, str]:
    found = {
        f"`{speaker}`": estimate_with_interval(Estimate(**one["by_category"][name]))
        if name in one["by_category"]
        else UNDEFINED
        for speaker, one in speakers.items()
    }
    return {"category": f"`{printable(name).replace(chr(96), chr(39))}`", **found}


def _between_row(pair: str, one: Mapping[str, Any]) -> dict[str, str]:
    return {
        "pair": f"`{pair}`",
        "difference": estimate_with_interval(Estimate(**one["difference"])),
        "questions": str(one["prompts"]),
        "p, Holm": shown(one["verdict"]["p_holm"], ".2g"),
        "verdict": one["verdict"]["verdict"],
    }
