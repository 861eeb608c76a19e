"""Which judges a configuration has for what: rating, comparing, grading, and how often each rates."""

from collections.abc import Iterable
from dataclasses import dataclass

from wim import paths
from wim.settings.config import Config
from wim.settings.label_judges import LabelJudge
from wim.settings.sampled_judges import sample_names


@dataclass(frozen=True)
class Judges:
    """The names of the judges of each kind, in the configuration's order."""

    config: Config

    @property
    def rating_judges(self) -> dict[str, LabelJudge]:
        """The judges that rate one candidate at a time."""
        return {name: each for name, each in self.config.judges.items() if each.rates}

    @property
    def single_judges(self) -> list[str]:
        """The judges that rate each candidate once, as a whole, in words or by a reward model."""
        return [
            name
            for name, each in self.rating_judges.items()
            if each.samples == 1 and not each.aspects and each.label is None
        ]

    @property
    def label_judges(self) -> list[str]:
        """The judges whose number is the probability of a classifier's label."""
        return [name for name, each in self.rating_judges.items() if each.label is not None]

    @property
    def sampling_judges(self) -> list[str]:
        """The judges that rate each candidate several times, as a whole."""
        judges = self.rating_judges.items()
        return [name for name, each in judges if each.samples > 1 and not each.aspects]

    @property
    def aspect_judges(self) -> list[str]:
        """The judges that rate each candidate in several aspects, once or several times."""
        return [name for name, each in self.rating_judges.items() if each.aspects]

    @property
    def critics(self) -> list[str]:
        """The judges that say in words what is missing."""
        return [name for name, each in self.config.judges.items() if each.criticises]

    @property
    def pair_judges(self) -> list[str]:
        """The judges that compare two candidates."""
        return [name for name, each in self.config.judges.items() if each.compares]

    @property
    def grading_judges(self) -> list[str]:
        """The judges of answers to questions of several turns."""
        return [name for name, each in self.config.judges.items() if each.grades]

    def ratings_by_sample(self, judges: Iterable[str]) -> list[str]:
        """The tables of a shard by sample, of as many as any of these judges makes.

        Those after a judge's own last have no row, since a rule has as many outputs for each judge.
        """
        most = max((self.config.judges[name].samples for name in judges), default=1)
        return [paths.RATINGS.replace("{judge}", name) for name in sample_names("{judge}", most)]
