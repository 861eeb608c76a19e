"""Rewards of completions while a model is training: the arm's own judge, encoder and reward.

A reward that reads no judge is computed from the completion alone.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wim.engines.failures import in_words
from wim.engines.staged import StagedModel
from wim.job import scratch_folder, store_folder
from wim.judging.base import Judge
from wim.settings.embeddings import Long
from wim.settings.judging import JudgeSettings
from wim.settings.rewards import RewardSettings
from wim.tables.ratings import Status
from wim.tables.schemas import WHOLLY_UNKNOWN, Candidate, Rating

if TYPE_CHECKING:
    from wim.embedding.encoder import StoredEncoder

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class OnlineJudge:
    """The judge that a reward reads, and the encoder of its critiques.

    Attributes:
        name: The judge's name.
        model: Its model.
        templates: Its prompt templates.
        settings: Its settings.
        encoder: The encoder's manifest; none for a reward that needs no embeddings.
        encoder_store: The row store of embeddings.
        long: How the encoder reads long texts.
    """

    name: str
    model: StagedModel
    templates: Sequence[Path]
    settings: JudgeSettings
    encoder: Sequence[Path]
    encoder_store: Path
    long: Long = "cut"


@dataclass(frozen=True)
class RewardPipeline:
    """What a reward is made with: the judge that it reads, if any, and the reward's settings.

    Attributes:
        judge: The judge; None for a reward that reads none.
        reward: The reward's settings.
        seed: The seed of the judge's answers, and of what the reward samples.
    """

    judge: OnlineJudge | None
    reward: RewardSettings
    seed: int


def reward_pipeline(snakemake: Any, spec: Mapping[str, Any]) -> RewardPipeline:
    """The reward pipeline of a rule's job."""
    return RewardPipeline(
        judge=_online_judge(snakemake, spec) if spec["judge"] else None,
        reward=RewardSettings.model_validate(spec["reward"]),
        seed=spec["judging_seed"],
    )


def _online_judge(snakemake: Any, spec: Mapping[str, Any]) -> OnlineJudge:
    store = store_folder(snakemake).parent
    (source,), (manifest,) = snakemake.params.untracked.models, snakemake.input.judge
    return OnlineJudge(
        name=spec["names"]["judge"],
        # The stores are those of the stages, so that they share rows.
        model=StagedModel(
            manifest=Path(manifest),
            source=source,
            store=store / "rate_candidates",
            batch_size=snakemake.resources.judge_batch_size,
            scratch=scratch_folder(snakemake),
            server_log=Path(snakemake.log[0]).with_suffix(".server.log"),
        ),
        templates=[Path(path) for path in snakemake.input.templates],
        settings=JudgeSettings.model_validate(spec["judge"]),
        encoder=[Path(path) for path in snakemake.input.encoder],
        encoder_store=store / "embed_critiques",
        long=spec.get("long", "cut"),
    )


class Rewards:
    """Computes the rewards of completions, through the row stores of judging and embedding.

    Args:
        judge: The judge; None for a reward that reads none.
        encoder: The encoder; None for a reward that needs no embeddings.
        settings: The reward's.
        seed: For a kind of reward that samples.
        unanswered: Why candidates so far have no judgement, where a server does not answer.
        reasoning: Whether judges and encoders read what was thought before an answer.
    """

    def __init__(
        self,
        judge: Judge | None,
        encoder: "StoredEncoder | None",
        settings: RewardSettings,
        seed: int,
        unanswered: Mapping[str, str],
        reasoning: bool = False,
    ) -> None:
        self.reasoning = reasoning
        self.judge = judge
        self.unanswered = unanswered
        self.encoder = encoder
        self.settings = settings
        self.seed = seed

    def of(self, candidates: Sequence[Candidate]) -> dict[str, float]:
        """Rewards by candidate_id; a candidate whose judgement failed has none."""
        import pandas as pd

        from wim.dialogues.conversations import with_reasoning
        from wim.rewards.score import (
            OF_DIALOGUES,
            OF_RATINGS,
            judged_candidates,
            shard_rewards,
            unjudged_candidates,
        )
        from wim.tables.files import as_arrow
        from wim.tables.schemas import DIALOGUES, RATINGS

        if self.reasoning:
            candidates = [with_reasoning(row) for row in candidates]
        rows = as_arrow(DIALOGUES, candidates).select(OF_DIALOGUES)
        ratings = self.judge.rate(candidates) if self.judge else []
        frame = (
            judged_candidates(rows, as_arrow(RATINGS, ratings).select(OF_RATINGS))
            if self.judge
            else unjudged_candidates(rows)
        )
        cosine = None
        if self.encoder is not None:
            cosine = pd.Series(_cosines(candidates, ratings, self.encoder), dtype="float64")
        scored = shard_rewards(frame, cosine, self.settings, self.seed).dropna(subset="reward")
        return dict(zip(scored["candidate_id"], scored["reward"], strict=True))


def _cosines(
    candidates: Sequence[Candidate], ratings: Sequence[Rating], encoder: "StoredEncoder"
) -> dict[str, float]:
    """The cosine of each response and its critique, 1 where nothing is missing.

    As in wim.rewards.score.
    """
    import numpy as np

    from wim.rewards.score import cosines

    responses = {row.candidate_id: row.completion for row in candidates}
    found = {
        row.candidate_id: 1.0 if row.status == Status.NOTHING_MISSING else float("nan")
        for row in ratings
    }
    named = [row for row in ratings if row.status == Status.OK]
    texts = [responses[row.candidate_id] for row in named] + [str(row.wim) for row in named]
    if texts:
        encoded, count = encoder.encode(texts), len(named)
        values = cosines(encoded.vectors[:count], encoded.vectors[count:])
        unread = np.asarray(encoded.unknown).reshape(2, count).max(axis=0) >= WHOLLY_UNKNOWN
        values[unread] = np.nan
        found |= {row.candidate_id: float(value) for row, value in zip(named, values, strict=True)}
    return found


@contextmanager
def open_rewards(pipeline: RewardPipeline, reasoning: bool = False) -> Iterator[Rewards]:
    """The judge and the encoder, open for a whole training; each is loaded at its first use.

    Args:
        pipeline: What they are made with.
        reasoning: Whether they read what was thought before an answer.
    """
    if pipeline.judge is None:
        yield Rewards(None, None, pipeline.reward, pipeline.seed, {})
        return
    with _rewards_by(pipeline.judge, pipeline, reasoning) as rewards:
        yield rewards


@contextmanager
def _rewards_by(
    online: OnlineJudge, pipeline: RewardPipeline, reasoning: bool
) -> Iterator[Rewards]:
    from wim.embedding.encoder import Encoder, StoredEncoder, vector_schema
    from wim.engines.stored import open_engine
    from wim.judging.rate import judge_of
    from wim.models.manifest import read_manifest
    from wim.models.opening import opened_folder
    from wim.store.rows import RowStore
    from wim.templates import read_templates

    with ExitStack() as opened:
        engine = opened.enter_context(open_engine(online.model))
        templates, digest = read_templates(list(online.templates)), online.model.identity
        judge = judge_of(online.name, engine, templates, online.settings, pipeline.seed, digest)
        encoder = None
        if online.encoder:
            (manifest,) = online.encoder
            vectors = opened.enter_context(RowStore(online.encoder_store, vector_schema()))
            encoder = StoredEncoder(
                lambda: Encoder(opened_folder(manifest, online.model.scratch), online.long),
                vectors,
                read_manifest(manifest).digest,
                online.long,
            )
        yield Rewards(judge, encoder, pipeline.reward, pipeline.seed, engine.unanswered, reasoning)
        if engine.unanswered:
            reasons = list(engine.unanswered.values())
            logger.warning("judgements without an answer: %s", in_words(reasons))
