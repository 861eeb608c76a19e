"""Read mappings as sections of the configuration, with errors in the user's terms."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from wim.errors import UserError
from wim.settings.section import Name, Section

S = TypeVar("S", bound=Section)


def check_keys(values: Mapping[Any, Any]) -> None:
    """Raise UserError, with one line for each, for keys that YAML did not read as text.

    Integers are left to the sections, some of which have numbered keys.
    """
    problems = list(_keys_not_text(values, ""))
    if problems:
        raise UserError("\n".join(problems))


def _keys_not_text(values: Any, prefix: str) -> Iterator[str]:
    if isinstance(values, list):
        for number, value in enumerate(values):
            yield from _keys_not_text(value, f"{prefix}{number}.")
    if not isinstance(values, Mapping):
        return
    for key, value in values.items():
        yield from _keys_not_text(value, f"{prefix}{key}.")
        if found := _as_yaml_reads(key):
            kind, words = found
            yield (
                f"{prefix}{key}: found a key that is {kind}: YAML reads {words}, without quotes, "
                f"as {kind}; put the key in quotes, as in '{words.rpartition(' ')[2]}': ..."
            )


def _as_yaml_reads(key: object) -> tuple[str, str] | None:
    """What YAML made of a key that is no text, and of which words it does so."""
    if isinstance(key, bool):
        return "a boolean", "true, yes and on" if key else "false, no and off"
    if key is None:
        return "null", "an empty key, ~ and null"
    if isinstance(key, float):
        return "a number", f"{key}"
    return ("a date", f"{key}") if isinstance(key, date) else None


def section_of(annotation: Any) -> type[Section] | None:
    """The section in a key's type: `S`, `S | None` or `dict[Name, S]`; None if there is none."""
    for each in (annotation, *get_args(annotation)):
        if isinstance(each, type) and issubclass(each, Section):
            return each
    return None


def expected_value(annotation: Any, metadata: Iterable[Any] = ()) -> str:
    """What to write for a key of this type, such as "an integer from 1 to 999"."""
    bounds = {
        name: value
        for each in metadata
        for name in ("ge", "gt", "le", "lt", "min_length", "pattern")
        if (value := getattr(each, name, None)) is not None
    }
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return ", or ".join(expected_value(each, metadata) for each in arguments)
    if origin is Annotated:
        return expected_value(arguments[0], arguments[1:])
    if origin is Literal:
        return ("one of " if len(arguments) > 1 else "") + ", ".join(map(str, arguments))
    if origin is list:
        items = expected_value(arguments[0])
        return f"a list of {items}" + (", not empty" if bounds.get("min_length") else "")
    if annotation in (int, float):
        return _number(annotation is int, bounds)
    if "pattern" in bounds:
        return "a name of letters, digits, dots, _ and -"
    if section_of(annotation):
        return "a mapping of names to sections" if origin is dict else "a section"
    return {str: "text", bool: "true or false", NoneType: "null"}.get(annotation, "keys and values")


def _number(whole: bool, bounds: Mapping[str, Any]) -> str:
    kind, low, high = "an integer" if whole else "a number", bounds.get("ge"), bounds.get("le")
    if whole and "lt" in bounds:
        high = bounds["lt"] - 1
    if low is not None and high is not None:
        return f"{kind} from {low} to {high}"
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    limits = [f"{word} {bounds[name]}" for name, word in words.items() if name in bounds]
    return f"{kind}, {' and '.join(limits)}" if limits else kind


def with_defaults(section: type[Section], values: Any) -> Any:
    """Fill nested sections from their place's default: a judge's sampling is not an actor's."""
    if not isinstance(values, Mapping):
        return values
    filled = dict(values)
    for name, field in section.model_fields.items():
        inner = section_of(field.annotation)
        below: Any = values.get(name)
        if inner is None or not isinstance(below, Mapping):
            continue
        if get_origin(field.annotation) is dict:
            filled[name] = {key: with_defaults(inner, value) for key, value in below.items()}
        elif isinstance(field.default, Section):
            filled[name] = merge(field.default.model_dump(), with_defaults(inner, below))
        else:
            filled[name] = with_defaults(inner, below)
    return filled


def overlaid(common: S, own: Mapping[str, Any], key: str) -> S:
    """The common section with some keys overridden; UserError names those that do not fit."""
    return validated(type(common), merge(common.model_dump(), own), f"{key}.")


def merge(common: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two mappings at all depths; `own` wins."""
    merged = dict(common)
    for key, value in own.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            value = merge(below, value)
        merged[key] = value
    return merged


def validated(section: type[S], values: Mapping[str, Any], prefix: str) -> S:
    """A section from its mapping; UserError with one line per problem, each key after `prefix`."""
    try:
        return section.model_validate(values)
    except ValidationError as error:
        problems: dict[str, str] = {}
        for item in error.errors():
            key, problem = _problem(section, item, values)
            problems.setdefault(key, f"{prefix}{key}: {problem}".removeprefix(": "))
        raise UserError("\n".join(problems.values())) from None


def _problem(section: type[Section], item: ErrorDetails, values: Any) -> tuple[str, str]:
    """The key of one of pydantic's errors, and what was found there and what to write."""
    keys, holder, field = _place(section, item["loc"])
    key = ".".join(map(str, keys))
    if item["type"] in ("extra_forbidden", "invalid_key") and holder:
        return key, _unknown_key(str(keys[-1]), holder)
    if item["loc"][-1:] == ("[key]",):
        kind = int if item["type"] == "int_parsing" else Name
        quotes = ", in quotes" if kind is Name and not isinstance(keys[-1], str) else ""
        return key, f"found {keys[-1]!r}; write {expected_value(kind)}{quotes}."
    if item["type"] == "value_error" and holder:
        return key, item["msg"].removeprefix("Value error, ") + "."
    if item["type"] == "value_error":
        return key, f"found {item['input']!r}; {item['msg'].removeprefix('Value error, ')}."
    write = expected_value(field.annotation, field.metadata) if field else ""
    if item["type"] == "missing":
        return key, f"missing; write {write}."
    found = values
    for part in keys:
        found = found[part]
    if holder:
        named = write.startswith("a mapping") and item["type"] == "dict_type"
        below = "names of your choice, below each" if named else "below it, indented,"
        write = f"{below} its keys ({', '.join(holder.model_fields)})"
    elif write.startswith(("text", "a name")) and not isinstance(
        found, str | list | Mapping | None
    ):
        write += "; put text in quotes"
    if found is None:
        return key, f"empty; write {write}, or leave the line out."
    return key, f"found {found!r}; write {write}."


def _place(
    section: type[Section], loc: Sequence[int | str]
) -> tuple[list[int | str], type[Section] | None, FieldInfo | None]:
    """The keys to a place, the section that is or should be there, and the last key's field.

    After the key of a plain value pydantic adds item numbers and the types that it tried; they are
    left out, and no section is returned.
    """
    keys: list[int | str] = []
    holder: type[Section] | None = section
    field: FieldInfo | None = None
    parts = iter(loc)
    for part in parts:
        if holder is None or part == "[key]":
            break
        keys.append(part)
        field = holder.model_fields.get(str(part))
        if field is None:
            break
        holder = section_of(field.annotation)
        if holder and get_origin(field.annotation) is dict:
            keys += [name for name in [next(parts, None)] if name is not None]
    return keys, holder, field


def _unknown_key(key: str, holder: type[Section]) -> str:
    known = list(holder.model_fields)
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(known)}."
    return f"unknown key; {hint}"
