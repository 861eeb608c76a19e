"""The candidates of a run as the report counts them: arrays of numbers, in the order of their ids."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wim.errors import UserError
from wim.paths import made_anew
from wim.tables.files import read_candidates, read_table
from wim.tables.ids import id_bytes, places_of
from wim.tables.schemas import CONTEXT, REWARDS

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class CandidateNumbers:
    """What the figures of rewards need of each candidate.

    Attributes:
        ids: Their ids (candidates,), sorted, as bytes.
        context: The number of each one's context (candidates,).
        completion_tokens: The length of each (candidates,).
    """

    ids: "np.ndarray[Any, Any]"
    context: "np.ndarray[Any, Any]"
    completion_tokens: "np.ndarray[Any, Any]"

    def rewards(
        self, path: Path, columns: Sequence[str]
    ) -> "tuple[int, list[np.ndarray[Any, Any]]]":
        """How many rows a rewards table has, and its columns by candidate, NaN where it has none.

        Raises:
            UserError: For candidates that are in none of the dialogues tables.
        """
        import numpy as np

        rows = read_table(path, REWARDS, ["candidate_id", *columns])
        ids = id_bytes(rows["candidate_id"])
        places, known = places_of(ids, self.ids)
        if not known.all():
            raise UserError(
                f"{path}: {np.count_nonzero(~known)} candidates, first "
                f"{ids[~known][0].decode()}, are in none of the dialogues tables. {made_anew(path)}"
            )
        found = []
        for name in columns:
            values = np.full(len(self.ids), np.nan)
            values[places] = rows[name].cast("float64").fill_null(float("nan")).to_numpy()
            found.append(values)
        return len(rows), found


def candidate_numbers(dialogues: Iterable[str | Path]) -> CandidateNumbers:
    """The candidates of some shards; all of a context are in one shard."""
    import numpy as np

    ids, contexts, lengths = [np.empty(0, dtype="S1")], [np.empty(0, int)], [np.empty(0)]
    count = 0
    for path in dialogues:
        rows = read_candidates(path, ["candidate_id", *CONTEXT, "completion_tokens"])
        context = rows.select(list(CONTEXT)).to_pandas().groupby(list(CONTEXT), sort=False).ngroup()
        ids.append(id_bytes(rows["candidate_id"]))
        contexts.append(count + context.to_numpy(np.int64))
        lengths.append(rows["completion_tokens"].to_numpy().astype(np.float64))
        count += int(context.max()) + 1 if len(context) else 0
    names = np.concatenate(ids)
    order = np.argsort(names, kind="stable")
    return CandidateNumbers(
        names[order], np.concatenate(contexts)[order], np.concatenate(lengths)[order]
    )
