"""Changes of code that a person has judged: accepted as cosmetic, or a stage made to run again.

They are kept in `code.json` in the working directory, beside the results that they are about:
    {"accepted": {stage: {digest now: digest that it counts as}}, "forced": {stage: [token]}}
Rules (`params.code`) and jobs (keys of stored rows) look a stage's digest up here. This module is
left out of all digests of code: it decides what runs, never what comes out.
"""

import difflib
import json
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from wim import paths
from wim.atomic import whole_file
from wim.display.json_files import write_json
from wim.errors import UserError
from wim.provenance.code import PACKAGE, code_digest
from wim.provenance.digest import digest_of
from wim.provenance.snakemake_records import recorded_codes

FILE = Path("code.json")
SCRIPTS = PACKAGE.parent / "scripts"
STAGES = tuple(sorted(path.stem for path in SCRIPTS.glob("*.py")))
CHECKPOINTS = (
    paths.at(paths.CHECKPOINT, arm="*", round="*"),
    paths.at(paths.SFT, sft="*"),
    paths.at(paths.REWARD_MODEL, reward_model="*"),
)
THIS = "wim.provenance.code_changes"
# Imported by name: no digest of a stage that looks its own code up may cover the others'.
DECIDES_ROWS = {
    "create_topics": ("wim.engines.stored", "engine_codes"),
    "generate_dialogues": ("wim.engines.stored", "engine_codes"),
    "rate_candidates": ("wim.judging.rate", "answer_codes"),
    "compare_candidates": ("wim.engines.stored", "engine_codes"),
    "embed_critiques": ("wim.embedding.encoder", "encoder_code"),
    "train_dpo": ("wim.training.dpo.train", "dpo_code"),
    "train_sft": ("wim.training.sft.train", "sft_code"),
    "train_reward_model": ("wim.training.reward_model", "reward_model_code"),
}
NAMED = 3
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class CodeChanges:
    """The content of code.json: accepted digests by stage, and the forcing tokens, last in force."""

    accepted: dict[str, dict[str, str]] = field(default_factory=dict)
    forced: dict[str, list[str]] = field(default_factory=dict)

    def forced_code(self, stage: str, digest: str) -> str:
        """The digest as forcing has changed it; the key of `accepted`."""
        tokens = self.forced.get(stage)
        return digest_of([digest, tokens[-1]]) if tokens else digest

    def effective(self, stage: str, digest: str) -> str:
        """What a digest of code counts as: forced first, then every accepted change followed.

        Raises UserError if a file edited by hand leads in a circle.
        """
        code, seen = self.forced_code(stage, digest), set()
        accepted = self.accepted.get(stage, {})
        while code in accepted:
            if code in seen:
                raise UserError(
                    f"{FILE}: accepted.{stage}: {code[:12]} counts as itself by way of others; "
                    "delete one of those lines."
                )
            seen.add(code)
            code = accepted[code]
        return code

    def accept(self, stage: str, digest: str, former: str) -> None:
        """Let a digest of now count as the one that results were made with."""
        accepted = self.accepted.setdefault(stage, {})
        # Results carry the former one as it is, and a circle cannot arise.
        accepted.pop(former, None)
        accepted[self.forced_code(stage, digest)] = former


def read_changes() -> CodeChanges:
    """What code.json of the working directory says. Raises UserError if it is not of its form."""
    try:
        found = json.loads(FILE.read_text(encoding="utf-8"))
        changes = CodeChanges(**found)
        for names in changes.accepted.values():
            if not all(_DIGEST.fullmatch(code) for pair in names.items() for code in pair):
                raise ValueError("a digest has 64 hex digits")
        for tokens in changes.forced.values():
            if not isinstance(tokens, list):
                raise ValueError("the tokens of a stage are a list")
    except FileNotFoundError:
        return CodeChanges()
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UserError(
            f"{FILE}: cannot be read ({error}); restore it, or delete it: what was accepted then "
            "runs again."
        ) from None
    return changes


def effective_code(stage: str, digest: str) -> str:
    """What a stage's digest of code counts as in this working directory."""
    return read_changes().effective(stage, digest)


def script_code(stage: str) -> str:
    """The digest of the code that a stage's script really executes."""
    return code_digest(SCRIPTS / f"{stage}.py", without=(THIS,))


def stored_code(store: Path, digest: str, kind: str = "") -> str:
    """What the code that decides a stage's stored rows counts as; store: the stage's folder in it.

    kind: of several ways to make them, as in `row_codes`. It is noted down in that folder, under
    the code of the stage, of which it is a function: `wim accept` then knows by which code the rows
    of former results are known, whoever shares the store, and no table's bytes speak of it.
    """
    stage = store.name
    if stage not in STAGES:
        return digest
    changes = read_changes()
    code = changes.effective(stage, digest)
    note = _note(store, changes.effective(stage, script_code(stage)), kind)
    if not note.exists():
        with _user_errors(note), whole_file(note) as partial:
            partial.write_text(f"{code}\n", encoding="utf-8")
    return code


def _note(store: Path, stage_code: str, kind: str) -> Path:
    return store / (f".code-{stage_code}-{kind}" if kind else f".code-{stage_code}")


def row_codes(stage: str) -> dict[str, str]:
    """The digests now of the code that decides a stage's stored rows, by the kind of their making."""
    if stage not in DECIDES_ROWS:
        return {}
    module, function = DECIDES_ROWS[stage]
    found = getattr(import_module(module), function)()
    return found if isinstance(found, dict) else {"": found}


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
    formers = {kind: _noted(_note(store / stage, former, kind)) for kind in rows_now}
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


def standing(stages: tuple[str, ...] = STAGES) -> dict[str, dict[str, str]]:
    """The accepted changes that the code of now relies on, by stage: now -> counts as.

    What was accepted for code that is gone since is left out.
    """
    changes = read_changes()
    found = {}
    for stage in stages:
        accepted = changes.accepted.get(stage, {})
        codes = (script_code(stage), *row_codes(stage).values()) if accepted else ()
        ends = {changes.effective(stage, code) for code in codes}
        of_stage = {
            now: former
            for now, former in accepted.items()
            if CodeChanges({stage: accepted}).effective(stage, now) in ends
        }
        if of_stage:
            found[stage] = of_stage
    return found


def accepted_upstream() -> dict[str, dict[str, str]]:
    """The accepted changes upstream of a checkpoint: of every stage but the summary."""
    return standing(tuple(stage for stage in STAGES if stage != "summary"))


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
    return text if _DIGEST.fullmatch(text) else None


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
        with _user_errors(path):
            write_json(path, {**story, "accepted": accepted})


def _write_changes(changes: CodeChanges) -> None:
    forced = {stage: tokens for stage, tokens in changes.forced.items() if tokens}
    content = {"accepted": changes.accepted, "forced": forced}
    with _user_errors(FILE):
        write_json(FILE, content)


@contextmanager
def _user_errors(path: Path) -> Iterator[None]:
    """Raise UserError if a file's folder cannot be written."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}).") from None
