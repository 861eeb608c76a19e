"""What comparisons by judges of pairs read, and the pairs that are made of them."""

from dataclasses import dataclass

from wim import paths
from wim.dag.inputs import Inputs, Wildcards
from wim.paths import at
from wim.settings.evaluated import Evaluated, evaluated_policy, speakers_of
from wim.settings.gate import LABELLED, LABELLED_PAIRS


@dataclass(frozen=True)
class Comparisons:
    """The comparisons of the configuration, and that of labelled pairs."""

    inputs: Inputs

    @property
    def names(self) -> list[str]:
        """All comparisons by name."""
        further = [*self.of_evaluations, *self.inputs.discovered_policies]
        return [*self.inputs.config.comparisons, LABELLED, *further]

    @property
    def of_evaluations(self) -> dict[str, str]:
        """The judge of each comparison of a speaker with the reference of an evaluation."""
        config = self.inputs.config
        return {
            evaluated_policy(name, speaker): settings.judge
            for name, settings in config.evaluations.items()
            if settings.judge is not None
            and (settings.kind == "win_rate" or settings.mode == "pairwise")
            for speaker in speakers_of(config, name)
            if speaker != settings.reference
        }

    @property
    def arms(self) -> list[str]:
        """The arms whose pairs a comparison labels."""
        return [name for name, arm in self.inputs.config.arms.items() if arm.comparison]

    def policies(self, comparison: str) -> list[str]:
        """The policies whose candidates are compared: one, or two."""
        if comparison == LABELLED:
            return [LABELLED_PAIRS]
        if evaluated := Evaluated.of(comparison):
            reference = self.inputs.config.evaluations[evaluated.evaluation].reference
            return [comparison, evaluated_policy(evaluated.evaluation, reference)]
        return self.inputs.config.comparisons[comparison].between

    def dialogues(self, wildcards: Wildcards) -> list[str]:
        """The shard's dialogues of each policy that is compared."""
        return [
            at(paths.DIALOGUES, policy=policy, shard=wildcards.shard)
            for policy in self.policies(wildcards.comparison)
        ]

    def shards(self, comparison: str, judge: str) -> list[str]:
        """All shards of a comparison by a judge."""
        return [
            at(paths.COMPARISONS, comparison=comparison, judge=judge, shard=shard)
            for shard in self.inputs.shards
        ]

    @property
    def all_shards(self) -> list[str]:
        """All shards of all comparisons of the configuration."""
        return [
            path
            for name, comparison in self.inputs.config.comparisons.items()
            for path in self.shards(name, comparison.judge)
        ]

    @property
    def shards_of_arms(self) -> list[str]:
        """All shards of the comparisons that label an arm's pairs."""
        used = {self.name_of(arm) for arm in self.arms}
        settings = self.inputs.config.comparisons
        return [
            path
            for name in settings
            if name in used
            for path in self.shards(name, settings[name].judge)
        ]

    def of_arm(self, wildcards: Wildcards) -> list[str]:
        """The comparisons that label the arm's pairs."""
        name = self.name_of(wildcards.arm)
        return self.shards(name, self.inputs.config.comparisons[name].judge)

    def dialogues_of_arm(self, wildcards: Wildcards) -> list[str]:
        """The dialogues that the arm's comparison is of, policy by policy, all shards."""
        policies = self.policies(self.name_of(wildcards.arm))
        return [path for policy in policies for path in self.inputs.dialogues_of(policy)]

    def name_of(self, arm: str) -> str:
        """The comparison that labels an arm's pairs."""
        comparison = self.inputs.config.arms[arm].comparison
        assert comparison is not None
        return comparison
