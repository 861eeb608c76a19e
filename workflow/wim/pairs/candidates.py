"""The candidates that pairs are made of: numbered through all shards, their texts read when needed.

Texts are by far the most of a run, so of a run of millions only those of one shard are in memory, and
those of the pairs of one piece of the table that is written.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from wim.tables.files import read_candidates
from wim.tables.schemas import CUT, DIALOGUES

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

# The columns of candidates that pairs have, besides ids and contexts.
OF_SIDES = ["finish_reason", "reasoning", "tokens"]
IDS = ["candidate_id", "prompt_id"]
TEXTS = ["context", "completion", *OF_SIDES]


@dataclass(frozen=True)
class Shard:
    """The candidates of one dialogues table.

    Attributes:
        path: The table.
        policy: Who wrote them.
        first: The number of the first of them.
        count: How many there are.
    """

    path: Path
    policy: str
    first: int
    count: int


class Candidates:
    """The candidates of several dialogues tables; prompts: only those of these, None for all."""

    def __init__(self, prompts: Mapping[str, object] | None = None) -> None:
        self._prompts = prompts
        self._shards: list[Shard] = []
        self._ids: list[pa.Table] = []
        self._cut: list[np.ndarray[Any, Any]] = []

    def __len__(self) -> int:
        return self._shards[-1].first + self._shards[-1].count if self._shards else 0

    def add(self, path: Path, policy: str, columns: Sequence[str]) -> tuple[int, "pa.Table"]:
        """Add a table's rows; returns the number of the first of them, and these columns of them."""
        import numpy as np
        import pyarrow.compute as pc

        rows = self._read(path, [*dict.fromkeys([*columns, *IDS, "finish_reason"])])
        first = len(self)
        self._shards.append(Shard(path, policy, first, len(rows)))
        self._ids.append(rows.select(IDS).combine_chunks())
        self._cut.append(np.asarray(pc.equal(rows["finish_reason"], CUT).fill_null(False)))
        return first, rows.select(columns)

    def _read(self, path: Path, columns: Sequence[str]) -> "pa.Table":
        rows = read_candidates(path, columns)
        return rows if self._prompts is None else of_prompts(rows, self._prompts)

    @property
    def ids(self) -> "pa.Table":
        """The candidate_id and prompt_id of each."""
        import pyarrow as pa

        return pa.concat_tables([DIALOGUES.schema.empty_table().select(IDS), *self._ids])

    @property
    def cut(self) -> "np.ndarray[Any, Any]":
        """Which of them (candidates,) were cut at max_new_tokens."""
        import numpy as np

        return np.concatenate([np.empty(0, dtype=bool), *self._cut])

    def texts(self, numbers: "np.ndarray[Any, Any]") -> Iterator[tuple["pa.Table", Any]]:
        """The TEXTS and `policy` of some candidates, a shard at a time, with their places in numbers."""
        import numpy as np
        import pyarrow as pa

        order = np.argsort(numbers, kind="stable")
        ordered = numbers[order]
        for shard in self._shards:
            start, end = np.searchsorted(ordered, [shard.first, shard.first + shard.count])
            if start == end:
                continue
            rows = self._read(shard.path, [*TEXTS, "prompt_id"]).select(TEXTS)
            some = rows.take(pa.array(ordered[start:end] - shard.first))
            policy = pa.repeat(pa.scalar(shard.policy), len(some))
            yield some.append_column("policy", policy), order[start:end]


def of_prompts(rows: "pa.Table", prompts: Mapping[str, object]) -> "pa.Table":
    """The rows of these prompts."""
    import pyarrow as pa

    return rows.filter(
        pa.array([name in prompts for name in rows["prompt_id"].to_pylist()], pa.bool_())
    )


class Pieces:
    """Rows that come in any order, put into the pieces of a table that they are for.

    Where there are several pieces, rows wait in files of a folder.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self._files = [folder / f"{number}.arrow" for number in range(count)]
        self._writers: dict[int, Any] = {}
        self._only: list[pa.Table] = []

    def add(self, piece: int, rows: "pa.Table") -> None:
        """Add rows to a piece."""
        import pyarrow as pa

        if len(self._files) == 1:
            self._only.append(rows)
            return
        if piece not in self._writers:
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            self._writers[piece] = pa.ipc.new_stream(
                str(self._files[piece]), rows.schema, options=options
            )
        self._writers[piece].write_table(rows.combine_chunks())

    def read(self, piece: int) -> "pa.Table":
        """All rows of a piece, which are then forgotten."""
        import pyarrow as pa

        if len(self._files) == 1:
            rows, self._only = pa.concat_tables(self._only), []
            return rows
        self._writers.pop(piece).close()
        with pa.ipc.open_stream(str(self._files[piece])) as reader:
            rows = reader.read_all()
        self._files[piece].unlink()
        return rows


@contextmanager
def waiting_pieces(beside: Path, count: int) -> Iterator[Pieces]:
    """So many empty pieces, in a folder beside a file for the time of the context."""
    beside.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{beside.name}.", dir=beside.parent) as folder:
        yield Pieces(Path(folder), count)
