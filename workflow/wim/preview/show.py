"""What a preview found, printed as a person reads it."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from wim.preview.stages import Previewed
from wim.tables.schemas import CUT, Message

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

# Characters that act on a terminal, or turn the direction of what follows round.
UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """A text in which such characters are named and do nothing."""
    return UNSEEN.sub(lambda found: f"<U+{ord(found[0]):04X}>", text)


def show_preview(found: Previewed, console: "Console") -> None:
    """Print every prompt with its candidates, what judges said of them, and their rewards."""
    from rich.rule import Rule

    for place, prompt in enumerate(found.prompts, start=1):
        console.print(Rule(f"Prompt {place} of {len(found.prompts)}"))
        own = [row for row in found.candidates if row["prompt_id"] == prompt.prompt_id]
        context: list[Message] | None = None
        for row in own:
            if row["context"] != context:
                context = row["context"]
                for message in row["context"]:
                    console.print(_panel(_text(message["content"]), message["role"], "dim"))
            console.print(_panel(_group(_parts(found, row)), _title(row), "blue"))


def _title(row: dict[str, Any]) -> str:
    cut = ", cut at its longest" if row["finish_reason"] == CUT else ""
    turn = f"turn {row['turn']}, " if row["turn"] > 1 else ""
    return f"{turn}candidate {row['sample'] + 1}: {row['completion_tokens']} tokens{cut}"


def _parts(found: Previewed, row: dict[str, Any]) -> "Iterator[RenderableType]":
    name = row["candidate_id"]
    if row["reasoning"]:
        yield _panel(_text(row["reasoning"]), "reasoning", "dim")
    yield _text(row["completion"] or "(empty)")
    for judge, ratings in found.ratings.items():
        if name in ratings:
            yield _judgement(judge, ratings[name])
    rewards = {reward: of[name] for reward, of in found.rewards.items() if name in of}
    if rewards:
        yield _rewards(rewards)


def _judgement(judge: str, rating: dict[str, Any]) -> "RenderableType":
    numbers = [
        f"{word} {rating[key]:.{digits}f}"
        for key, word, digits in (("rating", "rating", 0), ("rating_expected", "expected", 2))
        if rating[key] is not None
    ]
    said = rating["wim"] if rating["wim"] is not None else rating["raw"]
    title = f"judge {judge}: {', '.join([rating['status'], *numbers])}"
    return _panel(_text(said or "(no words)"), title, "magenta")


def _rewards(rewards: dict[str, dict[str, Any]]) -> "RenderableType":
    from rich.table import Table

    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, row in rewards.items():
        value = f"none: {row['status']}" if row["reward"] is None else f"{row['reward']:.3f}"
        table.add_row(_text(name), _text(value))
    return table


def _text(text: str) -> "Text":
    from rich.text import Text

    return Text(printable(text))


def _panel(content: "RenderableType", title: str, style: str) -> "RenderableType":
    from rich.panel import Panel

    return Panel(content, title=_text(title), title_align="left", border_style=style)


def _group(parts: "Iterator[RenderableType]") -> "RenderableType":
    from rich.console import Group

    return Group(*parts)
