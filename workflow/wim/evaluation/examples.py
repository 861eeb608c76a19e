"""Examples on an evaluation's page: the clearest wins and losses, with the judge's words."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wim.evaluation.speakers import (
    Answers,
    compared_pairs,
    rewards_by_candidate,
    table_rows,
)
from wim.judging.pairwise import pair_id_of
from wim.tables.schemas import COMPARISONS, RATINGS

# Of each speaker's wins, and of its losses; the characters of a text that are shown.
EACH, SHOWN = 5, 600


@dataclass(frozen=True)
class Example:
    """A speaker's answer and the reference's, and by how much the speaker's won.

    Attributes:
        prompt: The prompt's last message.
        texts: The speaker's answer and the reference's.
        margin: Above 0 for a win: of probabilities beyond 1/2, or of rewards.
        words: What judges said of each answer, by judge; empty for judges that say none.
    """

    prompt: str
    texts: tuple[str, str]
    margin: float
    words: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {})


def clearest(
    speaker: Answers,
    reference: Answers,
    margins: Mapping[str, float],
    prompts: Mapping[str, str],
    words: Mapping[str, Mapping[str, str]],
) -> list[Example]:
    """The widest wins, then the widest losses; the same margin in the order of the prompts' ids.

    Args:
        speaker: Its answers by prompt.
        reference: The reference's.
        margins: By how much the speaker's answer won, by prompt.
        prompts: The last message of each prompt.
        words: What judges said, by candidate and judge.
    """
    won = sorted((p for p in margins if margins[p] > 0), key=lambda p: (-margins[p], p))
    lost = sorted((p for p in margins if margins[p] < 0), key=lambda p: (margins[p], p))
    return [
        Example(
            prompt=prompts[prompt],
            texts=(speaker[prompt].text, reference[prompt].text),
            margin=margins[prompt],
            words=(
                words.get(speaker[prompt].candidate_id, {}),
                words.get(reference[prompt].candidate_id, {}),
            ),
        )
        for prompt in [*won[:EACH], *lost[:EACH]]
    ]


def margins_of_pairs(
    comparisons: Sequence[str], speaker: Answers, reference: Answers
) -> dict[str, float]:
    """How far beyond 1/2 a judge of pairs prefers the speaker's answers, by prompt."""
    rows = table_rows(comparisons, COMPARISONS, ["pair_id", "preference_a"])
    of = {row["pair_id"]: row["preference_a"] for row in rows}
    found = {
        prompt: of.get(pair_id_of(own.candidate_id, other.candidate_id))
        for prompt, own, other in compared_pairs(speaker, reference)
    }
    return {prompt: value - 0.5 for prompt, value in found.items() if value is not None}


def margins_of_rewards(
    tables: tuple[str, str], speaker: Answers, reference: Answers
) -> dict[str, float]:
    """The differences of rewards, by prompt. tables: the speaker's rewards and the reference's."""
    ours, theirs = map(rewards_by_candidate, tables)
    found = {}
    for prompt, own, other in compared_pairs(speaker, reference):
        a, b = ours[own.candidate_id].reward, theirs[other.candidate_id].reward
        if a is not None and b is not None:
            found[prompt] = a - b
    return found


def words_of_judges(ratings: Sequence[str]) -> dict[str, dict[str, str]]:
    """What judges said is missing, by candidate and judge."""
    found: dict[str, dict[str, str]] = {}
    for row in table_rows(ratings, RATINGS, ["candidate_id", "judge", "wim", "rating"]):
        if row["wim"] is not None:
            number = "" if row["rating"] is None else f"{row['rating']}: "
            found.setdefault(row["candidate_id"], {})[row["judge"]] = number + row["wim"]
    return found


def examples_text(examples: Mapping[str, Sequence[Example]], reference: str) -> list[str]:
    """The examples of each speaker in Markdown, their texts as code, which nothing in them ends."""
    parts: list[str] = []
    for speaker, own in examples.items():
        if own:
            parts.append(f"## Examples: `{speaker}` against `{reference}`")
        for one in own:
            parts.append(f"### {'Win' if one.margin > 0 else 'Loss'} by {abs(one.margin):.2f}")
            parts += ["Prompt:", _code(one.prompt)]
            for name, text, said in zip((speaker, reference), one.texts, one.words, strict=True):
                parts += [f"`{name}`:", _code(text)]
                for judge, words in said.items():
                    parts += [f"`{judge}` of it:", _code(words)]
    return parts


def _code(text: str) -> str:
    """A text as a block of code; the fence is longer than any in the text."""
    cut = text if len(text) <= SHOWN else text[:SHOWN] + " [...]"
    longest = max((len(run) for run in re.findall("`+", cut)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{cut}\n{fence}"
