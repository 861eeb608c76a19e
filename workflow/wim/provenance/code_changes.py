"""Changes of code that a person has judged: accepted as cosmetic, or a stage made to run again.

They are kept in `code.json` in the working directory, beside the results that they are about:
    {"accepted": {stage: {digest now: digest that it counts as}}, "forced": {stage: [token]}}
Rules (`params.code`) and jobs (keys of stored rows) look a stage's digest up here. This module is
left out of all digests of code: it decides what runs, never what comes out. The file is written by
wim.provenance.accepting.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from wim.atomic import whole_file
from wim.errors import UserError
from wim.provenance.code import PACKAGE, code_digest
from wim.provenance.digest import digest_of

FILE = Path("code.json")
SCRIPTS = PACKAGE.parent / "scripts"
STAGES = tuple(sorted(path.stem for path in SCRIPTS.glob("*.py")))
THIS = "wim.provenance.code_changes"
# Imported by name: no digest of a stage that looks its own code up may cover the others'.
DECIDES_ROWS = {
    "create_topics": ("wim.engines.stored", "engine_codes"),
    "generate_dialogues": ("wim.engines.stored", "engine_codes"),
    "rate_candidates": ("wim.judging.rate", "answer_codes"),
    "rate_samples": ("wim.judging.rate", "answer_codes"),
    "rate_aspects": ("wim.judging.rate", "answer_codes"),
    "rate_by_label": ("wim.engines.label_scores", "label_code"),
    "compare_candidates": ("wim.engines.stored", "engine_codes"),
    "embed_critiques": ("wim.embedding.encoder", "encoder_code"),
    "train_dpo": ("wim.training.dpo.train", "dpo_code"),
    "train_own_loss": ("wim.training.own_loss", "own_loss_code"),
    "propose_loss": ("wim.engines.stored", "engine_codes"),
    "train_discovered": ("wim.training.own_loss", "own_loss_code"),
    "train_sft": ("wim.training.sft.train", "sft_code"),
    "train_reward_model": ("wim.training.reward_model", "reward_model_code"),
}
# Stages whose rows are those of another stage, in whose folder of the store they are.
SHARES_ROWS = {"rate_samples": "rate_candidates", "rate_aspects": "rate_candidates"}
# Stages that no checkpoint is made from.
AFTER_ALL = ("summary", "page", "export_pairs", "costs")
DIGEST = re.compile(r"[0-9a-f]{64}")


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
            if not all(DIGEST.fullmatch(code) for pair in names.items() for code in pair):
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


# The stage that opens the folder of another stage's rows, while it does.
_ROWS_OF: ContextVar[str | None] = ContextVar("rows_of", default=None)


@contextmanager
def rows_of(stage: str) -> Iterator[None]:
    """Say, while rows of another stage's folder are asked for, which stage it is that asks.

    Forcing or accepting that stage then acts on the rows that it asks for, and on no others.
    """
    token = _ROWS_OF.set(stage)
    try:
        yield
    finally:
        _ROWS_OF.reset(token)


def stored_code(store: Path, digest: str, kind: str = "") -> str:
    """What the code that decides a stage's stored rows counts as; store: the stage's folder in it.

    kind: of several ways to make them, as in `row_codes`. It is noted down in that folder, under
    the code of the stage, of which it is a function: `wim accept` then knows by which code the rows
    of former results are known, whoever shares the store, and no table's bytes speak of it.
    """
    stage, asking = store.name, _ROWS_OF.get()
    if stage not in STAGES:
        return digest
    changes = read_changes()
    code = changes.effective(stage, digest)
    if asking is not None and SHARES_ROWS[asking] == stage:
        stage, code = asking, changes.effective(asking, code)
    note = code_note(store, changes.effective(stage, script_code(stage)), kind)
    if not note.exists():
        with errors_of_writing(note), whole_file(note) as partial:
            partial.write_text(f"{code}\n", encoding="utf-8")
    return code


def code_note(store: Path, stage_code: str, kind: str) -> Path:
    """Where the code that decides a stage's stored rows is noted; store: the stage's folder in it."""
    return store / (f".code-{stage_code}-{kind}" if kind else f".code-{stage_code}")


def row_codes(stage: str) -> dict[str, str]:
    """The digests now of the code that decides a stage's stored rows, by the kind of their making."""
    if stage not in DECIDES_ROWS:
        return {}
    module, function = DECIDES_ROWS[stage]
    found = getattr(import_module(module), function)()
    codes = found if isinstance(found, dict) else {"": found}
    shared = SHARES_ROWS.get(stage)
    if shared is None:
        return codes
    changes = read_changes()
    return {kind: changes.effective(shared, code) for kind, code in codes.items()}


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
    """The accepted changes upstream of a checkpoint: of every stage but those that none is after."""
    return standing(tuple(stage for stage in STAGES if stage not in AFTER_ALL))


@contextmanager
def errors_of_writing(path: Path) -> Iterator[None]:
    """Raise UserError if a file's folder cannot be written."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}).") from None
