"""The chat template of a staged model: its own or a given one, without a clock."""

import json
import logging
from datetime import date
from pathlib import Path

from wim.errors import UserError
from wim.models.trial_rendering import try_template

logger = logging.getLogger(__name__)
NAME = "chat_template.jinja"
CLOCK = "strftime_now"
DIRECTIVES = "aAbBcdDeFgGhHIjmMnprRStTuUVwWxXyYzZ"
# Those that are padded with zeros, which a hyphen leaves out.
PADDED = "dmyHIMSjUVW"


def write_chat_template(
    folder: Path, given: Path | None, today: date, source: str = "the model"
) -> None:
    """Write chat_template.jinja where a template is given, or the model's own is not to be kept.

    A template that writes today's date would give the same messages another text each day, so that
    its clock stands still. One of a processor's (chat_template.json) is not read by tokenizers.

    Args:
        folder: The staged model.
        given: The template to take instead of the model's own; None takes that.
        today: The date that a template's clock gives.
        source: Where the model comes from, for errors.

    Raises:
        UserError: The template cannot be read, is no template, or does not come to an end.
    """
    own = _own(folder)
    text = _given(given) if given else own or _of_processor(folder)
    if text is None:
        return
    place = f"models: chat_template: {given}" if given else f"{source}: its chat template"
    if refused := try_template(text, place):
        logger.debug("%s: refuses a single question: %s", place, refused)
    if CLOCK in text and not text.startswith(_clock(today)):
        text = _clock(today) + text
    if text != own:
        (folder / NAME).write_text(text, encoding="utf-8")


def _given(path: Path) -> str:
    try:
        return path.expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"models: chat_template: {path}: not a template ({error}).") from None


def _own(folder: Path) -> str | None:
    """The template that a model's tokenizer takes; None where it has none."""
    if (folder / NAME).is_file():
        return (folder / NAME).read_text(encoding="utf-8")
    found = _entry(folder / "tokenizer_config.json")
    if isinstance(found, list):
        found = {each["name"]: each["template"] for each in found}.get("default")
    return found if isinstance(found, str) else None


def _of_processor(folder: Path) -> str | None:
    found = _entry(folder / "chat_template.json")
    return found if isinstance(found, str) else None


def _entry(path: Path) -> object:
    try:
        found: object = json.loads(path.read_bytes()).get("chat_template")
    except (OSError, ValueError, AttributeError):
        return None
    return found


def _clock(today: date) -> str:
    """A macro in place of the clock that templates are rendered with, in a line of its own."""
    replaced = [(f"%-{each}", today.strftime(f"%{each}").lstrip("0") or "0") for each in PADDED]
    replaced += [(f"%{each}", today.strftime(f"%{each}")) for each in DIRECTIVES]
    filters = "".join(f" | replace({key!r}, {value!r})" for key, value in [*replaced, ("%%", "%")])
    return f"{{%- macro {CLOCK}(format) %}}{{{{ format{filters} }}}}{{% endmacro %}}\n"
