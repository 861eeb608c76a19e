"""Check the text of configuration files for what their values no longer show.

A key that a section has twice, of which YAML keeps the last alone; and aliases of aliases, by which
a few lines become more values than a computer can look at. What is no YAML is named with its line.
"""

import json
from collections.abc import Iterable, Iterator
from math import inf
from pathlib import Path
from typing import Any

from wim.errors import UserError

MOST_VALUES = 100_000
MERGE = "tag:yaml.org,2002:merge"


def check_yaml_text(files: Iterable[Path | str]) -> None:
    """Raise UserError, with one line for each, for keys that a file has twice in one section.

    And for a file that is no YAML or not UTF-8, and for one whose aliases make it more than
    MOST_VALUES values, or lead in circles.
    """
    problems = [problem for file in files for problem in _problems(Path(file))]
    if problems:
        raise UserError("\n".join(problems))


def _problems(file: Path) -> Iterator[str]:
    import yaml

    content = file.read_bytes()
    try:
        text = content.decode("utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        yield f"{file}:{line}: not UTF-8: found the byte 0x{content[error.start]:02x}; save it as UTF-8."
        return
    except yaml.YAMLError as error:
        if not _is_json(text):
            yield _not_yaml(file, error)
        return
    known: dict[int, float] = {}
    if (count := _values(root, known)) > max(MOST_VALUES, len(known)):
        many = "values without end" if count == inf else f"{count} values"
        yield f"{file}: its aliases (*name) make {many} of it; write out what they stand for."
        return
    yield from _repeated_keys(root, file)


def _is_json(text: str) -> bool:
    """Whether a text is JSON, which may have tabs where YAML has none."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _not_yaml(file: Path, error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    found = getattr(error, "problem", None) or str(error).splitlines()[0]
    place = f"{file}:{mark.line + 1}" if mark else str(file)
    write = (
        "indent with spaces" if "'\\t'" in found else "close what is open, or put text in quotes"
    )
    return f"{place}: not YAML ({found}); {write}."


def _values(node: Any, known: dict[int, float]) -> float:
    """How many values a node stands for, with all aliases written out."""
    if id(node) not in known:
        # What an alias in a circle leads back to.
        known[id(node)] = inf
        below = getattr(node, "value", None)
        parts = below if isinstance(below, list) else []
        pairs = (each if isinstance(each, tuple) else (each,) for each in parts)
        known[id(node)] = 1 + sum(_values(each, known) for pair in pairs for each in pair)
    return known[id(node)]


def _repeated_keys(root: Any, file: Path) -> Iterator[str]:
    import yaml

    seen: set[int] = set()
    pending: list[Any] = [root]
    while pending:
        node = pending.pop(0)
        # An alias is the node itself once more, and may lead in circles.
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            pending += node.value
        elif isinstance(node, yaml.MappingNode):
            first: dict[tuple[str, str], int] = {}
            for key, value in node.value:
                pending.append(value)
                if not isinstance(key, yaml.ScalarNode) or key.tag == MERGE:
                    continue
                name, line = (key.tag, key.value), key.start_mark.line + 1
                if name in first:
                    yield (
                        f"{file}:{line}: found the key '{key.value}' twice in one section, first "
                        f"in line {first[name]}, and YAML keeps the last alone; write them as one."
                    )
                first.setdefault(name, line)
