"""The checkpoint of an arm that has stopped, carried forward as that of the next round."""

import json
import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wim.atomic import whole_file, whole_folder
from wim.display.json_files import write_json
from wim.models.manifest import write_manifest

logger = logging.getLogger(__name__)
NOTICE = """\
**This is the checkpoint of round {before}, passed on unchanged as that of round {round}**: {reason}
Nothing was generated, judged or trained in this round. The rest of this card is that of the
checkpoint.

"""


def carry_forward(before: Path, reason: str, names: Mapping[str, Any], folder: Path) -> None:
    """Make the checkpoint of the round before that of this round, in an arm that has stopped.

    The weights are linked where the file system can, copied otherwise. The card, provenance.json
    and the manifest's source say which round they are from.

    Args:
        before: Folder of the checkpoint of the round before.
        reason: Why the arm stopped.
        names: The `arm` and the `round`.
        folder: Where the checkpoint is written.
    """
    number = int(names["round"])
    with whole_folder(folder) as partial:
        shutil.copytree(before, partial, copy_function=_link, dirs_exist_ok=True)
        story = json.loads((before / "provenance.json").read_text(encoding="utf-8"))
        story["passed_on"] = {"from_round": number - 1, "to_round": number, "reason": reason}
        card = (before / "README.md").read_text(encoding="utf-8")
        head, separator, rest = card.partition("\n# ")
        notice = NOTICE.format(before=number - 1, round=number, reason=reason)
        # The files are shared with the folder before, so they are replaced and not written into.
        write_json(partial / "provenance.json", story)
        with whole_file(partial / "README.md") as new:
            new.write_text(f"{head}\n{notice}{separator.lstrip()}{rest}", encoding="utf-8")
        source = f"arm {names['arm']}, round {number - 1}, passed on as round {number}: {reason}"
        write_manifest(partial, source)
    logger.info("dpo: the checkpoint of round %d is passed on: %s", number - 1, reason)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
