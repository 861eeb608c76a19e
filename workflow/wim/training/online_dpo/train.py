"""Online DPO (Guo et al. 2024, arXiv 2402.04792): pairs sampled from the model while it trains.

Completions that the model samples are labelled by the arm's own judge, encoder and reward, through
the row store of their stages. So the tables that are written at the end are those of the stages,
made by the same functions, and every label can be traced to the judge's raw text.
"""

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from wim.dialogues.context import conversation
from wim.errors import UserError
from wim.settings.dialogues import DialogueSettings
from wim.settings.pairs import PairSettings
from wim.settings.training import TrainingSettings
from wim.training.online_dpo.labels import RewardLabeller
from wim.training.online_dpo.rewards import RewardPipeline, Rewards, open_rewards
from wim.training.processes import rank
from wim.training.run.setup import Run, TrainerParts
from wim.training.run.training import Training, training_code

if TYPE_CHECKING:
    from datasets import Dataset


logger = logging.getLogger(__name__)
SAMPLED = "sampled"
"""The folder of a working folder in which the labeller keeps every completion."""


@dataclass(frozen=True)
class OnlineInputs:
    """What an online training reads, and how it samples and labels.

    Attributes:
        prompts: All shards of the prompts.
        dialogues: How completions are sampled.
        reward: The judge, encoder and reward that label them.
        pairing: How rewards become labels.
        sft_prompts: The share of the prompts that the model was fine-tuned on, which are left out
            here; None if it was not.
    """

    prompts: Sequence[Path]
    dialogues: DialogueSettings
    reward: RewardPipeline
    pairing: PairSettings
    sft_prompts: float | None


@dataclass(frozen=True)
class OnlineTables:
    """Where the tables of the sampled completions go, and what was excluded from the pairs."""

    dialogues: Path
    ratings: Path
    rewards: Path
    pairs: Path
    exclusions: Path


def train_online_dpo(
    inputs: OnlineInputs,
    settings: TrainingSettings,
    names: dict[str, Any],
    upstream_settings: dict[str, Any],
    run: Run,
    tables: OnlineTables,
) -> None:
    """Train on completions that the model samples itself; write the checkpoint and their tables.

    Args:
        inputs: What is read, and how completions are sampled and labelled.
        settings: Those of the arm's training.
        names: The `arm`, `round` and `reward`.
        upstream_settings: Those that made the labels, for the model card.
        run: Where the training starts from and goes to.
        tables: Where the tables of the sampled completions go.

    Raises:
        UserError: No prompt leaves room for a completion, no sampled completion could be labelled,
            or see Training.write_checkpoint.
    """
    with ExitStack() as opened:
        OnlineDpoTraining(
            run=run,
            settings=settings,
            upstream_settings=upstream_settings,
            names=names,
            title=f"arm {names['arm']}, round {names['round']}",
            inputs=inputs,
            rewards=opened.enter_context(open_rewards(inputs.reward)),
            opened=opened,
            tables=tables,
        ).write_checkpoint()


# What samples the pairs of an online training, and labels them.
SAMPLED_AND_JUDGED_BY = (
    "wim.engines",
    "wim.dialogues",
    "wim.judging",
    "wim.embedding",
    "wim.rewards",
    "wim.pairs",
    "wim.prompts.splits",
    "wim.templates",
    "wim.tables.ratings",
)


def online_code() -> str:
    """The digest of the code that decides the outcome of an online training."""
    return training_code(Path(__file__), *SAMPLED_AND_JUDGED_BY)


@dataclass(frozen=True, kw_only=True)
class OnlineDpoTraining(Training):
    """Online DPO on prompts.

    Attributes:
        inputs: What is read, and how completions are sampled and labelled.
        rewards: The opened judge and encoder of `inputs.reward`.
        opened: What closes them.
        tables: Where the tables of the sampled completions go.
    """

    kind: ClassVar[str] = "online_dpo"

    settings: TrainingSettings
    inputs: OnlineInputs
    rewards: Rewards
    opened: ExitStack
    tables: OnlineTables

    def digests(self) -> Mapping[str, str]:
        """Those of the prompts, and of everything that labels completions."""
        from wim.models.manifest import read_manifest
        from wim.provenance.digest import digest_file, digest_of

        inputs, reward = self.inputs, self.inputs.reward
        labelling = {
            "sampling": inputs.dialogues.sampling.model_dump(mode="json"),
            "system": inputs.dialogues.system,
            "judge": reward.settings.identity(),
            "reward": reward.reward.identity(reward.seed),
            "pairs": inputs.pairing.model_dump(mode="json"),
            "sft_prompts": inputs.sft_prompts,
        }
        digests = {
            "prompts": digest_of([digest_file(path) for path in inputs.prompts]),
            "judge model": reward.model.digest,
            "judge templates": digest_of([digest_file(path) for path in reward.templates]),
            "labelling": digest_of(labelling),
        }
        for path in reward.encoder:
            digests["encoder"] = read_manifest(path).digest
        return digests

    def code(self) -> str:
        """See online_code."""
        return online_code()

    def make_trainer(self, parts: TrainerParts) -> Any:
        """TRL's OnlineDPOTrainer with our labels, on the prompts."""
        from trl.experimental.online_dpo import OnlineDPOConfig

        from wim.training.online_dpo.trainer import OnlineTrainer
        from wim.training.run.callbacks import CallAtEnd

        sampling = self.inputs.dialogues.sampling
        rows = prompt_dataset(
            self.inputs.prompts,
            self.inputs.dialogues,
            self.settings.max_length,
            parts.tokenizer,
            self.inputs.sft_prompts,
        )
        labeller = RewardLabeller(
            rewards=self.rewards,
            settings=self.inputs.pairing,
            contexts=dict(zip(rows["prompt_id"], rows["context"], strict=True)),
            seed=self.run.seed,
            folder=parts.working / SAMPLED,
            rank=rank(),
        )
        # What was judged is in the store before the tables are written from it.
        parts.callbacks.append(CallAtEnd(self.opened.close))
        return parts.trainer(
            OnlineTrainer,
            OnlineDPOConfig,
            train=rows.remove_columns("context"),
            held_out=rows.select([]),
            arguments={
                "loss_type": self.settings.loss,
                "beta": self.settings.beta,
                "max_new_tokens": sampling.max_new_tokens,
                "temperature": sampling.temperature,
                "top_k": sampling.top_k,
                "top_p": sampling.top_p,
            },
            labeller=labeller,
        )

    def report(self, trainer: Any, folder: Path) -> None:
        """Write the tables of all sampled completions, by the stages' functions and stores."""
        import pyarrow as pa

        from wim.embedding.embed import embed_critiques
        from wim.judging.rate import rate_candidates
        from wim.pairs.by_reward import pair_candidates
        from wim.rewards.score import score_candidates
        from wim.tables.files import read_table, write_table
        from wim.tables.schemas import DIALOGUES

        inputs, reward, tables = self.inputs, self.inputs.reward, self.tables
        sampled = trainer.labeller.folder
        parts = [
            read_table(path, DIALOGUES)
            for path in sorted(sampled.glob("*.parquet"))
            if int(path.name.split("-")[0]) < trainer.state.max_steps
        ]
        write_table(tables.dialogues, DIALOGUES, pa.concat_tables(parts))
        rate_candidates(
            dialogues=tables.dialogues,
            model=reward.model,
            templates=list(reward.templates),
            judge=reward.judge,
            settings=reward.settings,
            seed=reward.seed,
            output=tables.ratings,
        )
        embeddings = [sampled / "embeddings" for _ in reward.encoder]
        for manifest, path in zip(reward.encoder, embeddings, strict=True):
            embed_critiques(
                dialogues=tables.dialogues,
                ratings=tables.ratings,
                manifest=manifest,
                judge=reward.judge,
                batch_size=reward.model.batch_size,
                store=reward.encoder_store,
                output=path,
                scratch=reward.model.scratch,
                long=reward.long,
            )
        score_candidates(
            dialogues=[tables.dialogues],
            ratings=[tables.ratings],
            embeddings=embeddings,
            settings=reward.reward,
            output=tables.rewards,
            seed=reward.seed,
        )
        pair_candidates(
            prompts=inputs.prompts,
            dialogues=[tables.dialogues],
            rewards=tables.rewards,
            settings=inputs.pairing,
            names={
                "policy": f"{self.names['arm']}-online",
                "judge": reward.judge,
                "reward": self.names["reward"],
            },
            seed=trainer.args.seed,
            output=tables.pairs,
            exclusions=tables.exclusions,
        )


def prompt_dataset(
    prompts: Sequence[Path],
    dialogues: DialogueSettings,
    max_length: int,
    tokenizer: Any,
    sft_prompts: float | None = None,
) -> "Dataset":
    """The prompts of the train split that leave room for a completion, sorted by their ids.

    Args:
        prompts: All shards of the prompts.
        dialogues: How completions are sampled.
        max_length: The most tokens of a prompt with its completion.
        tokenizer: That of the model, with its chat template.
        sft_prompts: The share of the prompts that is left out, as the model was fine-tuned on them.

    Returns:
        Rows of prompt_id, `context` (messages as in dialogues) and `prompt` (the same for TRL, in
        which no text is read as a special token).

    Raises:
        UserError: No prompt leaves room for a completion.
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
