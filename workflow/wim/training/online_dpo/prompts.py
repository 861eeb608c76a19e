"""The prompts of an online training, as the texts that its model continues."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wim.dialogues.context import conversation
from wim.engines.chat_format import Refusal
from wim.errors import UserError
from wim.settings.dialogues import DialogueSettings
from wim.training.turns import TrainedTurns

if TYPE_CHECKING:
    from datasets import Dataset

logger = logging.getLogger(__name__)


def prompt_dataset(
    prompts: Sequence[Path],
    dialogues: DialogueSettings,
    max_length: int,
    turns: TrainedTurns,
    sft_prompts: float | None = None,
) -> "Dataset":
    """The prompts of the train split that leave room for a completion, sorted by their ids.

    Args:
        prompts: All shards of the prompts.
        dialogues: How completions are sampled.
        max_length: The most tokens of a prompt with its completion.
        turns: Those of the model, as they are trained.
        sft_prompts: The share of the prompts that is left out, as the model was fine-tuned on them.

    Returns:
        Rows of prompt_id, `context` (messages as in dialogues) and `prompt` (the text that the
        model continues).

    Raises:
        UserError: No prompt leaves room for a completion.
    """
    from datasets import Dataset

    from wim.prompts.splits import is_for_sft
    from wim.tables.files import read_tables
    from wim.tables.schemas import PROMPTS

    rows, left_out = [], 0
    refused: list[str] = []
    longest = turns.turns.chat.room + dialogues.sampling.max_new_tokens
    for row in read_tables(prompts, PROMPTS, ["prompt_id", "messages", "split"]).to_pylist():
        if row["split"] != "train":
            continue
        if sft_prompts is not None and is_for_sft(row["prompt_id"], sft_prompts):
            continue
        context = conversation(row["messages"], dialogues.system, dialogues.system_as)
        try:
            prompt = turns.prompt(context)
        except Refusal as reason:
            refused.append(str(reason))
            continue
        if len(turns.turns.chat.tokens(prompt)) + longest > max_length:
            left_out += 1
            continue
        rows.append({"prompt_id": row["prompt_id"], "context": context, "prompt": prompt})
    if refused:
        logger.warning("online_dpo: %d prompts left out; the first: %s", len(refused), refused[0])
    if not rows and not left_out and refused:
        raise UserError(f"online_dpo: all {len(refused)} prompts are left out: {refused[0]}")
    if not rows:
        raise UserError(
            f"online_dpo: none of {left_out} prompts of the train split leaves room for "
            f"{longest} tokens in training.max_length {max_length}; raise it, or lower "
            "dialogues.sampling.max_new_tokens or the model's thinking."
        )
    logger.info("online_dpo: %d prompts; %d too long and left out", len(rows), left_out)
    return Dataset.from_list(sorted(rows, key=lambda row: str(row["prompt_id"])))
