"""A table of pairs as the tokens that preferences and reward models are trained on."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wim.dialogues.conversations import reasoned_answer
from wim.engines.turn_format import Turn
from wim.errors import UserError
from wim.settings.dialogues import Reasoning
from wim.tables.files import read_table
from wim.tables.schemas import CUT, PAIRS
from wim.training.turns import TrainedTurns

if TYPE_CHECKING:
    from datasets import Dataset

SIDES = ("chosen", "rejected")
IDS = ("prompt_id", "chosen_id", "rejected_id")
OF_TURNS = ("finish_reason", "reasoning", "tokens")
Tokenise = Callable[[Mapping[str, Any]], dict[str, Any]]


def preference_splits(pairs: Path, tokens_of: Tokenise) -> "tuple[Dataset, Dataset]":
    """The pairs to train on, and those held out.

    Args:
        pairs: The table.
        tokens_of: TRL's columns of token ids of a row.

    Returns:
        Datasets of these columns, and the ids of each pair.

    Raises:
        UserError: There is no pair to train on.
    """
    import pyarrow.compute as pc
    from datasets import Dataset

    of_turns = [f"{side}_{column}" for side in SIDES for column in OF_TURNS]
    table = read_table(pairs, PAIRS, ["prompt", *SIDES, *IDS, *of_turns, "split"])
    train, held_out = (
        Dataset.from_list(
            [
                {**tokens_of(row), **{name: row[name] for name in IDS}}
                for row in table.filter(pc.equal(table["split"], split)).to_pylist()
            ]
        )
        for split in ("train", "eval")
    )
    if not len(train):
        raise UserError(f"{pairs}: no row has the split 'train'; nothing to train on.")
    return train, held_out


def pair_tokens(row: Mapping[str, Any], turns: TrainedTurns) -> dict[str, list[int]]:
    """The ids of a pair's prompt and of both completions."""
    said = [turns.turn(row, _answer(row, side), f"{side}_") for side in SIDES]
    prompt, (chosen, rejected) = turns.tokens(row["prompt"], *said)
    return {"prompt_ids": prompt, "chosen_ids": chosen, "rejected_ids": rejected}


def conversation_tokens(row: Mapping[str, Any], turns: TrainedTurns) -> dict[str, list[int]]:
    """The ids of a pair's two conversations, as judges read them: a reward model is one."""
    return {
        f"{side}_ids": turns.conversation(row["prompt"], _as_judged(row, side, turns.reasoning))
        for side in SIDES
    }


def _as_judged(row: Mapping[str, Any], side: str, reasoning: Reasoning) -> Turn:
    thought = row[f"{side}_reasoning"] if reasoning == "judged" else None
    return Turn(
        reasoned_answer(thought, _answer(row, side)),
        finished=row[f"{side}_finish_reason"] != CUT,
        drawn=row[f"{side}_tokens"],
    )


def _answer(row: Mapping[str, Any], side: str) -> str:
    (message,) = row[side]
    return str(message["content"])
