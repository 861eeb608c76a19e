"""Why a request has no answer, and what a server's error response says.

A reason begins with its cause, which many rows share; see `wim.engines.failures.cause_of`.
"""

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime

from wim.engines.transport.api_key import MARK

LENGTH = 300


class NoAnswer(Exception):
    """A request has no answer, and sending it again would not help; the message says why."""


class Refused(NoAnswer):
    """The server refuses this request; the message says why."""


class NoTexts(NoAnswer):
    """The server has no page for text completions."""


class Malformed(Exception):
    """What the server sent cannot be an answer; the message quotes it."""


class TryAgain(Exception):
    """A request failed in a way that may pass; the message says why. pause: seconds, if known."""

    def __init__(self, reason: str, pause: float = 0.0) -> None:
        super().__init__(reason)
        self.pause = pause


def error_text(text: str, key: str | None) -> str:
    """The server's message on one line, shortened, and without the key if it repeats that."""
    with suppress(ValueError):
        said = json.loads(text)
        said = said.get("error", said) if isinstance(said, dict) else said
        if isinstance(said, dict):
            said = said.get("message") or said.get("detail") or said
        text = said if isinstance(said, str) else json.dumps(said)
    if key:
        text = text.replace(key, MARK)
    text = " ".join(text.split())
    return text if len(text) <= LENGTH else f"{text[:LENGTH]}..."


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds to wait by the server's headers, a number or a date; 0 if they do not say."""
    with suppress(KeyError, ValueError):
        return max(0.0, float(headers["retry-after-ms"]) / 1000)
    with suppress(KeyError, ValueError):
        return max(0.0, float(headers["retry-after"]))
    with suppress(KeyError, ValueError, TypeError):
        return max(0.0, parsedate_to_datetime(headers["retry-after"]).timestamp() - time.time())
    return 0.0
