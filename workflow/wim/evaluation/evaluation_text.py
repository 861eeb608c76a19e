"""The page of an evaluation: verdicts first, then the figures that they follow from."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from wim.display.markdown import estimate_with_interval, markdown_table, shown
from wim.evaluation.frontier_text import frontier_parts
from wim.evaluation.leaks import KINDS
from wim.evaluation.question_text import (
    category_parts,
    question_answer_rows,
    question_parts,
    without_leaks,
)
from wim.statistics import Estimate

NO_SCORE = "0"


def evaluation_text(figures: Mapping[str, Any]) -> str:
    """The page in Markdown."""
    by = f", by `{figures['by']}`" if figures["by"] else ""
    questions = figures["kind"] == "mt_bench"
    parts = [
        f"# Evaluation: {figures['evaluation']}",
        f"{figures['prompts']} {'questions' if questions else 'prompts'}; every speaker against `{figures['reference']}`{by}. "
        f"Intervals are of 95 %, over {'questions' if questions else 'prompts'}.",
    ]
    parts += _leaks(figures["leaks"])
    parts += PARTS[figures["kind"]](figures)
    parts += _divergences(figures["kl"])
    rows = question_answer_rows(figures) if questions else _answer_rows(figures)
    parts += ["## Answers", markdown_table(list(rows))]
    return "\n\n".join(parts)


def _leaks(leaks: Mapping[str, Any]) -> Iterator[str]:
    counts = {kind: leaks[kind] for kind in KINDS if kind in leaks}
    if not counts:
        return
    done = {"report": "are in these figures", "drop": "are left out of them"}[leaks["what"]]
    named = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    yield (
        f"> **{sum(counts.values())} prompts stand in what was trained on** ({named}) and {done}: "
        f"`{leaks['file']}`."
    )


def _win_rates(figures: Mapping[str, Any]) -> Iterator[str]:
    speakers = figures["speakers"]
    yield _sentences(speakers)
    yield markdown_table([_win_row(name, one) for name, one in speakers.items()])
    yield (
        "A tie counts half. Consistency: the share of comparisons with the same outcome in both "
        "orders; position bias: how much more often the answer shown first wins. Length-controlled "
        "(`minimal`): the win rate that answers of equal length would have."
    )
    if worth := figures["worth"]:
        accuracy = estimate_with_interval(Estimate(**worth["accuracy"]))
        yield (
            f"On the {worth['accuracy']['n']} labelled pairs of {worth['labels']} that it judged, "
            f"`{figures['by']}` is right on {accuracy}. Corrected: the win rate with errors as "
            "frequent as there taken out, in either direction alike; undefined for a judge that is "
            "not shown to beat a coin."
        )
    else:
        yield (
            f"How often `{figures['by']}` agrees with people is not known; `gate.pairs` measures it."
        )
    yield from category_parts(speakers)
    if figures["between"]:
        yield "## Speakers against each other"
        yield markdown_table([_between_row(pair, one) for pair, one in figures["between"].items()])
    strengths = figures["strengths"]
    if strengths and "undecided" in strengths:
        yield f"Bradley-Terry strengths are not decided: {strengths['undecided']}"
    elif strengths:
        yield "Bradley-Terry strengths, in log-odds:"
        yield markdown_table(
            [
                {"speaker": f"`{name}`", "strength": estimate_with_interval(Estimate(**one))}
                for name, one in strengths["strengths"].items()
            ]
        )


def _rewards(figures: Mapping[str, Any]) -> Iterator[str]:
    for reward, speakers in figures["rewards"].items():
        yield f"## Reward: {reward}"
        yield _sentences(speakers)
        yield markdown_table([_reward_row(name, one) for name, one in speakers.items()])


def _frontier(figures: Mapping[str, Any]) -> Iterator[str]:
    yield from frontier_parts(figures)
    yield from _rewards(figures)


def _divergences(kl: Mapping[str, Any]) -> Iterator[str]:
    if not kl:
        return
    yield "## How far from where the training started"
    yield markdown_table(
        [
            {
                "speaker": f"`{speaker}`",
                "KL of an answer": estimate_with_interval(Estimate(**one["answer"])),
                "of a token": shown(one["token"], ".3g"),
                "reverse, with prompts": shown(one["reverse_token"], ".3g"),
            }
            for speaker, one in kl.items()
        ]
    )
    yield (
        "In nats, KL(policy || start) on the policy's own answers; reverse is KL(start || policy) per "
        "token of prompts and answers. The figure has what was gained against it."
    )


def _sentences(speakers: Mapping[str, Any]) -> str:
    said = [f"- **{one['verdict']['words']}**" for one in speakers.values() if "verdict" in one]
    return "\n".join(said)


def _win_row(name: str, one: Mapping[str, Any]) -> dict[str, str]:
    controlled = {
        f"length-controlled, {variant}": estimate_with_interval(Estimate(**each["win_rate"]))
        for variant, each in one["length_controlled"].items()
    }
    failures = ", ".join(f"{count} {cause}" for cause, count in one["failures"].items())
    return {
        "speaker": f"`{name}`",
        "win rate": estimate_with_interval(Estimate(**one["win_rate"])),
        **controlled,
        **(
            {"corrected": estimate_with_interval(Estimate(**one["corrected"]))}
            if "corrected" in one
            else {}
        ),
        "wins / ties / losses": f"{one['wins']} / {one['ties']} / {one['losses']}",
        "equal answers": str(one["identical"]),
        "consistency": estimate_with_interval(Estimate(**one["consistency"])),
        "position bias": estimate_with_interval(Estimate(**one["position_bias"])),
        "with length": estimate_with_interval(Estimate(**one["length_correlation"])),
        "characters": f"{shown(one['length'], '.0f')} / {shown(one['reference_length'], '.0f')}",
        "failed": failures or NO_SCORE,
        **without_leaks(one),
    }


def _between_row(pair: str, one: Mapping[str, Any]) -> dict[str, str]:
    return {
        "pair": f"`{pair}`",
        "difference of win rates": estimate_with_interval(Estimate(**one["difference"])),
        "prompts": str(one["common"]),
        "p, Holm": shown(one["verdict"]["p_holm"], ".2g"),
        "verdict": one["verdict"]["verdict"],
    }


def _reward_row(name: str, one: Mapping[str, Any]) -> dict[str, str]:
    nothing = {"difference": {"value": None, "low": None, "high": None, "n": 0}}
    return {
        "speaker": f"`{name}`",
        "mean": estimate_with_interval(Estimate(**one["mean"])),
        "minus the reference": estimate_with_interval(
            Estimate(**one.get("difference", nothing)["difference"])
        ),
        "n": str(one["mean"]["n"]),
        "failed": str(one["failed"]),
        **without_leaks(one),
    }


def _answer_rows(figures: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    for speaker, missing in figures["unanswered"].items():
        yield {
            "speaker": f"`{speaker}`",
            "tokens": estimate_with_interval(Estimate(**figures["tokens"][speaker])),
            "without an answer": str(missing),
        }


PARTS: Mapping[str, Callable[[Mapping[str, Any]], Iterator[str]]] = {
    "win_rate": _win_rates,
    "reward": _rewards,
    "frontier": _frontier,
    "mt_bench": question_parts,
}
