"""Why a job of a dry run would run, in the user's words."""

import ast
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wim import paths

REASON = re.compile(
    r"; (?=(?:Missing output|Incomplete output|Updated input|Input files|Output file|Job provides"
    r"|Set of input|Code has|Params have|Software env))"
)


@dataclass(frozen=True)
class Job:
    """A job of the dry run; `reason` is in Snakemake's words."""

    rule: str
    wildcards: Mapping[str, str]
    reason: str
    input: Sequence[str]
    output: Sequence[str]
    benchmark: str | None


def reasons_in_words(job: Job, makers: Mapping[str, str]) -> list[str]:
    """Why a job runs. What Snakemake says and is not known here stays in its own words.

    `makers` has the rules of the files that other jobs of the plan make.
    """
    words: list[str] = []
    for reason in REASON.split(job.reason):
        start, _, rest = reason.partition(": ")
        files = [path for path in rest.split(", ") if path]
        if start == "Missing output files":
            words.append("not made yet")
        elif start == "Incomplete output files":
            words.append("stopped before it was done, the last time")
        elif start == "Updated input files":
            words += [_changed_file(job.rule, path) for path in files]
        elif start == "Input files updated by another job":
            words += [_before(path, makers) for path in files]
        elif start == "Params have changed since last execution":
            words += _changed_params(rest) or [reason]
        elif start == "Set of input files has changed since last execution":
            words.append("it reads other files than the last time")
        elif start == "Forced execution":
            words.append("asked for by force")
        else:
            words.append(reason)
    words = list(dict.fromkeys(words))
    before = [each for each in words if each.startswith(BEFORE)]
    others = [each for each in words if each not in before]
    if others == ["not made yet"] or not before:
        return others
    return [*others, BEFORE + ", ".join(sorted(each.removeprefix(BEFORE) for each in before))]


BEFORE = "something before it runs: "


def _before(path: str, makers: Mapping[str, str]) -> str:
    if Path(path).parent.parent == Path(paths.MODELS) and Path(path).exists():
        return f"a model changed: {Path(path).parent.name}"
    return BEFORE + makers.get(path, path)


def _changed_file(rule: str, path: str) -> str:
    if path.endswith(".jinja"):
        return f"judge template changed: {Path(path).name}"
    if rule == "ingest_prompts":
        return f"prompts changed: {path}"
    if Path(path).parent.parent == Path(paths.MODELS):
        return f"a model changed: {Path(path).parent.name}"
    if rule == "stage_model":
        return f"files of the model changed: {path}"
    return f"a file that it reads changed: {path}"


def _changed_params(text: str) -> list[str]:
    """Snakemake's `before: 'a','b' now: 'c'`, sets of our canonical JSON texts and digests."""
    changes = text.partition("before: ")[2].replace("<nothing exclusive>", "")
    for split in re.finditer(" now: ", changes):
        try:
            old = ast.literal_eval(f"[{changes[: split.start()]}]")
            new = ast.literal_eval(f"[{changes[split.end() :]}]")
            olds, news = ([json.loads(e) for e in es if e[:1] == "{"] for es in (old, new))
        except (SyntaxError, ValueError, TypeError):
            continue
        found = {line: None for a in olds for b in news for line in _differences(a, b)}
        words = [f"settings changed: {line}" for line in found]
        if len(new) > len(news):
            words.append("code of this stage changed")
        return words
    return []


def _differences(old: object, new: object, place: str = "") -> list[str]:
    """Each setting that differs: `judge.sampling.max_new_tokens 16 -> 17`."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return [] if old == new else [f"{place} {_short(old)} -> {_short(new)}"]
    found = []
    for key in sorted({*old, *new}):
        inner = f"{place}.{key}" if place else key
        if key not in old:
            found.append(f"{inner} added" + ("" if new[key] == {} else f": {_short(new[key])}"))
        elif key not in new:
            found.append(f"{inner} removed")
        else:
            found += _differences(old[key], new[key], inner)
    return found


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
