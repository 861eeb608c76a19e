"""What the study of rewards reads: recorded critiques, the gate's pairs, and their rewards."""

from collections.abc import Callable
from dataclasses import dataclass

from wim import paths
from wim.dag.inputs import BASE, Inputs, Wildcards
from wim.dag.rewards import Gate, Rewards
from wim.dag.specs import spec
from wim.errors import UserError
from wim.paths import at
from wim.settings.gate import LABELLED
from wim.settings.sampled_judges import sample_names
from wim.settings.study import RecordedSettings


@dataclass(frozen=True)
class Study:
    """The study of rewards of the configuration."""

    inputs: Inputs

    @property
    def _recorded(self) -> dict[str, RecordedSettings]:
        return self.inputs.config.study.recorded

    def recorded_files(self, wildcards: Wildcards | None = None) -> list[str]:
        """The files of recorded critiques, set by set.

        Raises UserError if there is nothing to measure rewards on.
        """
        if not self._recorded and not self.inputs.config.gate.pairs:
            raise UserError(
                "config: study.recorded and gate.pairs are empty, and rewards have nothing to be "
                "measured on; write study.recorded: {<name>: {ratings: [<file of critiques>]}}, or "
                "gate.pairs: <file of labelled pairs>."
            )
        return [path for name in self._recorded for path in self.files_of(name)]

    def files_of(self, name: str) -> list[str]:
        """The files of a set of recorded critiques."""
        key = f"study.recorded.{name}.ratings"
        return [self.inputs.file_at(path, key) for path in self._recorded[name].ratings]

    def label_files(self, wildcards: Wildcards | None = None) -> list[str]:
        """The files of labels of recorded critiques, of the sets that have one."""
        return [
            self.inputs.file_at(settings.labels, f"study.recorded.{name}.labels")
            for name, settings in self._recorded.items()
            if settings.labels is not None
        ]

    def encoder(self, wildcards: Wildcards | None = None) -> list[str]:
        """The manifest of the encoder, where critiques are recorded."""
        return [self.inputs.manifest_of_encoder] if self._recorded else []

    def pairs(self, wildcards: Wildcards | None = None) -> list[str]:
        """The gate's labelled pairs, if it has any."""
        if not self.inputs.config.gate.pairs:
            return []
        return Gate(self.inputs).pairs()

    def rewards(self, wildcards: Wildcards | None = None) -> list[str]:
        """The rewards of the gate's pairs, if it has any."""
        return Rewards(self.inputs).tables(LABELLED) if self.pairs() else []

    def ratings(self, wildcards: Wildcards | None = None) -> list[str]:
        """The ratings of the gate's pairs, all judges, samples and shards, if it has any."""
        judges = self.inputs.config.judges
        return [
            at(paths.RATINGS, policy=LABELLED, judge=sample, shard=shard)
            for judge in (self.inputs.config.consulted_judges if self.pairs() else [])
            for sample in sample_names(judge, judges[judge].samples)
            for shard in self.inputs.shards
        ]

    # The heads of rewards.

    def _learns(self, wildcards: Wildcards) -> tuple[str, list[str]]:
        """The judge of a reward with a head, and the names that it learns from."""
        reward = self.inputs.config.rewards[wildcards.reward]
        assert reward.judge is not None
        return reward.judge, reward.learns_from

    def recorded_of_head(self, wildcards: Wildcards) -> list[str]:
        """The files of the recorded critiques that a reward's head learns from, set by set."""
        _, names = self._learns(wildcards)
        return [path for name in names if name in self._recorded for path in self.files_of(name)]

    def pairs_of_head(self, wildcards: Wildcards) -> list[str]:
        """The labelled pairs, where a reward's head learns from them."""
        return self.pairs() if LABELLED in self._learns(wildcards)[1] else []

    def judged_of_head(self, pattern: str) -> Callable[[Wildcards], list[str]]:
        """Tables of what a reward's judge judged and its head learns from: labelled pairs, then
        the actor's dialogues; all shards."""

        def found(wildcards: Wildcards) -> list[str]:
            judge, names = self._learns(wildcards)
            others = [name for name in names if name in self.inputs.config.judges]
            policies = [LABELLED] * (LABELLED in names) + [BASE] * bool(others)
            return [
                at(pattern, policy=policy, judge=judge, shard=shard)
                for policy in policies
                for shard in self.inputs.shards
            ]

        return found

    def others_of_head(self, wildcards: Wildcards) -> list[str]:
        """The ratings of the actor's dialogues by the judges whose numbers a head learns."""
        _, names = self._learns(wildcards)
        return [
            at(paths.RATINGS, policy=BASE, judge=name, shard=shard)
            for name in names
            if name in self.inputs.config.judges
            for shard in self.inputs.shards
        ]

    def spec(self, wildcards: Wildcards) -> str:
        """The sets and their files, the rewards, and how texts are read."""
        config = self.inputs.config
        return spec(
            # In lists, as the names of an object come out sorted.
            recorded=[
                [name, each.model_dump(mode="json")] for name, each in self._recorded.items()
            ],
            rewards=[[name, each.measured()] for name, each in config.rewards.items()],
            seed=config.seed,
            **config.gate.form,
            **config.embeddings.identity(),
        )
