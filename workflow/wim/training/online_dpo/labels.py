"""Labels of completions that are sampled while a model trains."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wim.atomic import synchronise
from wim.dialogues.candidates import ACTOR, candidate_of
from wim.engines.chat_format import ChatFormat
from wim.engines.failures import in_words
from wim.errors import UserError
from wim.pairs.by_reward import Scored, candidate_pairs
from wim.provenance.digest import row_id
from wim.settings.pairs import PairSettings
from wim.tables.schemas import CUT, Candidate
from wim.training.online_dpo.rewards import Rewards

if TYPE_CHECKING:
    from wim.training.online_dpo.trainer import Label, SampledCompletion

MAX_PROMPTS_WITHOUT_LABEL = 256
"""The number of prompts in a row without a label after which training ends: it learns nothing."""


class RewardLabeller:
    """Labels sampled completions: compares their rewards, as in a table of pairs.

    Every completion is kept in `folder`, a file for each batch. A training that resumes from a
    saved state writes the same files again.

    Args:
        rewards: Computes the rewards.
        settings: How rewards become pairs.
        chat: Reads what was sampled.
        contexts: The messages of each prompt, by prompt_id.
        seed: The run's.
        folder: Where completions are kept.
        rank: The number of this process.
    """

    def __init__(
        self,
        rewards: Rewards,
        settings: PairSettings,
        chat: ChatFormat,
        contexts: dict[str, list[Any]],
        seed: int,
        folder: Path,
        rank: int,
    ) -> None:
        self.rewards = rewards
        self.settings = settings
        self.chat = chat
        self.contexts = contexts
        self.seed = seed
        self.folder = folder
        self.rank = rank
        self.batches: Counter[int] = Counter()
        self.without_label = 0

    def __call__(self, sampled: "Sequence[SampledCompletion]") -> "list[Label | None]":
        """A label for each prompt, None where its completions cannot be compared.

        Args:
            sampled: The completions, those of a prompt one after the other.

        Raises:
            UserError: MAX_PROMPTS_WITHOUT_LABEL prompts in a row had none.
        """
        candidates = [self._candidate(row) for row in sampled]
        self._keep(sampled[0].step, candidates)
        judged = [row for row in candidates if row.judged]
        scores = self.rewards.of(judged) if judged else {}
        by_prompt: dict[str, list[Candidate]] = {}
        for row in candidates:
            by_prompt.setdefault(row.dialogue_id, []).append(row)
        labels = [self._label(rows, scores) for rows in by_prompt.values()]
        self.without_label = 0 if any(labels) else self.without_label + len(labels)
        if self.without_label >= MAX_PROMPTS_WITHOUT_LABEL:
            raise UserError(
                f"online_dpo: the completions of {self.without_label} prompts in a row gave no "
                f"pair: {len(scores)} of the last {len(candidates)} completions have a reward. "
                "Try the judge on dialogues first (snakemake rewards), and read the judge's raw "
                f"answers there.{self._failures()}"
            )
        return labels

    def _label(self, rows: Sequence[Candidate], scores: dict[str, float]) -> "Label | None":
        from wim.training.online_dpo.trainer import Label

        scored = [
            Scored(row.candidate_id, row.sample, scores[row.candidate_id], row.completion)
            for row in rows
            if row.candidate_id in scores
            and (self.settings.cut == "keep" or row.finish_reason != CUT)
        ]
        for chosen, rejected in candidate_pairs(scored, self.settings, self.seed, Counter()):
            return Label(chosen.sample, chosen.reward, rejected.reward)
        return None

    def _failures(self) -> str:
        reasons = list(self.rewards.unanswered.values())
        return f" Of all judgements, these have no answer: {in_words(reasons)}." if reasons else ""

    def _candidate(self, row: "SampledCompletion") -> Candidate:
        place = [self.folder.parent.name, row.step, self.rank, row.prompt_id]
        opened = self.chat.opened(row.prompt)
        answer = self.chat.completion("", row.tokens, row.prompt_tokens, opened)
        return candidate_of(
            replace(answer, key=row_id([*place, row.sample, answer.text])),
            prompt_id=row.prompt_id,
            dialogue_id=row_id(place),
            turn=1,
            speaker=ACTOR,
            sample=row.sample,
            context=self.contexts[row.prompt_id],
            seed=self.seed,
            model_digest=f"{self.folder.parent.name} after {row.step} steps",
        )

    def _keep(self, step: int, candidates: Sequence[Candidate]) -> None:
        from wim.tables.files import as_arrow, write_table
        from wim.tables.schemas import DIALOGUES

        name = f"{step:08d}-{self.rank:03d}-{self.batches[step]:04d}.parquet"
        self.batches[step] += 1
        write_table(self.folder / name, DIALOGUES, as_arrow(DIALOGUES, candidates))
        # A training that resumes from a state saved later does not sample them again.
        synchronise(self.folder / name)
        synchronise(self.folder)
