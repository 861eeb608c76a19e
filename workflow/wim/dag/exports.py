"""What is exported: an arm's round with its judgements, and how it was made."""

from dataclasses import dataclass
from pathlib import Path

from wim import paths
from wim.dag.inputs import Inputs, Wildcards
from wim.dag.page import Page
from wim.dag.rounds import Rounds, policy_of_round
from wim.dag.specs import spec
from wim.dag.training_specs import card_settings
from wim.paths import at
from wim.settings.config import Config

PATTERN = paths.report("exports/{arm}/round{round}")


@dataclass(frozen=True)
class Exports:
    """The exports by a configuration; of each arm's round as a function of wildcards."""

    inputs: Inputs

    @property
    def config(self) -> Config:
        """The configuration."""
        return self.inputs.config

    @property
    def folders(self) -> list[str]:
        """The folder of each arm's round."""
        return [at(PATTERN, arm=arm, round=number) for arm, number in Rounds(self.inputs).all]

    def dialogues(self, wildcards: Wildcards) -> list[str]:
        """The candidates that the pairs are made of."""
        shown = self._of(wildcards)
        return [*shown.dialogues, *(path for path in shown.online if _is(path, "dialogues"))]

    def ratings(self, wildcards: Wildcards) -> list[str]:
        """What judges said of them."""
        shown = self._of(wildcards)
        return [*shown.ratings, *(path for path in shown.online if _is(path, "ratings"))]

    def aspects(self, wildcards: Wildcards) -> list[str]:
        """What judges of aspects said of them in each."""
        return self._of(wildcards).aspects

    def rewards(self, wildcards: Wildcards) -> list[str]:
        """Their rewards; of an arm that trains online they are in its pairs."""
        return self._of(wildcards).rewards

    def manifests(self, wildcards: Wildcards) -> list[str]:
        """The manifests of the models that answered, judged and encoded."""
        config, arm = self.config, wildcards.arm
        judges = config.judges_of(config.arms[arm].reward or "")
        models = [*self.inputs.speakers(), *(config.judges[judge].model for judge in judges)]
        if self._of(wildcards).embedded:
            models.append(config.embeddings.encoder)
        return [self.inputs.manifest_of_model(name) for name in dict.fromkeys(models)]

    def spec(self, wildcards: Wildcards) -> str:
        """The data set's name and licence, and for its card how the pairs were made."""
        arm, number = wildcards.arm, int(wildcards.round)
        return spec(
            export=self.config.export,
            made_by={
                "arm": arm,
                "round": number,
                "policy": policy_of_round(arm, number),
                "reward": self.config.arms[arm].labelled_by,
                "settings": card_settings(self.config.upstream_settings(arm, number)),
                "seed": self.config.seed,
            },
        )

    def _of(self, wildcards: Wildcards) -> Page:
        return Page(self.inputs, only=(wildcards.arm, int(wildcards.round)))


def _is(path: str, table: str) -> bool:
    return Path(path).stem == table
