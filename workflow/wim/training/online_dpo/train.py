"""Online DPO (Guo et al. 2024, arXiv 2402.04792): pairs drawn from the model while it trains.

What the model draws is labelled by the arm's own judge, encoder and reward, through the row store
of their stages. So the tables that are written at the end are those of the stages, made by the
same functions, and every label can be traced to the judge's words.
"""

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wim.dialogues.generate import conversation
from wim.errors import UserError
from wim.settings.dialogues import DialogueSettings
from wim.settings.pairs import PairSettings
from wim.settings.training import TrainingSettings
from wim.training.online_dpo.labels import Labelling
from wim.training.online_dpo.rewards import Rewarding, Rewards, open_rewards
from wim.training.run.processes import rank
from wim.training.run.run import training_code, write_trained
from wim.training.run.setup import Prepared, Run
from wim.training.run.weights import open_language_model

if TYPE_CHECKING:
    from datasets import Dataset


logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class OnlineTables:
    """Where the tables of what was drawn go: those of the stages, and the pairs' exclusions."""

    dialogues: Path
    ratings: Path
    rewards: Path
    pairs: Path
    exclusions: Path


def train_online_dpo(
    prompts: Sequence[Path],
    dialogues: DialogueSettings,
    rewarding: Rewarding,
    pairing: PairSettings,
    settings: TrainingSettings,
    names: dict[str, Any],
    upstream_settings: dict[str, Any],
    sft_prompts: float | None,
    run: Run,
    tables: OnlineTables,
) -> None:
    """Train on completions that the model draws for the prompts of the train split.

    dialogues: how they are drawn. names: the `arm`, `round` and `reward`. upstream_settings: those that made
    the labels, for the card. sft_prompts: the share of the prompts that the model was fine-tuned on,
    which are left out here. Writes the checkpoint (see wim.training.run.run) and the tables. Raises
    UserError if no prompt leaves room for a completion, or nothing that was drawn could be labelled.
    """
    from wim.models.manifest import read_manifest
    from wim.provenance.digest import digest_file, digest_of

    told = {
        "sampling": dialogues.sampling.model_dump(mode="json"),
        "system": dialogues.system,
        "judge": rewarding.settings.identity(),
        "reward": rewarding.reward.identity(rewarding.seed),
        "pairs": pairing.model_dump(mode="json"),
        "sft_prompts": sft_prompts,
    }
    digests = {
        "prompts": digest_of([digest_file(path) for path in prompts]),
        "judge model": rewarding.model.digest,
        "judge templates": digest_of([digest_file(path) for path in rewarding.templates]),
        "labelling": digest_of(told),
    }
    for path in rewarding.encoder:
        digests["encoder"] = read_manifest(path).digest
    story = {
        **names,
        "kind": "online_dpo",
        "title": f"arm {names['arm']}, round {names['round']}",
        "settings": upstream_settings,
        "digests": digests,
    }
    with ExitStack() as opened:
        rewards = opened.enter_context(open_rewards(rewarding))
        make = partial(
            _trainer, prompts, dialogues, settings, sft_prompts, rewards, pairing, opened
        )
        report = partial(_write_tables, prompts, rewarding, pairing, names, tables)
        write_trained(run, settings, story, online_code(), open_language_model, make, report)


# What draws the pairs of an online training, and labels them.
DRAWN_AND_JUDGED_BY = (
    "wim.engines",
    "wim.judging",
    "wim.embedding",
    "wim.rewards",
    "wim.pairs",
)


def online_code() -> str:
    """The digest of the code that decides the outcome of a training."""
    return training_code(Path(__file__), *DRAWN_AND_JUDGED_BY)


def _trainer(
    prompts: Sequence[Path],
    dialogues: DialogueSettings,
    settings: TrainingSettings,
    sft_prompts: float | None,
    rewards: Rewards,
    pairing: PairSettings,
    opened: ExitStack,
    prepared: Prepared,
) -> Any:
    from trl.experimental.online_dpo import OnlineDPOConfig

    from wim.training.online_dpo.trainer import OnlineTrainer
    from wim.training.run.callbacks import AtTheEnd

    tokenizer, working = prepared.parts["processing_class"], Path(prepared.arguments["output_dir"])
    sampling = dialogues.sampling
    rows = prompt_dataset(prompts, dialogues, settings.max_length, tokenizer, sft_prompts)
    contexts = dict(zip(rows["prompt_id"], rows["context"], strict=True))
    labelling = Labelling(
        *(rewards, pairing, contexts, prepared.arguments["seed"]),
        *(working / "drawn", rank()),
    )
    # What was judged is in the store before the tables are written from it.
    prepared.parts["callbacks"].append(AtTheEnd(opened.close))
    return prepared.trainer(
        (OnlineTrainer, OnlineDPOConfig),
        (rows.remove_columns("context"), rows.select([])),
        {
            "loss_type": settings.loss,
            "beta": settings.beta,
            "max_new_tokens": sampling.max_new_tokens,
            "temperature": sampling.temperature,
            "top_k": sampling.top_k,
            "top_p": sampling.top_p,
        },
        labelling=labelling,
    )


def prompt_dataset(
    prompts: Sequence[Path],
    dialogues: DialogueSettings,
    max_length: int,
    tokenizer: Any,
    sft_prompts: float | None = None,
) -> "Dataset":
    """The prompts of the train split: prompt_id, `context` as in dialogues, and `prompt` as TRL's.

    In the latter no text is read as a special token. Prompts that leave no room for a completion
    are left out and counted; UserError if none is left.
    """
    from datasets import Dataset

    from wim.engines.special_tokens import escaped_messages, special_token_pattern
    from wim.prompts.splits import is_for_sft
    from wim.tables.files import read_tables
    from wim.tables.schemas import PROMPTS

    special = special_token_pattern(str(each) for each in tokenizer.added_tokens_decoder.values())
    rows = []
    left_out, longest = 0, dialogues.sampling.max_new_tokens
    for row in read_tables(prompts, PROMPTS, ["prompt_id", "messages", "split"]).to_pylist():
        if row["split"] != "train":
            continue
        if sft_prompts is not None and is_for_sft(row["prompt_id"], sft_prompts):
            continue
        context = conversation(row["messages"], dialogues.system)
        prompt = escaped_messages(context, special)
        tokens = tokenizer.apply_chat_template(
            prompt, add_generation_prompt=True, return_dict=False
        )
        if len(tokens) + longest > max_length:
            left_out += 1
            continue
        rows.append({"prompt_id": row["prompt_id"], "context": context, "prompt": prompt})
    if not rows:
        raise UserError(
            f"online_dpo: none of {left_out} prompts of the train split leaves room for "
            f"{longest} tokens in training.max_length {max_length}; raise it, or lower "
            "dialogues.sampling.max_new_tokens."
        )
    logger.info("online_dpo: %d prompts; %d too long and left out", len(rows), left_out)
    return Dataset.from_list(sorted(rows, key=lambda row: str(row["prompt_id"])))


def _write_tables(
    prompts: Sequence[Path],
    told: Rewarding,
    pairing: PairSettings,
    names: dict[str, Any],
    tables: OnlineTables,
    trainer: Any,
    _: Path,
) -> None:
    """The tables of everything that was drawn, by the stages' own functions, from their stores."""
    import pyarrow as pa

    from wim.embedding.embed import embed_critiques
    from wim.judging.rate import rate_candidates
    from wim.pairs.by_reward import pair_candidates
    from wim.rewards.score import score_candidates
    from wim.tables.files import read_table, write_table
    from wim.tables.schemas import DIALOGUES

    drawn = Path(trainer.args.output_dir) / "drawn"
    parts = [
        read_table(path, DIALOGUES)
        for path in sorted(drawn.glob("*.parquet"))
        if int(path.name.split("-")[0]) < trainer.state.max_steps
    ]
    write_table(tables.dialogues, DIALOGUES, pa.concat_tables(parts))
    rate_candidates(
        *(tables.dialogues, told.model, list(told.templates), told.judge, told.settings),
        *(told.seed, tables.ratings),
    )
    embeddings = [drawn / "embeddings" for _ in told.encoder]
    for manifest, path in zip(told.encoder, embeddings, strict=True):
        embed_critiques(
            *(tables.dialogues, tables.ratings, manifest, told.judge, told.model.batch_size),
            *(told.encoder_store, path, told.model.scratch),
        )
    score_candidates(
        [tables.dialogues], [tables.ratings], embeddings, told.reward, tables.rewards, told.seed
    )
    speaker = {"policy": f"{names['arm']}-online", "judge": told.judge, "reward": names["reward"]}
    pair_candidates(
        *(prompts, [tables.dialogues], tables.rewards, pairing, speaker, trainer.args.seed),
        *(tables.pairs, tables.exclusions),
    )
