"""Online DPO (Guo et al. 2024, arXiv 2402.04792): pairs sampled from the model while it trains.

Completions that the model samples are labelled by the arm's own judge, encoder and reward, through
the row store of their stages. So the tables that are written at the end are those of the stages,
made by the same functions, and every label can be traced to the judge's raw text.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from wim.settings.dialogues import DialogueSettings
from wim.settings.pairs import PairSettings
from wim.settings.training import TrainingSettings
from wim.training.online_dpo.labels import RewardLabeller
from wim.training.online_dpo.prompts import prompt_dataset
from wim.training.online_dpo.rewards import OnlineJudge, RewardPipeline, Rewards, open_rewards
from wim.training.processes import rank
from wim.training.run.setup import Run, TrainerParts
from wim.training.run.training import Training, training_code

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
            rewards=opened.enter_context(
                open_rewards(inputs.reward, reasoning=run.reasoning == "judged")
            ),
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

        inputs, reward, judge = self.inputs, self.inputs.reward, self.inputs.reward.judge
        labelling: dict[str, Any] = {
            "sampling": inputs.dialogues.sampling.model_dump(mode="json"),
            **inputs.dialogues.system_message,
            "judge": judge and judge.settings.identity(),
            "reward": reward.reward.identity(reward.seed),
            "pairs": inputs.pairing.identity(),
            "sft_prompts": inputs.sft_prompts,
        }
        digests = {"prompts": digest_of([digest_file(path) for path in inputs.prompts])}
        if judge:
            digests["judge model"] = judge.model.digest
            digests["judge templates"] = digest_of([digest_file(path) for path in judge.templates])
        digests["labelling"] = digest_of(labelling)
        for path in judge.encoder if judge else ():
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

        sampling, chat = self.inputs.dialogues.sampling, parts.turns.turns.chat
        rows = prompt_dataset(
            self.inputs.prompts,
            self.inputs.dialogues,
            self.settings.max_length,
            parts.turns,
            self.inputs.sft_prompts,
        )
        labeller = RewardLabeller(
            rewards=self.rewards,
            settings=self.inputs.pairing,
            chat=chat,
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
                "max_new_tokens": chat.room + sampling.max_new_tokens,
                "temperature": sampling.temperature,
                "top_k": sampling.top_k,
                "top_p": sampling.top_p,
            },
            labeller=labeller,
            most=lambda prompt, drawn: chat.within(
                drawn, sampling.max_new_tokens, chat.opened(prompt)
            ),
        )

    def report(self, trainer: Any, folder: Path) -> None:
        """Write the tables of all sampled completions, by the stages' functions and stores."""
        import pyarrow as pa

        from wim.pairs.by_reward import pair_candidates
        from wim.rewards.score import score_candidates
        from wim.tables.files import read_table, write_table
        from wim.tables.schemas import DIALOGUES, RATINGS

        inputs, reward, tables = self.inputs, self.inputs.reward, self.tables
        sampled = trainer.labeller.folder
        parts = [
            read_table(path, DIALOGUES)
            for path in sorted(sampled.glob("*.parquet"))
            if int(path.name.split("-")[0]) < trainer.state.max_steps
        ]
        write_table(tables.dialogues, DIALOGUES, pa.concat_tables(parts))
        embeddings = []
        if reward.judge:
            embeddings = self._write_ratings(reward.judge, sampled / "embeddings")
        else:
            write_table(tables.ratings, RATINGS, RATINGS.schema.empty_table())
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
                "judge": reward.reward.judge or "",
                "reward": self.names["reward"],
            },
            seed=trainer.args.seed,
            output=tables.pairs,
            exclusions=tables.exclusions,
        )

    def _write_ratings(self, judge: OnlineJudge, embeddings: Path) -> list[Path]:
        """Write the judge's ratings, and where the reward needs them the embeddings, returned."""
        from wim.embedding.embed import embed_critiques
        from wim.judging.rate import rate_candidates

        tables = self.tables
        rate_candidates(
            dialogues=tables.dialogues,
            model=judge.model,
            templates=list(judge.templates),
            judge=judge.name,
            settings=judge.settings,
            seed=self.inputs.reward.seed,
            output=tables.ratings,
            reasoning=self.run.reasoning == "judged",
        )
        for manifest in judge.encoder:
            embed_critiques(
                dialogues=tables.dialogues,
                ratings=tables.ratings,
                manifest=manifest,
                judge=judge.name,
                store=judge.encoder_store,
                output=embeddings,
                scratch=judge.model.scratch,
                long=judge.long,
                reasoning=self.run.reasoning == "judged",
            )
        return [embeddings for _ in judge.encoder]
