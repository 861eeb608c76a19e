"""An API's key: from the environment, and nowhere else."""

import json
import os
import re
from typing import Any

from wim.errors import UserError

MARK = "[key]"
# A shorter key is the placeholder of a server that needs none, and may be an ordinary word.
SHORTEST = 8


def api_key(name: str, variable: str | None) -> str | None:
    """The key, which is kept in memory only; None where no variable is named.

    Args:
        name: The model's name under `models`.
        variable: The environment variable that holds it.

    Raises:
        UserError: The variable is not set, or holds no key.
    """
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise UserError(
            f"models.{name}.api.key_env: the environment variable {variable} is not set; put the "
            f"key into it where the workflow is started, as in `export {variable}=...`."
        )
    if not re.fullmatch(r"[!-~]+", key):
        # Libraries would quote a key that they cannot send in their own error messages.
        raise UserError(
            f"models.{name}.api.key_env: the environment variable {variable} holds characters that "
            "no key has (spaces, line breaks, letters beyond ASCII); put the key alone into it."
        )
    return key


def without_key(content: bytes, key: str | None) -> bytes:
    """What a server sent, with MARK wherever it repeats a key of SHORTEST characters or more."""
    if key is None or len(key) < SHORTEST:
        return content
    # In JSON a character may be escaped.
    if b"\\" in content or key.encode() in content:
        try:
            sent = json.loads(content)
        except ValueError:
            return content.replace(key.encode(), MARK.encode())
        if (cleared := _without(sent, key)) != sent:
            return json.dumps(cleared).encode()
    return content


def _without(sent: Any, key: str) -> Any:
    if isinstance(sent, str):
        return sent.replace(key, MARK)
    if isinstance(sent, list):
        return [_without(each, key) for each in sent]
    if isinstance(sent, dict):
        return {_without(name, key): _without(value, key) for name, value in sent.items()}
    return sent
