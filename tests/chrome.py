"""A headless Chromium driven over its DevTools protocol: enough to open a page, click and look."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import websocket

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
)


def find():
    return next(
        (p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None
    )


class Chrome:
    """One browser with one page; use as a context manager."""

    def __init__(self, width=1280, height=900, mobile=False):
        self.size, self.requests, self.logs, self.number = (width, height, mobile), [], [], 0
        self.events = []

    def __enter__(self):
        self.home = tempfile.mkdtemp(prefix="chrome-")
        self.process = subprocess.Popen(
            [find(), *FLAGS, f"--user-data-dir={self.home}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        port_file = Path(self.home, "DevToolsActivePort")
        for _ in range(300):
            if port_file.exists() and port_file.read_text().strip().count("\n"):
                break
            time.sleep(0.1)
        port, browser = port_file.read_text().strip().split("\n")
        self.socket = websocket.create_connection(f"ws://127.0.0.1:{port}{browser}", timeout=60)
        self.session = None
        target = self("Target.createTarget", url="about:blank")["targetId"]
        self.session = self("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self(f"{domain}.enable")
        width, height, mobile = self.size
        self(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=mobile,
        )
        return self

    def __exit__(self, *_):
        self.socket.close()
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            os.kill(self.process.pid, 9)
            self.process.wait(15)
        shutil.rmtree(self.home, ignore_errors=True)

    def __call__(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        self.socket.send(json.dumps(message))
        while True:
            answer = json.loads(self.socket.recv())
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self._event(answer)

    def _event(self, answer):
        method, params = answer.get("method"), answer.get("params", {})
        self.events.append(method)
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.logs.append(params["exceptionDetails"].get("exception", {}).get("description", str(params)))
        elif method == "Log.entryAdded":
            self.logs.append(params["entry"]["text"])

    def open(self, path):
        self.events.clear()
        self("Page.navigate", url=Path(path).resolve().as_uri())
        for _ in range(200):
            if self.run("document.readyState") == "complete" and "Page.loadEventFired" in self.events:
                return
            time.sleep(0.05)
        raise TimeoutError(f"{path} did not load")

    def run(self, script):
        got = self("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in got:
            raise RuntimeError(got["exceptionDetails"])
        return got["result"].get("value")

    def pixels(self):
        """A digest of what is drawn on the map."""
        return self.run(
            "(() => { const c = document.getElementById('map'); const d = c.getContext('2d')"
            ".getImageData(0, 0, c.width, c.height).data; let h = 0;"
            "for (let i = 0; i < d.length; i += 4)"
            "h = (Math.imul(h, 31) + d[i] * 65536 + d[i + 1] * 256 + d[i + 2]) | 0;"
            "return h; })()"
        )

    def click(self, x, y):
        for kind in ("mousePressed", "mouseReleased"):
            self("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def shot(self, path, full=True):
        got = self("Page.captureScreenshot", format="png", captureBeyondViewport=full)
        Path(path).write_bytes(base64.b64decode(got["data"]))
