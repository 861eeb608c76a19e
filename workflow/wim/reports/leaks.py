"""The summary's part on held-out prompts that stand in those that are trained on."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from wim.evaluation.leaks import read_leaks

TEXT = """
> **Held-out prompts that stand in the training prompts: {count}** ({kinds}), which makes held-out
> figures too good: `{path}`.
"""


def count_leaks(path: Path) -> Counter[str]:
    """How many held-out prompts leak, by kind."""
    return Counter(read_leaks(path).values())


def leaks_text(leaks: Mapping[str, Counter[str]]) -> str:
    """A warning in Markdown for each file with leaks; empty where there is none."""
    return "".join(
        TEXT.format(
            count=found.total(),
            kinds=", ".join(f"{count} {kind}" for kind, count in sorted(found.items())),
            path=path,
        )
        for path, found in leaks.items()
        if found
    )
