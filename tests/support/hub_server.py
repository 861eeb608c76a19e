"""A stand-in of the Hugging Face hub's API on this machine: repositories that one may write to."""

import base64
import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LARGE = (".safetensors", ".parquet")
COMMIT = "0123456789abcdef0123456789abcdef01234567"
API = re.compile(r"/api/(?P<kind>model|dataset)s/(?P<name>[\w.-]+/[\w.-]+)(/(?P<action>.*))?")
BATCH = re.compile(r"/(datasets/)?(?P<name>[\w.-]+/[\w.-]+)\.git/info/lfs/objects/batch")


@dataclass
class Repository:
    """A repository: its visibility, and its files' bytes by name."""

    kind: str
    private: bool
    files: dict[str, bytes] = field(default_factory=dict)


class Refused(Exception):
    """A status with the hub's name of the error and its words."""

    def __init__(self, status: int, words: str, code: str = "") -> None:
        self.status, self.words, self.code = status, words, code


class HubServer:
    """Serves the hub's API on a port of its own; a context manager.

    Attributes:
        token: What it takes.
        owner: Whose repositories the token may write to.
        repositories: By name.
        uploads: The digests of large files that were sent, in order.
        fail_uploads: How many of the next large files it answers with the status 500, and the
            storage with a cut connection in the like manner.
    """

    def __init__(self, token: str, owner: str) -> None:
        self.token, self.owner = token, owner
        self.repositories: dict[str, Repository] = {}
        self.uploads: list[str] = []
        self.fail_uploads = 0
        self._large: dict[str, bytes] = {}
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                server.handle(self)

            do_GET = do_PUT = do_POST

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "HubServer":
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["content-length"] or 0))
        status, headers = 200, {}
        try:
            answer = self._answer(handler, body)
        except Refused as refused:
            status, answer = refused.status, {"error": refused.words}
            headers = {"X-Error-Message": refused.words, "X-Error-Code": refused.code}
        sent = json.dumps(answer).encode()
        handler.send_response(status)
        for name, value in {**headers, "content-type": "application/json"}.items():
            handler.send_header(name, value)
        handler.send_header("content-length", str(len(sent)))
        handler.end_headers()
        handler.wfile.write(sent)

    def _answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> Any:
        path = handler.path.partition("?")[0]
        if path.startswith("/large/"):
            return self._take_large(path.rpartition("/")[2], body)
        if handler.headers["authorization"] != f"Bearer {self.token}":
            raise Refused(401, "Invalid credentials in Authorization header")
        if path == "/api/validate-yaml":
            return {"errors": [], "warnings": []}
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if found := BATCH.fullmatch(path):
            return {"objects": [self._offered(each) for each in json.loads(body)["objects"]]}
        found = API.fullmatch(path)
        repository = self.repositories.get(found["name"]) if found else None
        if found is None or repository is None:
            raise Refused(404, "Repository not found", "RepoNotFound")
        if found["action"] is None:
            return {"id": found["name"], "sha": COMMIT, "private": repository.private}
        self._check_owner(found["name"])
        if found["action"].startswith("preupload"):
            return {"files": [self._mode(repository, each) for each in json.loads(body)["files"]]}
        assert found["action"].startswith("commit")
        for line in body.splitlines():
            self._commit(repository, json.loads(line))
        return {"commitUrl": f"{self.url}/{found['name']}/commit/{COMMIT}", "commitOid": COMMIT}

    def _create(self, fields: dict[str, Any]) -> Any:
        name = f"{fields['organization']}/{fields['name']}"
        self._check_owner(name)
        private = fields.get("private") or fields.get("visibility") == "private"
        self.repositories[name] = Repository(fields.get("type", "model"), bool(private))
        return {"url": f"{self.url}/{name}", "id": name}

    def _check_owner(self, name: str) -> None:
        if name.partition("/")[0] != self.owner:
            raise Refused(403, "You don't have the rights to create a repo under this namespace")

    def _mode(self, repository: Repository, file: dict[str, Any]) -> Any:
        mode = "lfs" if file["path"].endswith(LARGE) else "regular"
        return {"path": file["path"], "uploadMode": mode, "shouldIgnore": False}

    def _offered(self, wanted: dict[str, Any]) -> Any:
        offered = {"oid": wanted["oid"], "size": wanted["size"]}
        if wanted["oid"] in self._large:
            return offered
        return {**offered, "actions": {"upload": {"href": f"{self.url}/large/{wanted['oid']}"}}}

    def _take_large(self, oid: str, body: bytes) -> Any:
        if self.fail_uploads:
            self.fail_uploads -= 1
            raise Refused(400, "the storage is not there")
        assert hashlib.sha256(body).hexdigest() == oid
        self.uploads.append(oid)
        self._large[oid] = body
        return {}

    def _commit(self, repository: Repository, line: dict[str, Any]) -> None:
        value = line["value"]
        if line["key"] == "file":
            repository.files[value["path"]] = base64.b64decode(value["content"])
        elif line["key"] == "lfsFile":
            repository.files[value["path"]] = self._large[value["oid"]]
