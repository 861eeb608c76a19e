"""Snapshots of the Hugging Face hub, from its cache on this machine or downloaded."""

import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from wim.errors import UserError

logger = logging.getLogger(__name__)

# Read when this module is imported, which a script does before wim.job.job takes the hub
# away from the libraries: this is the user's own setting.
USER_OFFLINE = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""

DOWNLOAD = """
import json, sys
from huggingface_hub import snapshot_download
try:
    snapshot_download(**json.loads(sys.argv[1]))
except OSError as error:
    sys.exit(str(error))
"""


@dataclass(frozen=True)
class HubFiles:
    """Files of a repository at a revision that match a pattern of `keep` and none of `leave`."""

    kind: Literal["model", "dataset"]
    repo: str
    revision: str
    keep: Sequence[str]
    leave: Sequence[str] = ()

    @property
    def request(self) -> dict[str, object]:
        """The arguments of snapshot_download."""
        return {
            "repo_id": self.repo,
            "repo_type": self.kind,
            "revision": self.revision,
            "allow_patterns": list(self.keep),
            "ignore_patterns": list(self.leave),
        }

    @property
    def command(self) -> str:
        """The command that fills the cache by hand."""
        kind = "" if self.kind == "model" else f" --repo-type {self.kind}"
        return f"hf download {self.repo}{kind} --revision {self.revision}"


def user_is_offline() -> bool:
    """Whether the user has set that the hub must not be queried."""
    return USER_OFFLINE.upper() in ("1", "ON", "YES", "TRUE")


def hub_snapshot(
    wanted: HubFiles, source: str, check: Callable[[Path], Sequence[str]]
) -> tuple[Path, Sequence[str]]:
    """The snapshot's folder, named by its commit, and the names that `check` finds in it.

    Args:
        wanted: The files.
        source: What errors begin with.
        check: Returns the names of a snapshot's files; raises UserError if something is missing,
            as after an interrupted download.

    Raises:
        UserError: Neither the cache nor the hub has the files.
    """
    try:
        return _cached(wanted, source, check)
    except UserError as error:
        cache_says = error
    if user_is_offline():
        raise UserError(
            f"{cache_says}\nHF_HUB_OFFLINE is set, so the hub was not queried. Unset it, or run "
            f"`{wanted.command}` where there is network and point HF_HOME to that cache."
        )
    logger.info("%s: downloading from the hub", source)
    # In its own process: huggingface_hub reads HF_HUB_OFFLINE once, when it is imported.
    error_text = failure_of(
        [sys.executable, "-c", DOWNLOAD, json.dumps(wanted.request)],
        {**os.environ, "HF_HUB_OFFLINE": "0"},
    )
    if error_text:
        raise UserError(
            f"{cache_says}\nThe hub did not give it either: {error_text}\n"
            f"Check the name, the revision, the network and (for a gated {wanted.kind}) HF_TOKEN; "
            f"or run `{wanted.command}` where there is network and point HF_HOME to that cache."
        )
    return _cached(wanted, source, check)


def _cached(
    wanted: HubFiles, source: str, check: Callable[[Path], Sequence[str]]
) -> tuple[Path, Sequence[str]]:
    """The snapshot in the hub's cache. Raises UserError if it is missing or incomplete."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, IncompleteSnapshotError
    from huggingface_hub.errors import LocalEntryNotFoundError as NotCached

    try:
        folder = Path(
            snapshot_download(
                wanted.repo,
                repo_type=wanted.kind,
                revision=wanted.revision,
                allow_patterns=list(wanted.keep),
                ignore_patterns=list(wanted.leave),
                local_files_only=True,
            )
        )
    except HFValidationError as error:
        raise UserError(f"{source}: not a repository of the hub: {error}") from None
    except IncompleteSnapshotError as error:
        raise UserError(f"{source}: {error}") from None
    except NotCached:
        raise UserError(f"{source}: not in the hub's cache on this machine.") from None
    # An interrupted download leaves a snapshot too, and old caches do not list what is missing.
    return folder, check(folder)


def failure_of(command: list[str], environment: Mapping[str, str] | None = None) -> str | None:
    """Run a command; None if it succeeds, else what it wrote to stderr."""
    done = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return None
    text = re.sub(r"\x1b\[[0-9;]*m", "", done.stderr).strip()
    return text or f"exit status {done.returncode}"
