"""Digests of code that were computed once, kept for other processes."""

import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import cache_from_source
from pathlib import Path

from wim.atomic import whole_file
from wim.errors import UserError
from wim.provenance.digest import digest_of

# Each start of snakemake and each job would read the whole package for them, which takes seconds.
# Where Python keeps compiled code they serve every working directory; where it keeps none, one.
BYTECODE = Path(cache_from_source(__file__)).parent
FOLDER = Path(".snakemake/wim-code")
STATES = 8


def folder() -> Path:
    """Where digests are kept: beside the compiled code, or where Snakemake keeps what it knows."""
    if sys.dont_write_bytecode or not os.access(BYTECODE, os.W_OK):
        return FOLDER
    return BYTECODE / "kept-digests"


@dataclass(frozen=True)
class KeptDigests:
    """The digests of one state of a package's files.

    They are only a saving: a file that is damaged, cannot be written, or belongs to another state
    of the package costs the time of computing them.

    Attributes:
        file: JSON, from what was asked for to its digest, behind the checksum of all of it. Its
            name tells the state.
    """

    file: Path

    @classmethod
    def of(cls, texts: dict[str, str]) -> "KeptDigests":
        """Those of a package whose files have these texts, as this version of Python reads them."""
        return cls(folder() / f"{digest_of([list(sys.version_info[:2]), texts])}.json")

    def digest(self, asked: str, compute: Callable[[], str]) -> str:
        """The digest of what is asked for, which is computed if it is not kept."""
        kept = self._read()
        if asked not in kept:
            kept = {asked: compute(), **self._read()}
            self._write(kept)
        return kept[asked]

    def _read(self) -> dict[str, str]:
        try:
            checksum, kept = json.loads(self.file.read_text(encoding="utf-8"))
        except (OSError, ValueError, TypeError, RecursionError):
            return {}
        return kept if isinstance(kept, dict) and checksum == digest_of(kept) else {}

    def _write(self, kept: dict[str, str]) -> None:
        if not self.file.parents[1].is_dir():  # Snakemake does not run here.
            return
        with suppress(OSError, UserError), whole_file(self.file) as partial:
            partial.write_text(json.dumps([digest_of(kept), kept]), encoding="utf-8")
        with suppress(OSError):
            states = sorted(self.file.parent.glob("*.json"), key=lambda path: path.stat().st_mtime)
            for former in states[:-STATES]:
                former.unlink()
