"""What the page shows: the tables of the arms' rounds and of evaluations, and its settings."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from wim import paths
from wim.dag.comparisons import Comparisons
from wim.dag.evaluations import Evaluations
from wim.dag.inputs import ASPECTS, BASE, Inputs, Wildcards
from wim.dag.rewards import Rewards
from wim.dag.rounds import Rounds, policy_of_round
from wim.dag.specs import spec
from wim.paths import at
from wim.provenance.code import PACKAGE
from wim.provenance.digest import digest_file
from wim.settings.config import Config
from wim.settings.evaluated import speakers_of
from wim.settings.sampled_judges import sample_names

# The rewards that measure nothing: they order candidates otherwise than a reward on purpose.
CONTROLS = ("negated", "shuffled_wim", "random")
ASSETS = PACKAGE / "viewing/assets"


@dataclass(frozen=True)
class Page:
    """The page's inputs and its spec, by a configuration.

    only: An arm's round, without which all of them are shown, and evaluations.
    """

    inputs: Inputs
    only: tuple[str, int] | None = None

    @property
    def config(self) -> Config:
        """The configuration."""
        return self.inputs.config

    @property
    def wanted(self) -> bool:
        """Whether there is anything to show."""
        return bool(self.config.arms or self.config.rewards or self._evaluations)

    @property
    def rounds(self) -> list[tuple[str, int]]:
        """The arms' rounds that are shown."""
        return Rounds(self.inputs).all if self.only is None else [self.only]

    @property
    def prompts(self) -> list[str]:
        """The run's prompts, all shards, where the actor has answered them."""
        return self.inputs.prompt_shards() if self._policies else []

    @property
    def pairs(self) -> list[str]:
        """The pairs of these rounds."""
        return [at(paths.PAIRS, arm=arm, round=number) for arm, number in self.rounds]

    @property
    def arms(self) -> list[dict[str, Any]]:
        """The reward and the judge of each of these rounds."""
        arms = self.config.arms
        return [
            {
                "arm": arm,
                "round": number,
                "reward": arms[arm].reward,
                "judge": "+".join(self.config.judges_of(arms[arm].reward or "")),
            }
            for arm, number in self.rounds
        ]

    @property
    def controls(self) -> list[str]:
        """The rewards that measure nothing, by their names."""
        return [name for name, each in self.config.rewards.items() if each.kind in CONTROLS]

    @property
    def dialogues(self) -> list[str]:
        """The dialogues of every policy that an arm learns from or an evaluation compares."""
        answers = [path for name in self._evaluations for path in self._of(name, "answers")]
        learnt = [path for policy in self._policies for path in self.inputs.dialogues_of(policy)]
        return _each_once([*learnt, *answers])

    @property
    def ratings(self) -> list[str]:
        """What judges said of these in every sample, as far as a run makes it anyway."""
        return [
            str(path.parents[1] / sample / path.name)
            for path in map(Path, self._rated)
            for sample in sample_names(
                path.parent.name, self.config.judges[path.parent.name].samples
            )
        ]

    @property
    def aspects(self) -> list[str]:
        """The same in each aspect, of judges that rate several."""
        return [
            at(ASPECTS, policy=path.parents[1].name, judge=path.parent.name, shard=path.stem)
            for path in map(Path, self._rated)
            if path.parent.name in self.inputs.aspect_judges
        ]

    @property
    def _rated(self) -> list[str]:
        """The ratings of each judge, of its first sample."""
        rewards = Rewards(self.inputs)
        of_rounds = [
            at(paths.RATINGS, policy=policy, judge=judge, shard=shard)
            for reward, policy in self._later_rounds
            for judge in self.config.judges_of(reward)
            for shard in self.inputs.shards
        ]
        of_evaluations = [path for name in self._evaluations for path in self._of(name, "ratings")]
        base = rewards.wanted_ratings if BASE in self._policies else []
        return _each_once([*base, *of_rounds, *of_evaluations])

    @property
    def rewards(self) -> list[str]:
        """Every reward of the actor's candidates, and those that later rounds and evaluations use."""
        base = Rewards(self.inputs).tables(BASE) if BASE in self._policies else []
        of_rounds = [
            at(paths.REWARDS, policy=policy, reward=name)
            for reward, policy in self._later_rounds
            for name in [reward, *self.config.rewards[reward].of]
        ]
        of_evaluations = [path for name in self._evaluations for path in self._of(name, "rewards")]
        return _each_once([*base, *of_rounds, *of_evaluations])

    @property
    def comparisons(self) -> list[str]:
        """What judges of pairs said, of the arms that they label and in evaluations."""
        arms = Comparisons(self.inputs).shards_of_arms
        return [
            *arms,
            *(path for name in self._evaluations for path in self._of(name, "comparisons")),
        ]

    @property
    def embedded(self) -> bool:
        """Whether a reward that is shown compares a critique with its response."""
        rewards = [self.config.rewards[Path(path).stem] for path in self.rewards]
        return any("embeddings" in each.reads for each in rewards)

    @property
    def online(self) -> list[str]:
        """What arms that train online sampled and had judged."""
        patterns = (paths.ONLINE_DIALOGUES, paths.ONLINE_RATINGS, paths.ONLINE_REWARDS)
        return [
            at(pattern, arm=arm, round=number)
            for arm, number in self.rounds
            if arm in self.inputs.online_arms
            for pattern in patterns
        ]

    def spec(self, wildcards: Wildcards) -> str:
        """The arms' rounds, the evaluations, the controls, the page's bounds, and its own files.

        Its scripts and style are no Python, which is what `params.code` is made of.
        """
        files = [path for path in sorted(ASSETS.glob("*.*")) if path.suffix != ".py"]
        return spec(
            arms=self.arms,
            evaluations=[self._evaluation(name) for name in self._evaluations],
            controls=self.controls,
            bounds=self.config.page,
            assets={path.name: digest_file(path) for path in files},
            seed=self.config.seed,
        )

    def _evaluation(self, name: str) -> dict[str, Any]:
        settings = self.config.evaluations[name]
        return {
            "name": name,
            "speakers": speakers_of(self.config, name),
            "by": settings.judge or settings.reward,
            "pairs": settings.judge is not None,
        }

    @property
    def _evaluations(self) -> list[str]:
        """The evaluations that say who wins."""
        every = {} if self.only else self.config.evaluations
        return [name for name, settings in every.items() if settings.kind == "win_rate"]

    @property
    def _policies(self) -> list[str]:
        """The policies whose candidates are shown besides those of evaluations and online arms."""
        comparisons = Comparisons(self.inputs)
        found = [BASE] if self.config.rewards and self.only is None else []
        for arm, number in self.rounds:
            if arm in comparisons.arms:
                found += comparisons.policies(comparisons.name_of(arm))
            elif arm not in self.inputs.online_arms:
                found.append(policy_of_round(arm, number))
        return _each_once(found)

    @property
    def _later_rounds(self) -> list[tuple[str, str]]:
        """The reward of each round after an arm's first, and the policy that it learns from."""
        return [
            (reward, policy_of_round(arm, number))
            for arm, number in self.rounds
            if number > 1 and (reward := self.config.arms[arm].reward)
        ]

    def _of(self, evaluation: str, tables: str) -> list[str]:
        """The tables of an evaluation, as its own rule reads them."""
        wildcards = cast(Wildcards, SimpleNamespace(evaluation=evaluation))
        found: list[str] = getattr(Evaluations(self.inputs), tables)(wildcards)
        return found


def _each_once(names: list[str]) -> list[str]:
    return list(dict.fromkeys(names))
