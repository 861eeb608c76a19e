"""What each round of an arm takes from the one before."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from wim import paths
from wim.dag.inputs import BASE, Inputs, Wildcards
from wim.paths import at
from wim.settings.evaluated import Evaluated


def policy_of_round(arm: str, number: int) -> str:
    """The policy that an arm's round learns from: the actor, then the checkpoint before."""
    return BASE if number == 1 else f"{arm}-round{number - 1}"


def with_previous_round(pattern: str) -> Callable[[Wildcards], list[str]]:
    """Of each job a file of its round and of the round before, the earlier first."""

    def files(wildcards: Wildcards) -> list[str]:
        number = int(wildcards.round)
        return [at(pattern, arm=wildcards.arm, round=each) for each in (number - 1, number)]

    return files


@dataclass(frozen=True)
class Rounds:
    """The rounds of the arms, and what each of them reads."""

    inputs: Inputs

    @property
    def all(self) -> list[tuple[str, int]]:
        """Every arm with each of its rounds."""
        config = self.inputs.config
        return [
            (arm, number)
            for arm in config.arms
            for number in range(1, config.arm_rounds(arm).count + 1)
        ]

    @property
    def repeated(self) -> list[tuple[str, int]]:
        """The rounds of the arms that have several."""
        return [(arm, number) for arm, number in self.all if self._count(arm) > 1]

    @property
    def last(self) -> list[tuple[str, int]]:
        """Every arm with its last round."""
        return [(arm, self._count(arm)) for arm in self.inputs.config.arms]

    def _count(self, arm: str) -> int:
        return self.inputs.config.arm_rounds(arm).count

    def name(self, arm: str, number: int) -> str:
        """What reports call an arm's round: by the arm alone if it has no other."""
        return arm if self._count(arm) == 1 else f"{arm}-round{number}"

    def files(self, pattern: str, rounds: Iterable[tuple[str, int]]) -> list[str]:
        """A file of each of these rounds; its pattern has `arm` and `round` as wildcards."""
        return [at(pattern, arm=arm, round=number) for arm, number in rounds]

    def verdicts(self, wildcards: Wildcards) -> list[str]:
        """What says whether the arm has converged before a job's round."""
        return self.verdicts_before(wildcards.arm, int(wildcards.round))

    def verdicts_before(self, arm: str, number: int) -> list[str]:
        """What says whether an arm has converged before a round: none before its third."""
        rounds = self.inputs.config.arm_rounds(arm)
        if rounds.stop is None or not 3 <= number <= rounds.count:
            return []
        return [at(paths.CONVERGENCE, arm=arm, round=number - 1)]

    def prompt_shard(self, arm: str, number: int, shard: str) -> str:
        """The prompts of a shard that an arm's round takes: all, or those selected for it."""
        rounds = self.inputs.config.arm_rounds(arm)
        sliced = rounds.slices_of_prompts and number <= rounds.count
        if sliced or self.verdicts_before(arm, number):
            return at(paths.ROUND_PROMPTS, arm=arm, round=number, shard=shard)
        return at(paths.PROMPT_SHARD, shard=shard)

    def prompts_of_policy(self, wildcards: Wildcards) -> str:
        """The prompts of a shard that a policy answers: those of the round that learns from them.

        The actor answers all, or one slice of them if all arms' first rounds take that alone.
        """
        config, policy, shard = self.inputs.config, wildcards.policy, wildcards.shard
        if evaluated := Evaluated.of(policy):
            return at(paths.EVALUATION_PROMPTS, evaluation=evaluated.evaluation, shard=shard)
        turn = config.round_of(policy)
        slices = {config.arm_rounds(arm).slices_of_prompts for arm in config.arms}
        if policy == BASE and len(slices) == 1 and None not in slices:
            turn = next(iter(config.arms)), 1
        return self.prompt_shard(*turn, shard) if turn else at(paths.PROMPT_SHARD, shard=shard)

    def prompts(self, wildcards: Wildcards) -> list[str]:
        """The prompts that a job's round takes, all shards."""
        arm, number = wildcards.arm, int(wildcards.round)
        return [self.prompt_shard(arm, number, shard) for shard in self.inputs.shards]

    def dialogues(self, wildcards: Wildcards) -> list[str]:
        """The dialogues that a job's round learns from, all shards."""
        return self.inputs.dialogues_of(policy_of_round(wildcards.arm, int(wildcards.round)))

    def rewards(self, wildcards: Wildcards) -> str:
        """The rewards table that labels the pairs of a job's round."""
        return self.rewards_of(wildcards.arm, int(wildcards.round))

    def rewards_of(self, arm: str, number: int) -> str:
        """The rewards table that labels the pairs of an arm's round."""
        policy = policy_of_round(arm, number)
        return at(paths.REWARDS, policy=policy, reward=self.inputs.config.arms[arm].reward)

    def start(self, wildcards: Wildcards) -> str:
        """The manifest of the model that a round trains: from the second on the last checkpoint."""
        arm, number = wildcards.arm, int(wildcards.round)
        if number == 1:
            return self.start_of_arm(arm)
        return at(paths.CHECKPOINT_MANIFEST, arm=arm, round=number - 1)

    def start_of_arm(self, arm: str) -> str:
        """The manifest of the model that an arm's first round trains."""
        return self.inputs.manifest_of_model(self.inputs.config.start_of(arm))

    def reference(self, wildcards: Wildcards) -> str | list[str]:
        """The manifest of the reference model, where that is not the model that is trained."""
        initial = self.inputs.config.arm_rounds(wildcards.arm).reference == "initial"
        return self.start_of_arm(wildcards.arm) if initial and int(wildcards.round) > 1 else []
