"""Chromium, driven through chromedriver by the WebDriver protocol (W3C), without a library."""

import base64
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
KEYS = {
    "left": "\ue012",
    "right": "\ue014",
    "down": "\ue015",
    "escape": "\ue00c",
    "enter": "\ue007",
}


def browser_is_there() -> bool:
    """Whether Chromium and its driver are installed."""
    return all(shutil.which(name) for name in ("chromium", "chromedriver"))


class Browser:
    """A window of Chromium."""

    def __init__(self, session: str) -> None:
        self.session = session

    def call(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """The value that the driver answers; a body is posted."""
        return _call(f"{self.session}{path}", body)

    def open(self, page: Path, row: str = "") -> None:
        """Open a page from disk, and wait until it shows its rows."""
        self.call("/url", {"url": "about:blank"})
        self.call("/url", {"url": page.resolve().as_uri() + row})
        self.wait("return document.body.dataset.ready === 'true'")

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script returns."""
        return self.call("/execute/sync", {"script": script, "args": list(arguments)})

    def wait(self, script: str, seconds: float = 30.0) -> Any:
        """Wait until a script returns something that is true, and return it."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := self.run(script):
                return found
            time.sleep(0.02)
        raise AssertionError(f"never true: {script}; notice: {self.text('#notice')}")

    def text(self, selector: str) -> str:
        """The text of the first element that a selector finds, as it is shown."""
        return str(self.run("return document.querySelector(arguments[0]).innerText", selector))

    def count(self, selector: str) -> int:
        """How many elements a selector finds."""
        return int(self.run("return document.querySelectorAll(arguments[0]).length", selector))

    def click(self, selector: str) -> None:
        """Click as a person does: the element must be in sight."""
        found = self.call("/element", {"using": "css selector", "value": selector})
        self.call(f"/element/{found[ELEMENT]}/click", {})

    def write(self, selector: str, text: str) -> None:
        """Type a text into a field, in place of what it has."""
        found = self.call("/element", {"using": "css selector", "value": selector})
        self.call(f"/element/{found[ELEMENT]}/clear", {})
        self.call(f"/element/{found[ELEMENT]}/value", {"text": text})

    def press(self, *keys: str) -> None:
        """Press keys one by one, wherever the focus is."""
        actions = [
            {"type": kind, "value": KEYS.get(key, key)}
            for key in keys
            for kind in ("keyDown", "keyUp")
        ]
        self.call("/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def resize(self, width: int, height: int) -> None:
        """Give the page so many CSS pixels, as a screen of that size has."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.command("Emulation.setDeviceMetricsOverride", metrics)

    def prefer(self, scheme: str) -> None:
        """Have the system prefer `light` or `dark`."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.command("Emulation.setEmulatedMedia", {"features": [feature]})

    def command(self, name: str, parameters: dict[str, Any]) -> Any:
        """A command of the DevTools protocol."""
        return self.call("/goog/cdp/execute", {"cmd": name, "params": parameters})

    def console(self) -> list[str]:
        """What the console has said since it was last asked, requests that failed among it."""
        return [entry["message"] for entry in self.call("/se/log", {"type": "browser"})]

    def screenshot(self, path: Path) -> None:
        """Save what is seen as a PNG."""
        path.write_bytes(base64.b64decode(self.call("/screenshot")))


@contextmanager
def chromium(downloads: Path) -> Iterator[Browser]:
    """A headless Chromium without a network; files that a page saves go to `downloads`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    driver = subprocess.Popen(
        ["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        session = _session(f"http://127.0.0.1:{port}", downloads)
        browser = Browser(session)
        browser.command("Network.enable", {})
        offline = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
        browser.command("Network.emulateNetworkConditions", offline)
        yield browser
        browser.call("/actions", {"actions": []})
        _call(session, method="DELETE")
    finally:
        driver.terminate()
        driver.wait()


def _session(driver: str, downloads: Path) -> str:
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    options = {
        "args": [*flags, "--host-resolver-rules=MAP * ~NOTFOUND", "--no-proxy-server"],
        "prefs": {"download.default_directory": str(downloads.resolve())},
    }
    wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
    deadline = time.monotonic() + 30
    while True:
        try:
            body = {"capabilities": {"alwaysMatch": wanted}}
            return f"{driver}/session/{_call(f'{driver}/session', body)['sessionId']}"
        except urllib.error.URLError as error:
            if isinstance(error, urllib.error.HTTPError) or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _call(url: str, body: dict[str, Any] | None = None, method: str | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as error:
        raise AssertionError(error.read().decode()[:2000]) from None
