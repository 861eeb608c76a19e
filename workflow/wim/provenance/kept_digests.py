"""Digests of code that were computed once, kept for the other processes of a working directory."""

import json
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from wim.atomic import whole_file
from wim.errors import UserError
from wim.provenance.digest import digest_of

# Each start of snakemake and each job would read the whole package for them, which takes seconds.
FOLDER = Path(".snakemake/wim-code")
STATES = 8


@dataclass(frozen=True)
class KeptDigests:
    """The digests of one state of a package's files, where Snakemake keeps what it knows.

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
        return cls(FOLDER / f"{digest_of([list(sys.version_info[:2]), texts])}.json")

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
        if not FOLDER.parent.is_dir():  # Snakemake does not run here.
            return
        with suppress(OSError, UserError), whole_file(self.file) as partial:
            partial.write_text(json.dumps([digest_of(kept), kept]), encoding="utf-8")
        with suppress(OSError):
            states = sorted(FOLDER.glob("*.json"), key=lambda path: path.stat().st_mtime)
            for former in states[:-STATES]:
                former.unlink()
