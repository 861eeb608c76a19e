"""A small API server with files and batches, as OpenAI's, which answers batches when it is told to."""

import json
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

from support.api_server import ApiServer, Fields, Reply, failed, last_message

FILE = re.compile(rb'name="file".*?\r\n\r\n(.*?)\r\n--', re.DOTALL)


class BatchServer(ApiServer):
    """Serves chat completions, files and batches on a port of its own.

    ready: set to have batches that are looked at answered; unset they stay in progress. `batches`
    are all that were created, `uploads` the files, `looks` counts how often a batch was looked at,
    `answered` has the fields of each request that a batch has answered. `created` makes the reply
    to a new batch, after it was created. `status` is that with which batches end; `unanswered` says
    which of their requests have no result then.
    """

    def __init__(self, answer: Callable[[Fields, int], Reply]) -> None:
        super().__init__(answer)
        self.ready = threading.Event()
        self.ready.set()
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.answered: list[Fields] = []
        self.looks = 0
        self.created: Callable[[dict[str, Any]], Reply] = Reply
        self.status = "completed"
        self.unanswered: Callable[[Fields], bool] = lambda fields: False
        self._batch_lock = threading.RLock()

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        page = handler.path.partition("/v1/")[2]
        if page not in ("files", "batches"):
            super().handle(handler)
            return
        content = handler.rfile.read(int(handler.headers["content-length"]))
        with self._batch_lock:
            reply = self._upload(content) if page == "files" else self._create(json.loads(content))
        self._send(handler, reply)

    def handle_get(self, handler: BaseHTTPRequestHandler) -> None:
        page, _, rest = handler.path.partition("/v1/")[2].partition("?")[0].partition("/")
        with self._batch_lock:
            if page == "files":
                name = rest.removesuffix("/content")
                known = name in self.files
                reply = Reply(self.files[name]) if known else failed(404, "no such file")
            elif rest:
                reply = self._look(rest)
            else:
                data = list(self.batches.values())
                reply = Reply({"object": "list", "data": data, "has_more": False})
        self._send(handler, reply)

    def _upload(self, content: bytes) -> Reply:
        (found,) = FILE.findall(content)
        return Reply({"id": self._filed(found), "object": "file", "purpose": "batch"})

    def _filed(self, content: bytes) -> str:
        name = f"file-{len(self.files)}"
        self.files[name] = content
        return name

    def _create(self, fields: dict[str, Any]) -> Reply:
        batch = {
            "id": f"batch_{len(self.batches)}",
            "object": "batch",
            "endpoint": fields["endpoint"],
            "input_file_id": fields["input_file_id"],
            "completion_window": fields["completion_window"],
            "metadata": fields.get("metadata"),
            "status": "in_progress",
            "created_at": len(self.batches),
        }
        self.batches[batch["id"]] = batch
        return self.created(batch)

    def _look(self, name: str) -> Reply:
        self.looks += 1
        if name not in self.batches:
            return failed(404, "no such batch")
        batch = self.batches[name]
        if batch["status"] == "in_progress" and self.ready.is_set():
            self._run(batch)
        return Reply(batch)

    def _run(self, batch: dict[str, Any]) -> None:
        lines = [json.loads(line) for line in self.files[batch["input_file_id"]].splitlines()]
        outputs, errors = [], []
        for line in lines if self.status != "failed" else []:
            result: dict[str, Any] = {"custom_id": line["custom_id"], "response": None}
            if self.unanswered(line["body"]):
                code = {"code": f"batch_{self.status}", "message": "it came to no answer"}
                errors.append(result | {"error": code})
                continue
            question = last_message(line["body"])
            before = sum(last_message(each) == question for each in self.answered)
            self.answered.append(line["body"])
            reply = self.answer(line["body"], before)
            result["response"] = {"status_code": reply.status, "body": reply.body}
            (outputs if reply.status == 200 else errors).append(result | {"error": None})
        for key, results in (("output_file_id", outputs), ("error_file_id", errors)):
            if results:
                text = "".join(json.dumps(each) + "\n" for each in results)
                batch[key] = self._filed(text.encode())
        batch["status"] = self.status
        counts = {"total": len(lines), "completed": len(outputs), "failed": len(errors)}
        batch["request_counts"] = counts
        if self.status == "failed":
            said = {"code": "token_limit_exceeded", "message": "Enqueued token limit reached"}
            batch["errors"] = {"object": "list", "data": [said]}
