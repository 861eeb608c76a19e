"""What Snakemake has recorded of the outputs in the working directory."""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path

RECORDS = Path(".snakemake/metadata")
_CODE_PARAM = re.compile(r"'([0-9a-f]{64})'")


def recorded_codes(stage: str) -> dict[str, list[str]]:
    """The codes that a stage's outputs were made by, as Snakemake recorded them, with the files."""
    made_by: dict[str, list[str]] = {}
    for output, record in _records():
        params = record.get("params")
        if record.get("rule") == stage and isinstance(params, list) and Path(output).exists():
            for match in filter(None, map(_CODE_PARAM.fullmatch, map(str, params))):
                made_by.setdefault(match[1], []).append(output)
    return {code: sorted(files) for code, files in sorted(made_by.items())}


def _records() -> Iterator[tuple[str, dict[str, object]]]:
    """Snakemake's records: an output's path in URL-safe base64 (in pieces where long), and JSON."""
    for path in RECORDS.rglob("*"):
        if not path.is_file():
            continue
        name = "".join(part.removeprefix("@") for part in path.relative_to(RECORDS).parts)
        try:
            output = base64.urlsafe_b64decode(name).decode()
            record = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(record, dict):
            yield output, record
