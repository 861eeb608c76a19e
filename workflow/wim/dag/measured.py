"""What the reward gate and the study have found of each reward, as far as they have run.

The summary says it, and is made again when it changes; it makes neither of the two run.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from wim import paths
from wim.display.json_files import read_json

GATE, STUDY = (Path(paths.evaluation(name)) for name in ("gate.json", "study.json"))


def measured_rewards(rewards: Iterable[str], labels: str) -> dict[str, list[dict[str, str]]]:
    """The set, pairs and accuracy of each measurement of a reward, by its name.

    Args:
        rewards: The rewards of the configuration.
        labels: The names of the gate's files of labelled pairs; empty where it has none.
    """
    sets = dict(_sets(labels))
    found: dict[str, list[dict[str, str]]] = {}
    for name in rewards:
        for where, figures in sets.items():
            one = figures.get(name)
            if one is not None and one["accuracy"]["value"] is not None:
                value, pairs = one["accuracy"]["value"], one["accuracy"]["n"]
                of_set = {"set": where, "pairs": f"{pairs:,}", "accuracy": f"{value:.2f}"}
                found.setdefault(name, []).append(of_set)
    return found


def _sets(labels: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Figures by reward, of each set; those of the study come last, and stand for the gate's."""
    if labels and GATE.exists():
        yield f"gate: {labels}", read_json(GATE)
    if STUDY.exists():
        for name, of_set in read_json(STUDY)["sets"].items():
            yield name, of_set["rewards"]
