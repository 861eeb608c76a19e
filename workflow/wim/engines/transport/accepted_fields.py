"""The fields of requests that a server takes, learnt from what it refuses."""

import logging
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openai import APIStatusError

logger = logging.getLogger(__name__)

# Fields that a request can do without: a server that only names one in its refusal lacks it.
DISPENSABLE = ("seed", "n", "logprobs", "top_logprobs", "response_format", "chat_template_kwargs")
# Fields that decide the answers. A refusal may be about their value, which is the user's to correct.
DECISIVE = ("top_p", "temperature", "max_tokens")
OTHER_NAMES = {"max_tokens": "max_completion_tokens"}
UNSUPPORTED_CODES = ("unsupported_value", "unsupported_parameter", "unknown_parameter")
UNSUPPORTED = re.compile(
    r"unsupported|not support|no support|unknown|unrecogni[sz]ed|unexpected|not (permitted|allowed)"
    r"|extra (inputs|fields)|deprecated|only\b|both|together|not available|instead|does not take",
    re.IGNORECASE,
)
BEFORE_NAMES = r"\b(?:parameter|field|argument)(?: supplied)?:?"
OF_A_VALUE = re.compile(
    r"between|range|at (most|least)|too (large|small|high|low|many|long)|exceed|maximum|minimum"
    r"|(less|greater|smaller|larger|lower|higher) than|[<>\u2264\u2265]",
    re.IGNORECASE,
)


class AcceptedFields:
    """What is sent of a request's fields to one model: those that its server has not refused."""

    def __init__(self, name: str, own: Mapping[str, Any]) -> None:
        """Nothing is known to be refused.

        Args:
            name: The model's name under `models`, for messages.
            own: The fields of `api.request`: they replace others, and are sent whatever comes.
        """
        self._name = name
        self._own = dict(own)
        self._refused: set[str] = set()

    def refused(self, name: str) -> bool:
        """Whether the server has refused a field, which is no longer sent under that name."""
        return name in self._refused

    def of(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The fields to send: with those of `api.request`, without those that were refused."""
        taken = {
            OTHER_NAMES.get(name, name) if name in self._refused else name: value
            for name, value in fields.items()
            if name not in self._refused or name in OTHER_NAMES
        }
        return {k: value for k, value in (taken | self._own).items() if value is not None}

    def learn(self, error: "APIStatusError", sent: Mapping[str, Any]) -> bool:
        """Whether the server refuses a field by name; it is not sent from now on.

        Args:
            error: The server's answer.
            sent: The fields of the request, as `of` gave them.
        """
        if error.status_code not in (400, 422):
            return False
        text = error.response.text
        for name in (*DISPENSABLE, *DECISIVE):
            if name not in sent or name in self._own or not _names(error, text, name):
                continue
            if name in DISPENSABLE or _is_unsupported(error, text):
                self._refuse(name)
                return True
        return False

    def _refuse(self, name: str) -> None:
        if name not in self._refused:
            logger.warning(
                "models.%s: the server does not take `%s`%s", self._name, name, _instead(name)
            )
        self._refused.add(name)


def _names(error: "APIStatusError", text: str, name: str) -> bool:
    """Whether a refusal names a field."""
    # Short names are also ordinary words, so they count in quotes only.
    plain = "_" in name or "prob" in name
    spelt = rf"\b{name}\b" if plain else rf"['\"`]{name}['\"`]|{BEFORE_NAMES} {name}\b"
    return error.param == name or re.search(spelt, text) is not None


def _is_unsupported(error: "APIStatusError", text: str) -> bool:
    """Whether a refusal is about a field in whatever value, not about the value it had."""
    if error.code in UNSUPPORTED_CODES:
        return True
    return UNSUPPORTED.search(text) is not None and OF_A_VALUE.search(text) is None


def _instead(name: str) -> str:
    """What follows for the answers, for the log."""
    if name in OTHER_NAMES:
        return f": it is sent as `{OTHER_NAMES[name]}`"
    if name == "temperature":
        return (
            ": it is left out, and the server samples in its own way; a judge's number without "
            "log-probabilities is then that of one answer"
        )
    return ": it is left out"
