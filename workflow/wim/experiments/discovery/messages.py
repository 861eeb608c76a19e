"""What the proposer is told: the task, the archive, and what became of its own proposals."""

from collections.abc import Sequence

from wim.experiments.discovery.archive import Archived
from wim.own_loss.formula import LOG_PROBABILITIES
from wim.own_loss.vocabulary import FUNCTIONS
from wim.settings.discovery import ProposingSettings
from wim.tables.schemas import Message
from wim.templates import Templates

DIGITS = ".6g"


def messages(
    archive: Sequence[Archived], templates: Templates, settings: ProposingSettings
) -> list[Message]:
    """The conversation so far, by the templates system, start and result.

    Texts of the archive are variables of the templates and never templates themselves.

    Args:
        archive: The baselines, then the proposals in their order.
        templates: Those of discovery.
        settings: Those of discovery.
    """
    told = {
        "functions": ", ".join(FUNCTIONS),
        "parameters": ", ".join((*LOG_PROBABILITIES, "beta")),
        "figure": settings.fitness.figure,
        "direction": settings.fitness.direction,
    }
    baselines = [
        {"name": row.name, "code": row.code, "fitness": _shown(row)}
        for row in archive
        if row.generation == 0
    ]
    found: list[Message] = [
        {"role": "system", "content": templates.render("system", **told)},
        {"role": "user", "content": templates.render("start", baselines=baselines, **told)},
    ]
    proposed = [row for row in archive if row.generation > 0]
    for row in proposed[len(proposed) - settings.history :] if settings.history else []:
        result = templates.render("result", fitness=_shown(row), reason=row.reason, **told)
        found.append({"role": "assistant", "content": row.answer or ""})
        found.append({"role": "user", "content": result})
    return found


def _shown(row: Archived) -> str | None:
    return None if row.fitness is None else f"{row.fitness:{DIGITS}}"
