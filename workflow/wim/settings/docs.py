"""Generate the reference of the configuration from the settings' own descriptions.

python -m wim.settings.docs            write the files named in FILES, below config/ and docs/
python -m wim.settings.docs --check    exit with 1 if one of them differs
"""

import argparse
import json
import re
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_origin

import yaml
from pydantic.fields import FieldInfo

from wim.display.markdown import markdown_table
from wim.settings.config import Config
from wim.settings.docs_text import DOCS_HEAD, YAML_HEAD
from wim.settings.evaluations import DEMO_EVALUATIONS
from wim.settings.own_loss import PairTrainingSettings
from wim.settings.pairs import PairSettings
from wim.settings.reading import expected_value, section_of
from wim.settings.rounds import RoundSettings
from wim.settings.section import Section

COMMAND = "python -m wim.settings.docs"


@dataclass(frozen=True)
class Place:
    """A section at its place in the configuration, and its default values there."""

    path: str
    text: str
    section: type[Section]
    defaults: Section | None = None

    def below(self, name: str, field: FieldInfo) -> str:
        """The dotted path of one of its keys that is a section, or sections by name."""
        named = ".<name>" if get_origin(field.annotation) is dict else ""
        return f"{self.path}.{name}{named}".removeprefix(".")


def description(field: FieldInfo) -> tuple[str, str | None]:
    """A key's description on one line, or else its section's, and its unit if it has one."""
    text, unit = split_unit(
        field.description or getattr(section_of(field.annotation), "__doc__", None) or ""
    )
    return text, None if unit == "none" else unit


def split_unit(text: str) -> tuple[str, str | None]:
    """A docstring's text without its unit, and the unit that follows `Unit: `."""
    text, _, unit = " ".join(text.split()).partition("Unit: ")
    return text.strip(), unit.rstrip(".") or None


def config_yaml() -> str:
    """The text of config/config.yaml."""
    lines = YAML_HEAD.splitlines()
    shown = Config(evaluations=DEMO_EVALUATIONS)
    for name, field in Config.model_fields.items():
        lines += ["", *_yaml_key(name, field, getattr(shown, name), 0, True)]
    return "\n".join(lines) + "\n"


def config_schema() -> str:
    """The text of config/schema.json: JSON schema 2020-12, with units as `x-unit`."""
    schema = _with_units(Config.model_json_schema())
    overlays = {"pairs": PairSettings, "training": PairTrainingSettings, "rounds": RoundSettings}
    for holder in ("Arm", "RoundOverlay"):
        own_keys = schema["$defs"][holder]["properties"]
        for name, settings in overlays.items():
            if name in own_keys:
                # Own keys are those of the common section, none of which is required.
                del own_keys[name]["type"], own_keys[name]["additionalProperties"]
                own_keys[name]["$ref"] = f"#/$defs/{settings.__name__}"
    rounds = schema["$defs"]["RoundSettings"]
    count = {"type": "integer", "minimum": 1}
    schema["$defs"]["RoundSettings"] = {"anyOf": [count, rounds]}
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Configuration"}
    return json.dumps({**head, **schema}, indent=2, ensure_ascii=False) + "\n"


def configuration_md() -> str:
    """The text of docs/reference/configuration.md."""
    parts = [DOCS_HEAD]
    for place in _places(Place("", "", Config, Config())):
        level = "###" if "." in place.path.replace(".<name>", "") else "##"
        parts += [f"{level} `{place.path}`" if place.path else "## Keys at the top", ""]
        parts += [place.text, ""] if place.text else []
        fields = place.section.model_fields.items()
        rows = [_row(place, name, field) for name, field in fields]
        parts += [markdown_table(rows, left=None), ""]
    return "\n".join(parts)


FILES = {
    "config/config.yaml": config_yaml,
    "config/schema.json": config_schema,
    "docs/reference/configuration.md": configuration_md,
}


def repository_root() -> Path:
    """The folder of the Snakefile: above this package, or the working directory."""
    above = Path(__file__).parents[3]
    return above if (above / "Snakefile").is_file() else Path.cwd()


def drifted(root: Path) -> list[str]:
    """The generated files below `root` that are not up to date."""
    return [
        name
        for name, text in FILES.items()
        if not (root / name).is_file() or (root / name).read_text(encoding="utf-8") != text()
    ]


def _scalar(value: Any) -> str:
    """A value as YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=sys.maxsize, allow_unicode=True)
    return text.removesuffix("...\n").strip()


def _yaml_key(name: str, field: FieldInfo, value: Any, depth: int, described: bool) -> list[str]:
    """The lines of a key: its description, if `described`, then its value."""
    indent, lines = "  " * depth, []
    if described:
        text, unit = description(field)
        comment = f"{text} Unit: {unit}." if unit else text
        filled = textwrap.fill(comment, 98 - len(indent), break_on_hyphens=False)
        lines = textwrap.indent(filled, f"{indent}# ").splitlines()
    if section_of(field.annotation) is None or not value:
        return [*lines, f"{indent}{name}: {_scalar(value)}"]
    lines.append(f"{indent}{name}:")
    if isinstance(value, Section):
        return lines + _yaml_keys(value, depth + 1, described)
    for number, (entry, section) in enumerate(value.items()):
        lines.append(f"{indent}  {_scalar(entry)}:")
        lines += _yaml_keys(section, depth + 2, described and number == 0)
    return lines


def _yaml_keys(section: Section, depth: int, described: bool) -> list[str]:
    return [
        line
        for name, field in type(section).model_fields.items()
        for line in _yaml_key(name, field, getattr(section, name), depth, described)
    ]


def _with_units(node: Any) -> Any:
    """The schema with each unit in a field of its own, and without generated titles."""
    if isinstance(node, list):
        return [_with_units(each) for each in node]
    if not isinstance(node, dict):
        return node
    schema = {key: _with_units(value) for key, value in node.items()}
    if isinstance(schema.get("title"), str):
        del schema["title"]
    if isinstance(node.get("description"), str):
        schema["description"], unit = split_unit(node["description"])
        if unit and unit != "none":
            schema["x-unit"] = unit
    if "patternProperties" in schema:
        schema["additionalProperties"] = False
    return schema


def _places(place: Place) -> Iterator[Place]:
    """A section and those below it, in the order of their keys."""
    yield place
    for name, field in place.section.model_fields.items():
        inner = section_of(field.annotation)
        if inner is not None:
            default = getattr(place.defaults, name, field.default)
            default = default if isinstance(default, Section) else None
            path, text = place.below(name, field), description(field)[0]
            yield from _places(Place(path, text, inner, default))


def _row(place: Place, name: str, field: FieldInfo) -> dict[str, str]:
    """A key's row in the table of its section."""
    text, unit = description(field)
    inner = section_of(field.annotation)
    kind = re.sub(r"\ban? ", "", expected_value(field.annotation, field.metadata))
    value = getattr(place.defaults, name, field.default)
    if inner is not None:
        kind = f"[{kind}](#{re.sub(r'[^a-z0-9_-]', '', place.below(name, field))})"
        names = value if isinstance(value, dict) else {}
        default = ", ".join(f"`{each}`" for each in names) or "see there"
    elif field.is_required():
        default = "required"
    else:
        default = f"`{_scalar(value)}`"
    return {
        "key": f"`{name}`",
        "type": kind,
        "default": default,
        "unit": unit or "",
        "description": text,
    }


def main(arguments: list[str] | None = None) -> int:
    """Write the files, or print which are not up to date."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 on drift")
    check = parser.parse_args(arguments).check
    root = repository_root()
    for name in (changed := drifted(root)):
        if check:
            print(f"{name}: differs from the settings in workflow/wim; write it with `{COMMAND}`")
        else:
            (root / name).write_text(FILES[name](), encoding="utf-8")
            print(f"{name}: written")
    return 1 if check and changed else 0


if __name__ == "__main__":
    sys.exit(main())
