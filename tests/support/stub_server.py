"""A server command for tests: python stub_server.py MODEL PORT [MANNER...]

Manners: `health=404` or 503 (what /health says), `dies=N` (exit status 3 at the Nth question),
`killed=N` (by itself, with signal 9), `fails` (exit status 7 at once), `stubborn` (ignores
SIGTERM), `child` (starts a process that sleeps, and prints its number).
"""

import json
import os
import signal
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODEL, PORT, *MANNERS = sys.argv[1:]
MANNER = dict(each.partition("=")[::2] for each in MANNERS)
QUESTIONS: list[str] = []


class Handler(BaseHTTPRequestHandler):
    """Answers every question with itself."""

    def do_GET(self) -> None:
        health = int(MANNER.get("health", 200))
        self.reply(health if self.path == "/health" else 200, {"data": []})

    def do_POST(self) -> None:
        fields = json.loads(self.rfile.read(int(self.headers["content-length"])))
        QUESTIONS.append(fields["messages"][-1]["content"])
        if len(QUESTIONS) == int(MANNER.get("dies", -1)):
            print("the memory is full", flush=True)
            os._exit(3)
        if len(QUESTIONS) == int(MANNER.get("killed", -1)):
            os.kill(os.getpid(), signal.SIGKILL)
        message = {"role": "assistant", "content": f"{fields['model'] == MODEL} {QUESTIONS[-1]}"}
        self.reply(200, {"choices": [{"message": message, "finish_reason": "stop"}]})

    def reply(self, status: int, body: object) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


if "fails" in MANNER:
    print("no such model")
    sys.exit(7)
if "stubborn" in MANNER:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "child" in MANNER:
    print("child", subprocess.Popen(["sleep", "600"]).pid, flush=True)
print("server", os.getpid(), "offline", os.environ.get("HF_HUB_OFFLINE"), flush=True)
ThreadingHTTPServer(("127.0.0.1", int(PORT)), Handler).serve_forever()
