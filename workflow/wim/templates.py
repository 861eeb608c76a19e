"""Judge templates: files in Jinja, rendered in a sandbox.

The texts of prompts and responses are variables and are never read as templates.
"""

import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError
from jinja2.sandbox import SandboxedEnvironment

from wim.errors import UserError
from wim.provenance.digest import digest_of


@dataclass(frozen=True)
class Templates:
    """The texts of a folder's templates, by name."""

    folder: str
    texts: Mapping[str, str]

    @property
    def digest(self) -> str:
        """Digest of the texts; the folder's path does not count."""
        return digest_of(dict(self.texts))

    def render(self, name: str, **variables: object) -> str:
        """The text of a template with its variables filled in, without outer white space.

        Raises UserError, naming file and line, for a template that cannot be filled in.
        """
        environment = SandboxedEnvironment(
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=False,
        )
        try:
            return environment.from_string(self.texts[name]).render(**variables).strip()
        except (TemplateError, TypeError, ValueError, ArithmeticError) as error:
            line = _line(error)
            place = f"{self.folder}/{name}.jinja" + (f", line {line}" if line else "")
            raise UserError(
                f"{place}: {str(error).rstrip('.')}; a template may use "
                f"{', '.join(sorted(variables))}."
            ) from None


def _line(error: Exception) -> int | None:
    """The line of the template that an error is about."""
    if isinstance(error, TemplateSyntaxError):
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == "<template>"]
    return lines[-1] if lines else None


def read_templates(paths: list[Path]) -> Templates:
    """The templates of some files, by the files' names without `.jinja`."""
    texts = {}
    for path in map(Path, paths):
        try:
            texts[path.stem] = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise UserError(
                f"{path}: no such template; the judge's templates must name it."
            ) from None
        except UnicodeDecodeError as error:
            raise UserError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8.") from None
    return Templates(str(Path(paths[0]).parent), texts)
