"""What the experiments read, and what decides them."""

from dataclasses import dataclass

from wim.dag.inputs import Inputs, Wildcards
from wim.dag.specs import spec


@dataclass(frozen=True)
class Experiments:
    """The experiments of the configuration."""

    inputs: Inputs

    def bandit(self, wildcards: Wildcards) -> str:
        """All settings of the bandit."""
        return spec(bandit=self.inputs.config.bandit)
