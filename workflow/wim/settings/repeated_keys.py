"""Find keys that a configuration file has twice, of which YAML would keep the last alone."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from wim.errors import UserError

MERGE = "tag:yaml.org,2002:merge"


def check_repeated_keys(files: Iterable[Path | str]) -> None:
    """Raise UserError, with one line for each, for keys that a file has twice in one section."""
    problems = [problem for file in files for problem in _repeated_keys(Path(file))]
    if problems:
        raise UserError("\n".join(problems))


def _repeated_keys(file: Path) -> Iterator[str]:
    import yaml

    try:
        root = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError):
        return  # Who reads the values says what is wrong with the file.
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
