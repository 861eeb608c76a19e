"""Recorded critiques with their vectors."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wim.critiques.score import lack_shares
from wim.evaluation.study.sets import RecordedSet
from wim.settings.critique_rewards import NamedReward
from wim.tables.ratings import Status
from wim.tables.schemas import WHOLLY_UNKNOWN

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from wim.embedding.encoder import Encoded, StoredEncoder

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class EncodedSet:
    """A set with its vectors: (judgements, components), NaN where a text cannot be read.

    `critiques` has NaN also where the judgement names nothing missing or is not usable.
    """

    recorded: RecordedSet
    responses: "Array"
    critiques: "Array"
    lack: "pd.Series[float]"

    @property
    def name(self) -> str:
        """The set's name."""
        return self.recorded.name

    @property
    def judgements(self) -> "pd.DataFrame":
        """The set's judgements."""
        return self.recorded.judgements

    def vectors(self, reward: NamedReward) -> "Array":
        """The vectors that a head reads."""
        import numpy as np

        if reward.vectors == "critique":
            return self.critiques
        return np.concatenate([self.critiques, self.responses], axis=1)

    def examples(self, reward: NamedReward) -> "pd.DataFrame":
        """What a head is fitted to: the usable critiques, with their judge's own numbers."""
        import numpy as np
        import pandas as pd

        vectors = self.vectors(reward)
        rows = ~np.isnan(vectors).any(axis=1) & self.judgements["rating"].notna().to_numpy()
        some = self.judgements[rows]
        return pd.DataFrame(
            {
                "vector": list(vectors[rows]),
                "number": some["rating"].to_numpy(),
                "prompt": some["prompt"].to_numpy(),
                "group": some["position"].astype(str).to_numpy(),
                "source": self.name,
            }
        )


def encoded_set(recorded: RecordedSet, encoder: "StoredEncoder") -> EncodedSet:
    """A set with the vectors of its responses and critiques."""
    judgements = recorded.judgements
    named = judgements["status"] == Status.OK.value
    texts = [judgements["completion"].tolist(), judgements["wim"][named].tolist()]
    found = [_read_vectors(encoder.encode(some)) for some in texts]
    critiques = found[0] * float("nan")
    critiques[named.to_numpy()] = found[1]
    return EncodedSet(recorded, found[0], critiques, lack_shares(judgements))


def _read_vectors(encoded: "Encoded") -> "Array":
    """Vectors as float64, NaN for texts of which the encoder knows nothing."""
    import numpy as np

    vectors = encoded.vectors.astype(np.float64)
    vectors[np.asarray(encoded.unknown) >= WHOLLY_UNKNOWN] = np.nan
    return vectors
