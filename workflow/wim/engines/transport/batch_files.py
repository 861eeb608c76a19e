"""The files of the batch API: a line for each request, and for each result."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

PAGE: Final = "/v1/chat/completions"
# Below the 200 MB that OpenAI takes.
FILE_BYTES = 190_000_000


@dataclass(frozen=True)
class Result:
    """What became of a request. body: of the response; status: None where there was none."""

    status: int | None
    body: bytes
    reason: str = ""

    @property
    def error(self) -> Exception:
        """The error that the client raises for such a response of its own."""
        from openai import APIStatusError

        said = json.loads(self.body)
        error = said.get("error", said) if isinstance(said, dict) else said
        response: Any = BatchedResponse(int(self.status or 0), self.body)
        return APIStatusError(f"status {self.status}", response=response, body=error)


@dataclass(frozen=True)
class BatchedResponse:
    """What is read of a client's response."""

    status_code: int
    content: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    request: None = None

    @property
    def text(self) -> str:
        """The body as a text."""
        return self.content.decode(errors="replace")


def request_line(name: str, fields: Mapping[str, Any]) -> bytes:
    """The line of a request."""
    line = {"custom_id": name, "method": "POST", "url": PAGE, "body": fields}
    return json.dumps(line).encode() + b"\n"


def portions(lines: Mapping[str, bytes], most: int) -> Iterator[list[str]]:
    """The names of the requests of one file after another; most: lines in each at most."""
    names: list[str] = []
    size = 0
    for name, line in lines.items():
        if names and (len(names) == most or size + len(line) > FILE_BYTES):
            yield names
            names, size = [], 0
        names.append(name)
        size += len(line)
    if names:
        yield names


def results(content: bytes) -> Iterator[tuple[str, Result]]:
    """The results in a file of outputs or of errors, by name; lines of another form are left out."""
    for line in content.splitlines():
        try:
            found = json.loads(line)
            name, response = str(found["custom_id"]), found.get("response") or {}
            error = found.get("error") or {}
            status = response.get("status_code")
            body = json.dumps(response.get("body")).encode()
            reason = str(error.get("message") or error.get("code") or "no response")
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
        yield name, Result(None if error else status, body, reason)
