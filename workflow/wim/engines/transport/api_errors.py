"""What a server's refusal says, in its own words and headers."""

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime

LENGTH = 300


def told(text: str, key: str | None) -> str:
    """The server's words, on one line, shortened, and without the key if they repeat it."""
    with suppress(ValueError):
        said = json.loads(text)
        said = said.get("error", said) if isinstance(said, dict) else said
        if isinstance(said, dict):
            said = said.get("message") or said.get("detail") or said
        text = said if isinstance(said, str) else json.dumps(said)
    if key:
        text = text.replace(key, "[key]")
    text = " ".join(text.split())
    return text if len(text) <= LENGTH else f"{text[:LENGTH]}..."


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that the server asks to wait, by number or by date; 0 where it does not say."""
    with suppress(KeyError, ValueError):
        return max(0.0, float(headers["retry-after-ms"]) / 1000)
    with suppress(KeyError, ValueError):
        return max(0.0, float(headers["retry-after"]))
    with suppress(KeyError, ValueError, TypeError):
        return max(0.0, parsedate_to_datetime(headers["retry-after"]).timestamp() - time.time())
    return 0.0
