"""A small API server on this machine that answers as a test tells it to, faults included."""

import json
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Fields = dict[str, Any]
LONG = 300.0


@dataclass
class Reply:
    """What goes back: a status with a body, or nothing at all.

    part: only so many bytes of the body are sent before the connection closes. silent: nothing
    is sent until the server ends.
    """

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    part: int | None = None
    silent: bool = False


def said(text: str | None, finish: str | None = "stop", **more: Any) -> Reply:
    """A chat completion of one choice."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, **more}
    usage = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}
    return Reply({"choices": [choice | {"finish_reason": finish}], "usage": usage})


def several(texts: list[str]) -> Reply:
    """A chat completion of several choices."""
    choices = [
        {"index": place, "message": {"content": text}, "finish_reason": "stop"}
        for place, text in enumerate(texts)
    ]
    return Reply({"choices": choices, "usage": {"prompt_tokens": 11, "completion_tokens": 5}})


def failed(status: int, message: str = "it failed", **headers: str) -> Reply:
    """An error in the API's form. Headers are named with _ for -."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply({"error": {"message": message}}, status, named)


class ApiServer:
    """Serves chat completions on a port of its own; a context manager.

    answer: makes the reply to a request of its fields and of how often the same last message was
    asked before. `asked` are all requests' fields, `keys` the keys they came with, `most_at_once`
    how many were being answered at the same time at most.
    """

    def __init__(self, answer: Callable[[Fields, int], Reply]) -> None:
        self.answer = answer
        self.asked: list[Fields] = []
        self.keys: set[str] = set()
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1

            def do_POST(self) -> None:
                server.handle(self)

            def do_GET(self) -> None:
                server.handle_get(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> "ApiServer":
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Stop listening; connections that are open are refused from the next request on."""
        if not self._ended.is_set():
            self._ended.set()
            self._server.shutdown()
            self._server.server_close()

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers["content-length"])
        fields = json.loads(handler.rfile.read(length))
        question = last_message(fields)
        with self._lock:
            before = sum(last_message(each) == question for each in self.asked)
            self.asked.append(fields)
            self.keys.add(handler.headers["authorization"])
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            if not self._ended.is_set():
                self._send(handler, self.answer(fields, before))
            else:
                handler.close_connection = True
        finally:
            with self._lock:
                self._at_once -= 1

    def handle_get(self, handler: BaseHTTPRequestHandler) -> None:
        """There is nothing to get."""
        self._send(handler, failed(404))

    def _send(self, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        if reply.silent:
            self._ended.wait(LONG)
            handler.close_connection = True
            return
        body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        handler.send_response(reply.status)
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        handler.send_header("content-type", "application/json")
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        # The client may be gone, having been stopped by another answer.
        with suppress(ConnectionError):
            handler.wfile.write(body if reply.part is None else body[: reply.part])
            handler.wfile.flush()
        if reply.part is not None:
            handler.close_connection = True


def last_message(fields: Fields) -> str:
    """The text of the last message; of a request for a text completion the prompt."""
    if "prompt" in fields:
        return str(fields["prompt"])
    return str(fields["messages"][-1]["content"])
