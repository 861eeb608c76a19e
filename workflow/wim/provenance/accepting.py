"""Accept a change of code as cosmetic, force a stage to run again, or undo a forcing.

Jobs do not import this module: they read `code.json`, which is written here, with
wim.provenance.code_changes.
"""

import difflib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wim import paths
from wim.display.json_files import write_json
from wim.errors import UserError
from wim.provenance.code_changes import (
    DIGEST,
    FILE,
    SHARES_ROWS,
    STAGES,
    CodeChanges,
    accepted_upstream,
    code_note,
    errors_of_writing,
    read_changes,
    row_codes,
    script_code,
)
from wim.provenance.snakemake_records import recorded_codes

CHECKPOINTS = (
    paths.at(paths.CHECKPOINT, arm="*", round="*"),
    paths.at(paths.SFT, sft="*"),
    paths.at(paths.REWARD_MODEL, reward_model="*"),
)
NAMED = 3


@dataclass(frozen=True)
class Acceptance:
    """What accepting a stage's code came to. Digests are (before, now), None where not needed.

    rows_unknown: it has stored rows, and by which code they are known is noted nowhere.
    """

    outputs: int
    code: tuple[str, str] | None = None
    rows: tuple[str, str] | None = None
    rows_unknown: bool = False


def accept(stage: str, store: Path) -> Acceptance:
    """Let a stage's outputs and stored rows count as made by its code of now.

    store: the row store's folder. Raises UserError for an unknown stage, and if the outputs were
    made by several codes, so that no single one can be meant.
    """
    check_stage(stage)
    changes, now, rows_now = read_changes(), script_code(stage), row_codes(stage)
    made_by = recorded_codes(stage)
    outputs = sum(map(len, made_by.values()))
    if not made_by or set(made_by) == {changes.effective(stage, now)}:
        return Acceptance(outputs)
    if len(made_by) > 1:
        raise UserError(_several_codes(stage, made_by))
    (former,) = made_by
    folder = store / SHARES_ROWS.get(stage, stage)
    formers = {kind: _noted(code_note(folder, former, kind)) for kind in rows_now}
    unknown, rows = bool(formers) and not any(formers.values()), None
    for kind, rows_former in formers.items():
        if rows_former not in (None, changes.effective(stage, rows_now[kind])):
            assert rows_former is not None
            rows = rows or (rows_former, changes.forced_code(stage, rows_now[kind]))
            changes.accept(stage, rows_now[kind], rows_former)
    code = (former, changes.forced_code(stage, now))
    changes.accept(stage, now, former)
    _write_changes(changes)
    _say_so_in_checkpoints()
    return Acceptance(outputs, code, rows, unknown)


def force(stage: str) -> None:
    """Make a stage run again, and compute its rows again. Raises UserError for an unknown stage."""
    check_stage(stage)
    changes = read_changes()
    # A count would meet the rows of whoever has forced as often in a shared store.
    changes.forced.setdefault(stage, []).append(secrets.token_hex(8))
    _write_changes(changes)


def unforce(stage: str) -> bool:
    """Undo the last forcing of a stage.

    Returns whether there was one. Raises UserError for an unknown stage.
    """
    check_stage(stage)
    changes = read_changes()
    tokens = changes.forced.get(stage)
    if not tokens:
        return False
    tokens.pop()
    _write_changes(changes)
    return True


def check_stage(stage: str) -> None:
    """Raises UserError, with the nearest name, if there is no such stage."""
    if stage not in STAGES:
        nearest = difflib.get_close_matches(stage, STAGES, 1, 0.0)[0]
        raise UserError(
            f"no stage '{stage}'; did you mean '{nearest}'? The stages: {', '.join(STAGES)}."
        )


def changed_stages() -> list[str]:
    """The stages with outputs that were made by another code than that of now."""
    changes = read_changes()
    return [
        stage
        for stage in STAGES
        if set(recorded_codes(stage)) - {changes.effective(stage, script_code(stage))}
    ]


def _several_codes(stage: str, made_by: Mapping[str, list[str]]) -> str:
    lines = []
    for code, files in sorted(made_by.items(), key=lambda item: -len(item[1])):
        more = f" and {len(files) - NAMED} more" if len(files) > NAMED else ""
        lines.append(f"  {code[:12]}: {', '.join(files[:NAMED])}{more}")
    return (
        f"{stage}: its outputs were made by {len(made_by)} different codes, so accepting one "
        "would make the others stale:\n" + "\n".join(lines) + "\n"
        "Run the stale ones first (snakemake --until " + stage + "), or delete those that "
        "nothing needs any more."
    )


def _noted(note: Path) -> str | None:
    try:
        text = note.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return None
    return text if DIGEST.fullmatch(text) else None


def _say_so_in_checkpoints() -> None:
    """Bring `accepted` in the provenance of the checkpoints that are there up to date."""
    accepted = accepted_upstream()
    for path in sorted(
        path for each in CHECKPOINTS for path in Path().glob(f"{each}/provenance.json")
    ):
        try:
            story = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            continue
        with errors_of_writing(path):
            write_json(path, {**story, "accepted": accepted})


def _write_changes(changes: CodeChanges) -> None:
    forced = {stage: tokens for stage, tokens in changes.forced.items() if tokens}
    content = {"accepted": changes.accepted, "forced": forced}
    with errors_of_writing(FILE):
        write_json(FILE, content)
