"""Fetch prompt files of a data set on the Hugging Face hub, and pack them into one file."""

import logging
import tarfile
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from wim.atomic import whole_file
from wim.errors import UserError
from wim.fetch.folders import file_names
from wim.fetch.hub import HubFiles, hub_snapshot
from wim.settings.prompts import HUB_PROMPTS

logger = logging.getLogger(__name__)


def stage_prompts(source: str, output: Path) -> None:
    """Write the files that `hf:<data set>@<revision>/<files>` names to a .tar, by name.

    `files` is a path in the data set, or a pattern of paths (*, ?). The same files give the same
    bytes, without times or owners.

    Raises:
        UserError: The files cannot be fetched.
    """
    parts = HUB_PROMPTS.fullmatch(source)
    if parts is None:
        raise UserError(f"prompts.files: found '{source}'; write hf:<data set>@<revision>/<files>.")
    wanted = HubFiles("dataset", parts["repo"], parts["revision"], [parts["files"]])
    folder, names = hub_snapshot(
        wanted, source, lambda snapshot: _matching(snapshot, parts["files"], source)
    )
    with whole_file(output) as partial, tarfile.open(partial, "w") as tar:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size = (folder / name).stat().st_size
            with (folder / name).open("rb") as file:
                tar.addfile(entry, file)
    logger.info("%s: %s at commit %s", source, ", ".join(names), folder.name)


def _matching(snapshot: Path, pattern: str, source: str) -> Sequence[str]:
    """The names in a snapshot that match a pattern. Raises UserError if there is none."""
    names = [name for name in file_names(snapshot) if fnmatch(name, pattern)]
    if not names:
        raise UserError(f"{source}: not in the hub's cache on this machine.")
    return names
