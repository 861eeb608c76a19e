"""What was said as the tokens that are trained on, and a check that a chat template allows it."""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from wim.engines.turn_format import ANSWERED, ASKED, Turn, TurnFormat
from wim.errors import UserError
from wim.settings.dialogues import Reasoning
from wim.tables.schemas import CUT, Message

logger = logging.getLogger("wim.training")


class TrainedTurns:
    """The tokens of prompts and turns in one training.

    Args:
        turns: Those of the model that is trained.
        reasoning: What becomes of reasoning; see DialogueSettings.reasoning.
    """

    def __init__(self, turns: TurnFormat, reasoning: Reasoning = "trained") -> None:
        self.turns = turns
        self.reasoning = reasoning
        self.counts: Counter[str] = Counter()

    def prompt(self, context: Iterable[Message]) -> str:
        """The text that the model continues, as in generating."""
        return self.turns.chat.prompt(context, answer=self.reasoning == "left_out")

    def tokens(self, context: Iterable[Message], *turns: Turn) -> tuple[list[int], list[list[int]]]:
        """The ids of a prompt, and those of each turn behind it."""
        prompt = self.prompt(context)
        completions = [self._counted(turn, self.turns.completion(prompt, turn)) for turn in turns]
        return self.turns.chat.tokens(prompt), completions

    def conversation(self, context: Iterable[Message], turn: Turn) -> list[int]:
        """The ids of a conversation with its last turn, as a reward model reads it."""
        return self._counted(turn, self.turns.conversation(context, turn))

    def _counted(self, turn: Turn, found: tuple[list[int], bool]) -> list[int]:
        tokens, drawn = found
        self.counts["as drawn" if drawn else "as text"] += 1
        self.counts["cut"] += not turn.finished
        return tokens

    def turn(self, row: Mapping[str, Any], completion: str, side: str = "") -> Turn:
        """The turn of a row, by its columns finish_reason, reasoning and tokens.

        Args:
            row: Of a table.
            completion: The text of its answer.
            side: What these columns begin with.
        """
        return Turn(
            completion,
            finished=row[f"{side}finish_reason"] != CUT,
            reasoning=None if self.reasoning == "left_out" else row[f"{side}reasoning"],
            drawn=row[f"{side}tokens"],
        )

    def log(self, name: str) -> None:
        """Say how many completions are trained as they were drawn, and how many were cut."""
        logger.info(
            "%s: %d completions as they were drawn, %d as their text; %d were cut, and have no end "
            "of a turn",
            name,
            *(self.counts[count] for count in ("as drawn", "as text", "cut")),
        )


def checked_turns(turns: TurnFormat, name: str, model: str) -> TurnFormat:
    """The turns of a model that can be trained, with what the check compared in the log.

    Args:
        turns: Those of the model.
        name: The method, for the log.
        model: Where the model is, for errors.

    Raises:
        UserError: The chat template refuses a turn of the assistant's, leaves out what was said, or
            begins no turn to be continued; or nothing ends a turn.
    """
    chat, asked = turns.chat, [Message(role="user", content=ASKED)]
    try:
        rendered, ending = turns.rendered, turns.ending
        if rendered.before.strip() and chat.rendered(asked) == chat.rendered(asked, begun=False):
            raise UserError(
                f"the chat template writes {rendered.before!r} before an answer, but not at the "
                "end of a prompt, where add_generation_prompt asks for it"
            )
    except UserError as error:
        raise UserError(
            f"{model}: {error}, so that what is trained could not be what is generated. Take "
            "another model, or correct chat_template.jinja in its folder."
        ) from error
    said = Turn(ANSWERED)
    prompt = chat.prompt(asked)
    ours = prompt + chat.tokenizer.decode(turns.completion(prompt, said)[0])
    theirs = chat.rendered([*asked, Message(role="assistant", content=ANSWERED)], begun=False)
    same = theirs.startswith(ours)
    logger.info(
        "%s: a turn is trained as it is generated and ends with %r; %s",
        name,
        chat.tokenizer.decode(ending),
        "the chat template's own is the same"
        if same
        else f"the chat template's own differs: {_from_difference(theirs, ours)!r} for "
        f"{_from_difference(ours, theirs)!r}",
    )
    if ending[-1] not in chat.tokens(rendered.after):
        logger.warning(
            "%s: the chat template writes %r behind an answer, and no token that ends a turn in "
            "generating; completions may go on behind it",
            name,
            rendered.after,
        )
    return turns


def _from_difference(text: str, other: str) -> str:
    """A text from where it differs from another one."""
    alike = next(
        (place for place, (a, b) in enumerate(zip(text, other, strict=False)) if a != b),
        min(len(text), len(other)),
    )
    return text[alike:]
