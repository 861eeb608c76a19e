"""An API's key, from the environment."""

import os
import re

from wim.errors import UserError


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
