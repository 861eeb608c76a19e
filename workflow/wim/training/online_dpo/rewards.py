"""Rewards of completions while a model is training: the arm's own judge, encoder and reward."""

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
class RewardPipeline:
    """What a reward is made with: a judge, an encoder and the reward's settings.

    Attributes:
        judge: The judge's name.
        model: Its model.
        templates: Its prompt templates.
        settings: Its settings.
        encoder: The encoder's manifest; none for a reward that needs no embeddings.
        encoder_store: The row store of embeddings.
        reward: The reward's settings.
        seed: The seed of the judge's answers.
        long: How the encoder reads long texts.
    """

    judge: str
    model: StagedModel
    templates: Sequence[Path]
    settings: JudgeSettings
    encoder: Sequence[Path]
    encoder_store: Path
    reward: RewardSettings
    seed: int
    long: Long = "cut"


def reward_pipeline(snakemake: Any, spec: Mapping[str, Any]) -> RewardPipeline:
    """The reward pipeline of a rule's job."""
    store = store_folder(snakemake).parent
    (source,) = snakemake.params.untracked.models
    return RewardPipeline(
        judge=spec["names"]["judge"],
        # The stores are those of the stages, so that they share rows.
        model=StagedModel(
            manifest=Path(snakemake.input.judge),
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
        reward=RewardSettings.model_validate(spec["reward"]),
        seed=spec["judging_seed"],
        long=spec.get("long", "cut"),
    )


class Rewards:
    """Computes the rewards of completions, through the row stores of judging and embedding."""

    def __init__(
        self,
        judge: Judge,
        encoder: "StoredEncoder | None",
        settings: RewardSettings,
        seed: int,
        unanswered: Mapping[str, str],
    ) -> None:
        """unanswered: why candidates so far have no judgement, where a server does not answer."""
        self.judge = judge
        self.unanswered = unanswered
        self.encoder = encoder
        self.settings = settings
        self.seed = seed

    def of(self, candidates: Sequence[Candidate]) -> dict[str, float]:
        """Rewards by candidate_id; a candidate whose judgement failed has none."""
        import pandas as pd

        from wim.rewards.score import OF_DIALOGUES, OF_RATINGS, judged_candidates, shard_rewards
        from wim.tables.files import as_arrow
        from wim.tables.schemas import DIALOGUES, RATINGS

        ratings = self.judge.rate(candidates)
        frame = judged_candidates(
            as_arrow(DIALOGUES, candidates).select(OF_DIALOGUES),
            as_arrow(RATINGS, ratings).select(OF_RATINGS),
        )
        cosine = None
        if self.encoder is not None:
            cosine = pd.Series(_cosines(candidates, ratings, self.encoder), dtype="float64")
        rows = shard_rewards(frame, cosine, self.settings, self.seed).dropna(subset="reward")
        return dict(zip(rows["candidate_id"], rows["reward"], strict=True))


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
def open_rewards(pipeline: RewardPipeline) -> Iterator[Rewards]:
    """The judge and the encoder, open for a whole training; each is loaded at its first use."""
    from wim.embedding.encoder import Encoder, StoredEncoder, vector_schema
    from wim.engines.stored import open_engine
    from wim.judging.rate import judge_of
    from wim.models.manifest import read_manifest
    from wim.models.node_copy import local_copy
    from wim.store.rows import RowStore
    from wim.templates import read_templates

    with ExitStack() as opened:
        engine = opened.enter_context(open_engine(pipeline.model))
        templates, digest = read_templates(list(pipeline.templates)), pipeline.model.digest
        judge = judge_of(
            pipeline.judge, engine, templates, pipeline.settings, pipeline.seed, digest
        )
        encoder = None
        if pipeline.encoder:
            (manifest,) = pipeline.encoder
            vectors = opened.enter_context(RowStore(pipeline.encoder_store, vector_schema()))
            encoder = StoredEncoder(
                lambda: Encoder(
                    local_copy(manifest, pipeline.model.scratch).parent,
                    pipeline.model.batch_size,
                    pipeline.long,
                ),
                vectors,
                read_manifest(manifest).digest,
                pipeline.long,
            )
        yield Rewards(judge, encoder, pipeline.reward, pipeline.seed, engine.unanswered)
        if engine.unanswered:
            reasons = list(engine.unanswered.values())
            logger.warning("judgements without an answer: %s", in_words(reasons))
