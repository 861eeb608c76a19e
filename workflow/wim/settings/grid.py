"""Grids: arms that differ in a few settings, made from lists of values."""

import difflib
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from wim.errors import UserError
from wim.settings.arms import Arm
from wim.settings.own_loss import PairTrainingSettings
from wim.settings.pairs import PairSettings
from wim.settings.reading import expected_value, merge, section_of
from wim.settings.rounds import RoundSettings
from wim.settings.section import Name, Section

OVERLAID: Mapping[str, type[Section]] = {
    "pairs": PairSettings,
    "training": PairTrainingSettings,
    "rounds": RoundSettings,
}
# Settings whose values need no name before them, and short names of others.
BARE = ("reward", "training.loss")
SHORT = {"learning_rate": "lr"}


@dataclass(frozen=True)
class Point:
    """An arm of a grid: its name, all its settings by dotted key, and those that differ."""

    name: str
    settings: Mapping[str, Any]
    axes: Mapping[str, Any]


def points(name: str, grid: Mapping[str, Any]) -> list[Point]:
    """The arms of a grid: every combination of its lists' values, in the order written.

    A list is an axis; any other value is the same in all arms. An arm's name is the grid's and
    the value of each axis that has several.

    Raises:
        UserError: A key is not one of an arm, a list is empty, or two arms would have one name.
    """
    for key, value in grid.items():
        _check_key(f"grid.{name}", str(key))
        if value == []:
            raise UserError(f"grid.{name}.{key}: found []; write at least one value.")
    axes = {key: value if isinstance(value, list) else [value] for key, value in grid.items()}
    varied = [key for key, values in axes.items() if len(values) > 1]
    found: dict[str, Point] = {}
    for values in itertools.product(*axes.values()):
        settings = dict(zip(axes, values, strict=True))
        differing = {key: settings[key] for key in varied}
        arm = "-".join([name, *(_part(key, value) for key, value in differing.items())])
        if arm in found:
            raise UserError(
                f"grid.{name}: {dict(found[arm].axes)} and {differing} would both be called "
                f"'{arm}'; write them as arms, with names of your choice."
            )
        found[arm] = Point(arm, settings, differing)
    return list(found.values())


def axes_of_arms(grids: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Of each grid's arms, by name, the values of what differs between them."""
    return {
        name: {point.name: dict(point.axes) for point in points(name, grid)}
        for name, grid in grids.items()
    }


def with_arms_of_grids(values: Mapping[str, Any], rewards: Mapping[str, Any]) -> Mapping[str, Any]:
    """A configuration's mapping with the arms of its grids added to its own.

    With `zeta` as a key of a grid, the rewards with that zeta are added too, as
    `<reward>-zeta<value>`.

    Args:
        values: The configuration as it was written.
        rewards: The default rewards.

    Raises:
        UserError: A name is taken.
    """
    grids = _grids(values)
    if not grids or not all(
        isinstance(values.get(key, {}), Mapping) for key in ("arms", "rewards")
    ):
        return values
    arms, known = dict(values.get("arms", {})), dict(values.get("rewards", rewards))
    for name, grid in grids.items():
        if not TypeAdapter(Name).validator.isinstance_python(name):
            raise UserError(f"grid: found {name!r}; write {expected_value(Name)}.")
        if not isinstance(grid, Mapping):
            raise UserError(f"grid.{name}: found {grid!r}; write keys of an arm with their values.")
        for point in points(str(name), grid):
            if point.name in arms:
                raise UserError(
                    f"grid.{name}: its arm '{point.name}' is there already; rename one of them."
                )
            settings = dict(point.settings)
            if "zeta" in settings:
                settings["reward"] = _add_reward(str(name), settings, known)
            arms[point.name] = _nested(settings)
    derived = {"rewards": known} if len(known) > len(values.get("rewards", rewards)) else {}
    return {**values, "arms": arms, **derived}


def in_terms_of_grids(problems: str, values: Mapping[str, Any]) -> str:
    """Error lines in which the arms of a grid are replaced by the grid, each line once."""
    owners = {
        f"arms.{point.name}.": f"grid.{name}."
        for name, grid in _grids(values).items()
        for point in points(str(name), grid)
    }
    lines: dict[str, None] = {}
    for line in problems.splitlines():
        owner = max((arm for arm in owners if line.startswith(arm)), key=len, default="")
        lines[owners.get(owner, "") + line.removeprefix(owner)] = None
    return "\n".join(lines)


def _grids(values: Any) -> Mapping[str, Any]:
    """The grids of a configuration; none if it is not a mapping, which is reported elsewhere."""
    grids = values.get("grid") if isinstance(values, Mapping) else None
    return grids if isinstance(grids, Mapping) else {}


def _add_reward(grid: str, settings: dict[str, Any], known: dict[str, Any]) -> str:
    """Add the reward with the zeta of an arm to the known ones, and return its name."""
    zeta, base = settings.pop("zeta"), settings.get("reward")
    if base not in known:
        raise UserError(
            f"grid.{grid}.reward: found {base!r}, which is not defined under rewards; write one "
            f"of: {', '.join(known)}."
        )
    name = f"{base}-{_part('zeta', zeta)}"
    reward = {**known[base], "zeta": zeta}
    if known.setdefault(name, reward) != reward:
        raise UserError(
            f"grid.{grid}: its reward '{name}' is there already, with other settings; rename one."
        )
    return name


def _nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by dotted key as mappings in mappings."""
    nested: dict[str, Any] = {}
    for key, value in settings.items():
        for part in reversed(key.split(".")):
            value = {part: value}
        nested = merge(nested, value)
    return nested


def _part(key: str, value: Any) -> str:
    """A setting in an arm's name: `beta0.1`, `select-all`; the reward and the loss by value."""
    last = key.split(".")[-1]
    text, number = _written(value)
    if key in BARE:
        return text
    return f"{SHORT.get(last, last)}{'' if number else '-'}{text}"


def _written(value: Any) -> tuple[str, bool]:
    """A value in characters that are allowed in file names, and whether it is a number."""
    if isinstance(value, bool) or value is None:
        return str(value).lower(), False
    if isinstance(value, Mapping):
        return "-".join(f"{key}{_written(each)[0]}" for key, each in value.items()), False
    if isinstance(value, list):
        return "_".join(_written(each)[0] for each in value), False
    try:
        # YAML reads a number without a point, such as 1e-6, as text.
        return re.sub(r"[^0-9a-z.-]", "", f"{float(value):g}"), True
    except ValueError:
        return re.sub(r"[^A-Za-z0-9_.]+", "-", str(value)).strip("-."), False


def _check_key(grid: str, key: str) -> None:
    known = ["zeta", *_keys(Arm, "")]
    if key in known:
        return
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'?" if near else "write a key of an arm, as training.beta."
    raise UserError(f"{grid}.{key}: unknown key; {hint}")


def _keys(section: type[Section], path: str) -> Iterator[str]:
    """The dotted keys of a section, at all depths."""
    for name, field in section.model_fields.items():
        yield path + name
        inner = section_of(field.annotation) or (OVERLAID.get(name) if not path else None)
        if inner is not None:
            yield from _keys(inner, f"{path}{name}.")
