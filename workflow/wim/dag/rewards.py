"""What rewards read, the gate that measures them, and the reports on them."""

from dataclasses import dataclass

from wim import paths
from wim.dag.comparisons import Comparisons
from wim.dag.inputs import ASPECTS, BASE, Inputs, Wildcards, one_of
from wim.errors import UserError
from wim.paths import at
from wim.settings.critique_rewards import NamedReward
from wim.settings.gate import LABELLED, LABELLED_PAIRS, RETEST
from wim.settings.sampled_judges import sample_names

# The heads of a reward, and what is to be said of them.
HEADS = paths.evaluation("heads/{reward}.parquet")
HEADS_REPORT = paths.evaluation("heads/{reward}.json")


@dataclass(frozen=True)
class Rewards:
    """The rewards of the configuration, and what each is computed from."""

    inputs: Inputs

    @property
    def panels(self) -> list[str]:
        """The rewards that combine others."""
        return [name for name, each in self._settings.items() if each.kind == "panel"]

    @property
    def scored(self) -> list[str]:
        """The rewards that are computed from numbers and cosines of one judgement."""
        others = {*self.panels, *self.by_critique, *self.by_aspect}
        return [name for name in self._settings if name not in others]

    @property
    def by_critique(self) -> list[str]:
        """The rewards that read the critique's own words, or several judgements."""
        return [
            name
            for name, each in self._settings.items()
            if name not in self.by_aspect
            and (each.reads_critique or self.inputs.config.sampled(name) > 1)
        ]

    @property
    def by_aspect(self) -> list[str]:
        """The rewards whose judge rates several aspects."""
        judges = self.inputs.aspect_judges
        return [name for name, each in self._settings.items() if each.judge in judges]

    @property
    def with_head(self) -> list[str]:
        """The rewards that a fitted head is a part of."""
        return [name for name, each in self._settings.items() if each.has_head]

    @property
    def _settings(self) -> dict[str, NamedReward]:
        return self.inputs.config.rewards

    def tables(self, policy: str) -> list[str]:
        """Every reward's table of a policy."""
        return [at(paths.REWARDS, policy=policy, reward=name) for name in self._settings]

    def ratings(self, wildcards: Wildcards) -> list[str]:
        """The ratings that a reward is made of, all samples and shards; none without a judge."""
        return self._read(wildcards, "ratings", paths.RATINGS)

    def embeddings(self, wildcards: Wildcards) -> list[str]:
        """The embeddings that a reward is made of, as its ratings; none if it needs none."""
        return self._read(wildcards, "embeddings", paths.EMBEDDINGS)

    def _read(self, wildcards: Wildcards, stage: str, pattern: str) -> list[str]:
        reward = self._settings[wildcards.reward]
        if stage not in reward.reads or reward.judge is None:
            return []
        judges = sample_names(reward.judge, self.inputs.config.sampled(wildcards.reward))
        return [
            at(pattern, policy=wildcards.policy, judge=judge, shard=shard)
            for judge in judges
            for shard in self.inputs.shards
        ]

    def aspects(self, wildcards: Wildcards) -> list[str]:
        """What the judge of a reward said in each aspect, all shards."""
        judge = self._settings[wildcards.reward].judge
        return [
            at(ASPECTS, policy=wildcards.policy, judge=judge, shard=shard)
            for shard in self.inputs.shards
        ]

    def heads(self, wildcards: Wildcards) -> list[str]:
        """The fitted heads of a reward that has them."""
        if wildcards.reward not in self.with_head:
            return []
        return [at(HEADS, reward=wildcards.reward)]

    def members(self, wildcards: Wildcards) -> list[str]:
        """The rewards tables of a panel's members, in its order."""
        members = self._settings[wildcards.reward].of
        return [at(paths.REWARDS, policy=wildcards.policy, reward=name) for name in members]

    def base_ratings(self, judges: list[str]) -> list[str]:
        """The ratings of the actor's dialogues by these judges, all shards."""
        return [
            at(paths.RATINGS, policy=BASE, judge=judge, shard=shard)
            for judge in judges
            for shard in self.inputs.shards
        ]

    @property
    def wanted_ratings(self) -> list[str]:
        """The ratings of the actor's dialogues, all judges and shards; none if no reward reads any."""
        return self.base_ratings(self.inputs.config.consulted_judges)

    @property
    def audits(self) -> list[str]:
        """The audit of each judge that rates and says in words what is missing."""
        rating = self.inputs.config.consulted_judges
        return [at(paths.AUDIT, judge=judge) for judge in self.inputs.critics if judge in rating]

    def audited_ratings(self, wildcards: Wildcards) -> list[str]:
        """The ratings whose critiques a judge's audit reads."""
        return self.base_ratings([wildcards.judge])

    @property
    def embedded_judges(self) -> list[str]:
        """The judges whose critiques some reward compares with the response, by their vectors."""
        judges = [each.judge for each in self._settings.values() if "embeddings" in each.reads]
        # Words on several aspects are compared with no response.
        without = self.inputs.aspect_judges
        return [judge for judge in dict.fromkeys(judges) if judge and judge not in without]

    def embeddings_of(self, policy: str) -> list[str]:
        """The embeddings of these judges, all samples and shards, judge by judge."""
        return [
            at(paths.EMBEDDINGS, policy=policy, judge=sample, shard=shard)
            for judge in self.embedded_judges
            for sample in sample_names(judge, self.inputs.config.judges[judge].samples)
            for shard in self.inputs.shards
        ]

    @property
    def without_cosines(self) -> list[str]:
        """The rewards that are made of embeddings, and whose tables have no cosines."""
        return [
            name
            for name, each in self._settings.items()
            if each.has_head or (each.zeta and self.inputs.config.sampled(name) > 1)
        ]

    def audited_embeddings(self, wildcards: Wildcards) -> list[str]:
        """The embeddings that a judge's audit reads; none where no reward is made of them."""
        shards = self.inputs.shards if wildcards.judge in self.embedded_judges else []
        return [
            at(paths.EMBEDDINGS, policy=BASE, judge=wildcards.judge, shard=shard)
            for shard in shards
        ]


@dataclass(frozen=True)
class Gate:
    """The gate: every judge and reward on pairs that people have labelled."""

    inputs: Inputs

    @property
    def policy_pattern(self) -> str:
        """A regular expression of the policies that the labelled pairs are taken in as."""
        return f"{LABELLED}|{LABELLED_PAIRS}|{RETEST}"

    @property
    def measured_pattern(self) -> str:
        """A regular expression of what the gate measures: rewards, and judges of pairs."""
        of_pairs = (f"pairs/{judge}" for judge in self.inputs.pair_judges)
        return one_of([*self.inputs.config.rewards, *of_pairs])

    def pairs(self, wildcards: Wildcards | None = None) -> list[str]:
        """The files of labelled pairs. Raises UserError if the configuration names none."""
        files = self.inputs.config.gate.files
        if not files:
            raise UserError(
                "config: gate.pairs is empty; write the path of a file of labelled pairs: a JSON "
                "list of {input, output_1, output_2, label}, or a published set's "
                "(docs/guide/evaluation.md)."
            )
        return [self.inputs.file_at(path, "gate.pairs") for path in files]

    @property
    def retested(self) -> list[str]:
        """The rewards tables of the pairs that are judged a second time."""
        if not self.inputs.config.gate.retest:
            return []
        return [
            at(paths.REWARDS, policy=RETEST, reward=name) for name in self.inputs.config.rewards
        ]

    @property
    def labelled_comparisons(self) -> list[str]:
        """What the judges of pairs say of the labelled pairs, judge by judge."""
        comparisons = Comparisons(self.inputs)
        judges = self.inputs.pair_judges
        return [path for judge in judges for path in comparisons.shards(LABELLED, judge)]

    def tuned(self, wildcards: Wildcards) -> list[str]:
        """The rewards tables of what is tuned, in its order. Raises UserError if nothing is."""
        tuned = self.inputs.config.gate.tuned
        if not tuned:
            raise UserError(
                "config: gate.tuned is empty; write two or more rewards, or judges of pairs as "
                "pairs/<judge>, the first the one to beat."
            )
        return [
            at(paths.REWARDS, policy=LABELLED, reward=name) for name in tuned if "/" not in name
        ]

    def tuned_comparisons(self, wildcards: Wildcards) -> list[str]:
        """What the judges of pairs that are tuned say of the labelled pairs, judge by judge."""
        judges = [name.partition("/")[2] for name in self.inputs.config.gate.tuned if "/" in name]
        comparisons = Comparisons(self.inputs)
        return [path for judge in judges for path in comparisons.shards(LABELLED, judge)]

    def proof(self, wildcards: Wildcards) -> str | list[str]:
        """The note that what labels the arm has passed the gate, where there is a bar."""
        return self.proof_of(wildcards.arm)

    def proof_of(self, name: str) -> str | list[str]:
        """The same of an arm by its name."""
        config = self.inputs.config
        if config.gate.bar is None:
            return []
        arm = config.arms[name]
        measured = arm.reward
        if arm.comparison is not None:
            measured = f"pairs/{config.comparisons[arm.comparison].judge}"
        return at(paths.PASSED, measured=measured)
