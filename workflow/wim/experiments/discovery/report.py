"""The report of a discovery: what was tried, how fitness went, and the losses side by side."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from wim.display.json_files import read_json, rounded, write_json
from wim.display.markdown import UNDEFINED, markdown_table
from wim.errors import UserError
from wim.experiments.discovery.archive import Archived, best_of, read_archive
from wim.experiments.discovery.figure import draw_discovery
from wim.settings.discovery import FitnessSettings

logger = logging.getLogger(__name__)
TEXT = """# Discovery of losses

{tried} losses were trained with on the pairs of the arm `{arm}`, {baselines} of them baselines;
{invalid} proposals were not valid, {failed} trainings failed. The fitness is {figure}{of}; {direction}
is better.

![Fitness over generations, and the losses]({picture})

{best}

{table}
{best_code}
- **±** is the standard error of a fitness over the pairs or prompts that it is measured on, where it
  has one. The best of many tries looks better than it is: measure it again on others.
- **Slope**: the derivative of the loss by the difference of log-ratios at the reference. Above 0,
  training begins by lowering margins, as DiscoPOP's own loss does
  ([arXiv 2406.08414](https://arxiv.org/abs/2406.08414)).
"""


class DiscoveryFiles(Protocol):
    """Where the report goes: JSON, Markdown and an SVG figure."""

    table: str
    text: str
    figure: str


def discovery(
    archive: Path | None,
    checks: Sequence[Path],
    candidates: Sequence[str],
    arm: str | None,
    fitness: FitnessSettings | None,
    beta: float,
    output: DiscoveryFiles,
) -> None:
    """Write the report of a discovery.

    Args:
        archive: The archive of the last generation.
        checks: What was checked of each candidate.
        candidates: The candidates, baselines first.
        arm: The arm whose pairs are used.
        fitness: What the fitness is.
        beta: That of the trainings.
        output: Where the report goes.

    Raises:
        UserError: The configuration has no discovery.
    """
    if arm is None or fitness is None or archive is None:
        raise UserError(
            "config: discovery: missing; write discovery: {arm: <name>, proposer: {model: <name>}} "
            "(docs/guide/experiments.md)."
        )
    rows = read_archive(archive)
    shapes = {name: read_json(path) for name, path in zip(candidates, checks, strict=True)}
    figures = rounded(
        {
            "fitness": fitness.model_dump(mode="json"),
            "beta": beta,
            "counts": Counter(row.status for row in rows),
            "losses": [asdict(row) for row in rows],
            "shapes": {
                name: {key: shape[key] for key in ("slope", "over_batch", "curve")}
                for name, shape in shapes.items()
            },
        }
    )
    write_json(output.table, figures)
    draw_discovery(rows, shapes, fitness, Path(output.figure))
    text = _text(rows, shapes, arm, fitness, Path(output.figure).name)
    Path(output.text).write_text(text, encoding="utf-8")
    for line in text.splitlines():
        logger.info("%s", line)


def _text(
    rows: Sequence[Archived],
    shapes: Mapping[str, Mapping[str, Any]],
    arm: str,
    fitness: FitnessSettings,
    picture: str,
) -> str:
    counts = Counter(row.status for row in rows)
    best = best_of(rows, fitness.direction)
    of = f" of the evaluation `{fitness.evaluation}`" if fitness.evaluation else ""
    return TEXT.format(
        tried=counts["tried"] + counts["baseline"],
        baselines=counts["baseline"],
        invalid=counts["invalid"],
        failed=counts["failed"],
        arm=arm,
        figure=f"`{fitness.figure}`",
        of=of or " of held-out pairs",
        direction="more" if fitness.direction == "max" else "less",
        picture=picture,
        best="Nothing has a fitness." if best is None else f"The best is **{_plain(best.name)}**.",
        table=markdown_table([_row(row, shapes) for row in rows], left=3),
        best_code="" if best is None else f"\n```python\n{_fenced(best.code)}\n```\n",
    )


def _row(row: Archived, shapes: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    slope = shapes[row.candidate]["slope"] if row.candidate else None
    fitness = UNDEFINED
    if row.fitness is not None:
        error = "" if row.standard_error is None else f" ± {row.standard_error:.2g}"
        fitness = f"{row.fitness:.4g}{error}"
    return {
        "generation": str(row.generation),
        "loss": _plain(row.name),
        "status": row.status if row.reason is None else f"{row.status}: {_plain(row.reason)}",
        "fitness": fitness,
        "slope": UNDEFINED if slope is None else f"{slope:.3g}",
        "seconds": UNDEFINED if row.seconds is None else f"{row.seconds:.0f}",
    }


def _plain(text: str | None) -> str:
    """A proposer's text on one line, without what Markdown would read in it."""
    shown = "".join(each if each.isprintable() else " " for each in text or UNDEFINED)
    return "".join(f"\\{each}" if each in r"\`*_[]<>!#|" else each for each in shown[:300])


def _fenced(code: str | None) -> str:
    """A proposer's code as it stands in a block that it cannot end."""
    return (code or "").replace("```", "'''").strip()
