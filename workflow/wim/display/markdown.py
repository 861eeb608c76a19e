"""Markdown: tables, and numbers as their cells show them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wim.statistics import Estimate, Share

UNDEFINED = "\N{EN DASH}"


def markdown_table(rows: Sequence[Mapping[str, str]], left: int | None = 1) -> str:
    """A Markdown table; "None." if it has no rows.

    Args:
        rows: Cells by column, with the same columns in each row.
        left: How many leading columns are aligned left, as texts are; the others are aligned
            right, as numbers are. None aligns all of them left.
    """
    if not rows:
        return "None."
    header = list(rows[0])
    texts = len(header) if left is None else left
    rule = "|---" * texts + "|---:" * (len(header) - texts) + "|"
    head, *body = [_line(cells) for cells in (header, *(row.values() for row in rows))]
    return "\n".join([head, rule, *body])


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def shown(value: float | None, form: str) -> str:
    """A number in a format, or a dash where it is not defined."""
    return UNDEFINED if value is None else f"{value:{form}}"


def percent(value: float | None, digits: int) -> str:
    """A share as a percentage, or a dash where it is not defined."""
    return UNDEFINED if value is None else f"{100 * value:.{digits}f} %"


def share_with_interval(one: "Share") -> str:
    """A share as a percentage, with its interval and n."""
    if one.share is None or one.low is None or one.high is None:
        return f"{UNDEFINED} (n = {one.n:,})"
    interval = f"[{100 * one.low:.2f}, {100 * one.high:.2f}]"
    return f"{percent(one.share, 2)} {interval} (n = {one.n:,})"


def estimate_with_interval(one: "Estimate") -> str:
    """An estimate with its interval, if it has one."""
    if one.value is None:
        return UNDEFINED
    if one.low is None or one.high is None:
        return f"{one.value:.2f}"
    return f"{one.value:.2f} [{one.low:.2f}, {one.high:.2f}]"
