"""Which tables the page is made of, by the names in their paths."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from wim.settings.sampled_judges import judge_of_sample


class PageInputs(Protocol):
    """The tables that the page shows, each a list of files; empty where there are none.

    Attributes:
        prompts: The shards of the run's prompts.
        dialogues: <policy>/<shard>.parquet.
        ratings: <policy>/<judge>/<shard>.parquet, and <policy>/<judge>~<sample>/<shard>.parquet.
        aspects: <policy>/<judge>/<shard>.parquet.
        rewards: <policy>/<reward>.parquet.
        comparisons: <comparison>/<judge>/<shard>.parquet.
        pairs: <arm>/round<r>.parquet.
        online: <arm>/round<r>/ with dialogues.parquet, ratings.parquet and rewards.parquet.
    """

    prompts: list[str]
    dialogues: list[str]
    ratings: list[str]
    aspects: list[str]
    rewards: list[str]
    comparisons: list[str]
    pairs: list[str]
    online: list[str]


@dataclass
class PageFiles:
    """These tables, by their files."""

    prompts: list[str] = field(default_factory=list)
    dialogues: list[str] = field(default_factory=list)
    ratings: list[str] = field(default_factory=list)
    aspects: list[str] = field(default_factory=list)
    rewards: list[str] = field(default_factory=list)
    comparisons: list[str] = field(default_factory=list)
    pairs: list[str] = field(default_factory=list)
    online: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Source:
    """Tables of one policy's candidates.

    Attributes:
        name: The policy.
        dialogues: Its shards.
        ratings: The shards of each judge, sample by sample.
        aspects: The shards of each judge of aspects.
        rewards: The table of each reward.
    """

    name: str
    dialogues: list[Path] = field(default_factory=list)
    ratings: dict[str, list[Path]] = field(default_factory=dict)
    aspects: dict[str, list[Path]] = field(default_factory=dict)
    rewards: dict[str, Path] = field(default_factory=dict)


def sources_of(inputs: PageInputs, arms: Sequence[Mapping[str, Any]]) -> list[Source]:
    """The tables of each policy, in the order of its dialogues.

    Args:
        inputs: The tables.
        arms: The arms' rounds; `judge` and `reward` name the tables of one that trains online.
    """
    found: dict[str, Source] = {}
    for path in _paths(inputs.dialogues):
        policy = path.parent.name
        found.setdefault(policy, Source(policy)).dialogues.append(path)
    for path in _paths(inputs.ratings):
        source = found[path.parent.parent.name]
        source.ratings.setdefault(judge_of_sample(path.parent.name), []).append(path)
    for path in _paths(inputs.aspects):
        source = found[path.parent.parent.name]
        source.aspects.setdefault(path.parent.name, []).append(path)
    for path in _paths(inputs.rewards):
        found[path.parent.name].rewards[path.stem] = path
    of_round = {(each["arm"], f"round{each['round']}"): each for each in arms}
    for path in _paths(inputs.online):
        arm, number = path.parent.parent.name, path.parent.name
        name = f"{arm}-{number}-online"
        source = found.setdefault(name, Source(name))
        if path.stem == "dialogues":
            source.dialogues.append(path)
        elif path.stem == "ratings":
            source.ratings.setdefault(str(of_round[arm, number]["judge"]), []).append(path)
        else:
            source.rewards[str(of_round[arm, number]["reward"])] = path
    return list(found.values())


def _paths(files: Iterable[str]) -> list[Path]:
    return [Path(file) for file in files]
