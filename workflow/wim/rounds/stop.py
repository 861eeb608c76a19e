"""Whether an arm has stopped: what the convergence check of the round before decided."""

import json
from collections.abc import Iterable
from pathlib import Path

from wim.errors import UserError
from wim.paths import made_anew


def reason_to_stop(verdicts: Iterable[str | Path]) -> str:
    """Why an arm stopped before this round, "" if it did not.

    Args:
        verdicts: Files that check_convergence wrote; none for the first two rounds.

    Raises:
        UserError: A file is no verdict.
    """
    for path in verdicts:
        try:
            verdict = json.loads(Path(path).read_text(encoding="utf-8"))
            if verdict["stop"]:
                return str(verdict["reason"])
        except (ValueError, LookupError, TypeError) as error:
            raise UserError(f"{path}: no verdict on a round ({error}). {made_anew(path)}") from None
    return ""
