"""The summary's part on the texts: their scripts, and what of them the encoder reads."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from wim.display.markdown import markdown_table
from wim.embedding.reading import reading_warnings
from wim.evaluation.audit import Audit
from wim.tables.files import read_table
from wim.tables.ratings import Status
from wim.tables.schemas import RATINGS
from wim.writing import script_of


def count_scripts(ratings: Iterable[str | Path]) -> dict[str, dict[str, int]]:
    """For each judge, how many of the critiques that name something are in which script."""
    found: dict[str, Counter[str]] = {}
    for path in ratings:
        for row in read_table(path, RATINGS, ["judge", "status", "wim"]).to_pylist():
            if row["status"] == Status.OK and row["wim"] is not None:
                scripts = found.setdefault(row["judge"], Counter())
                scripts[script_of(row["wim"]) or "none"] += 1
    return {judge: dict(sorted(scripts.items())) for judge, scripts in sorted(found.items())}


def scripts_table(scripts: Mapping[str, Mapping[str, int]]) -> str:
    """The counts as a table in Markdown, the most frequent script first."""
    total = sum(map(Counter, scripts.values()), Counter[str]())
    return markdown_table(
        [
            {
                "judge": f"`{judge}`",
                **{script: f"{counts.get(script, 0):,}" for script, _ in total.most_common()},
            }
            for judge, counts in scripts.items()
        ]
    )


def reading_text(audits: Mapping[str, Audit]) -> str:
    """A warning in Markdown about what the encoder does not read; empty where it reads enough."""
    lines = [
        f"> - `{judge}`: {warning}"
        for judge, audit in audits.items()
        for warning in reading_warnings(
            {"responses": audit.read_responses, "critiques": audit.read_critiques}
        )
    ]
    if not lines:
        return ""
    return "\n".join(["", "> **The encoder does not read all of the texts:**", ">", *lines, ""])
