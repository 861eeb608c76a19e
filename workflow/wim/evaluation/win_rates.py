"""The figures of an evaluation by win rates: every speaker against the reference."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import Any

from wim.errors import UserError
from wim.evaluation.compared.bradley_terry import Game, NoStrengthsError, bradley_terry
from wim.evaluation.compared.length_controlled import Variant, length_controlled
from wim.evaluation.compared.outcomes import Outcome, score_by_prompt
from wim.evaluation.compared.paired import Difference, difference, difference_from
from wim.evaluation.compared.verdicts import verdicts
from wim.evaluation.compared.win_rate import by_category, win_rate
from wim.evaluation.formats.alpaca_eval import read_difficulties, read_gamed, read_instructions
from wim.evaluation.worth import Worth
from wim.prompts.messages import clean_text

EVEN = 0.5


def win_rates(
    speakers: Sequence[str],
    outcomes: Mapping[str, Sequence[Outcome]],
    leaked: Mapping[str, str],
    control: Mapping[Variant, Mapping[str, Any]],
    worth: Worth | None,
    seed: int,
) -> dict[str, Any]:
    """The figures of each speaker against the reference, and of every two against each other."""
    reference = speakers[0]
    scores = {speaker: score_by_prompt(of) for speaker, of in outcomes.items()}
    against = {speaker: difference_from(of, EVEN, seed) for speaker, of in scores.items()}
    found = verdicts(against, reference)
    figures = {
        speaker: {
            **asdict(win_rate(of, seed)),
            "length_controlled": {
                variant: asdict(length_controlled(variant, of, seed, **needed))
                for variant, needed in control.items()
            },
            "verdict": asdict(found[speaker]),
            **({"corrected": asdict(worth.corrected(of, seed).corrected)} if worth else {}),
            **_without_leaks(of, leaked, seed),
            "by_category": {
                name: asdict(each.win_rate) for name, each in by_category(of, seed).items()
            },
        }
        for speaker, of in outcomes.items()
    }
    between = {
        f"{one} - {other}": difference(scores[one], scores[other], seed)
        for one, other in combinations(outcomes, 2)
    }
    return {
        "speakers": figures,
        "between": _compared(between),
        "strengths": _strengths(reference, outcomes, seed),
        "worth": {"labels": worth.labels, "accuracy": asdict(worth.accuracy())} if worth else None,
    }


def length_control(
    files: Sequence[str], prompts: Sequence[Mapping[str, Any]]
) -> dict[Variant, dict[str, Any]]:
    """What each variant of length control that can be fitted needs; `minimal` needs nothing.

    Difficulties are joined to prompts by the text of the instruction, never by place.
    """
    needed: dict[Variant, dict[str, Any]] = {"minimal": {}}
    if not files:
        return needed
    instructions, hard = read_instructions(Path(files[0])), read_difficulties(Path(files[1]))
    if len(instructions) != len(hard):
        raise UserError(
            f"{files[0]} has {len(instructions)} instructions and {files[1]} {len(hard)} "
            "difficulties; write files with one for each."
        )
    known = dict(zip(map(clean_text, instructions), hard, strict=True))
    texts = {row["prompt_id"]: clean_text(row["messages"][-1]["content"]) for row in prompts}
    difficulties = {prompt: known[text] for prompt, text in texts.items() if text in known}
    if not difficulties:
        raise UserError(
            f"{files[0]}: none of its instructions is a prompt of the evaluation; leave instructions "
            "and difficulties out, or name the prompts' own."
        )
    needed["noreg"] = {"difficulties": difficulties}
    if len(files) > 2:
        needed["v1"] = {"difficulties": difficulties, "gamed": read_gamed(Path(files[2]))}
    return needed


def _without_leaks(
    outcomes: Sequence[Outcome], leaked: Mapping[str, str], seed: int
) -> dict[str, Any]:
    """The win rate without the prompts that leak; nothing where none does."""
    if not leaked:
        return {}
    rest = [each for each in outcomes if each.prompt_id not in leaked]
    return {"without_leaks": asdict(win_rate(rest, seed).win_rate)}


def _compared(between: Mapping[str, Difference]) -> dict[str, Any]:
    """The paired differences of two speakers each, with what they show."""
    said = verdicts(between, "the other")
    return {pair: {**asdict(each), "verdict": asdict(said[pair])} for pair, each in between.items()}


def _strengths(
    reference: str, outcomes: Mapping[str, Sequence[Outcome]], seed: int
) -> dict[str, Any] | None:
    """Bradley-Terry strengths with the reference's at 0; None for a single speaker.

    Where they are not decided, `undecided` says why.
    """
    if len(outcomes) < 2:
        return None
    games = [
        Game(prompt_id=each.prompt_id, first=speaker, second=reference, score=each.score)
        for speaker, of in outcomes.items()
        for each in of
        if each.score is not None
    ]
    try:
        return asdict(bradley_terry(games, seed, anchor=reference))
    except NoStrengthsError as error:
        return {"undecided": str(error)}
