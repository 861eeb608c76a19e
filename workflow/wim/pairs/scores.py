"""The rewards of a run's candidates, looked up by their ids in as little memory as numbers take."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wim.pairs.candidates import of_prompts
from wim.tables.files import read_table
from wim.tables.ids import id_bytes, places_of
from wim.tables.ratings import Status
from wim.tables.schemas import REWARDS

if TYPE_CHECKING:
    import pyarrow as pa

AT_ONCE = 2**16


class Scores:
    """The rewards of the candidates of some prompts.

    Attributes:
        considered: How many candidates there are.
        excluded: How many have no reward, by cause.
    """

    def __init__(self, rewards: Path, prompts: Mapping[str, object]) -> None:
        """Read a rewards table, which is sorted by candidate_id."""
        import numpy as np
        import pyarrow as pa

        self.considered = 0
        self.excluded: Counter[str] = Counter()
        names: list[np.ndarray[Any, Any]] = [np.empty(0, dtype="S1")]
        values: list[np.ndarray[Any, Any]] = [np.empty(0)]
        columns = ["candidate_id", "prompt_id", "status", "reward"]
        for batch in read_table(rewards, REWARDS, columns).to_batches(AT_ONCE):
            some = of_prompts(pa.Table.from_batches([batch]), prompts)
            self.considered += len(some)
            has_reward = some["reward"].is_valid()
            for status in some.filter(some["reward"].is_null())["status"].to_pylist():
                self.excluded[_cause(status)] += 1
            some = some.filter(has_reward)
            names.append(id_bytes(some["candidate_id"]))
            values.append(some["reward"].to_numpy())
        self._names, self._values = np.concatenate(names), np.concatenate(values)

    def of(self, candidates: "pa.ChunkedArray") -> dict[str, float]:
        """The rewards of some candidates, of those that have one."""
        places, known = places_of(id_bytes(candidates), self._names)
        names = [name for name, there in zip(candidates.to_pylist(), known, strict=True) if there]
        return dict(zip(names, self._values[places[known]].tolist(), strict=True))


def _cause(status: str) -> str:
    if not Status(status).usable:
        return f"candidates with status {status}"
    return "candidates whose reward is undefined"
