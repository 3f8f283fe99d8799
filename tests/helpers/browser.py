"""Drives a headless Chromium by its debugging protocol, over two pipes: no package is needed.

The browser is the one that AEJAX_CHROMIUM names, or a chromium or google-chrome on the PATH.
"""

import base64
import itertools
import json
import os
import shutil
import subprocess
import tempfile

import pytest

CHROMIUM = os.environ.get("AEJAX_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)


class Browser:
    """A page in a browser: opened, asked, clicked at, dragged over, and photographed."""

    def __enter__(self):
        self.profile = tempfile.mkdtemp(prefix="aejax-browser-")
        commands, self.out = os.pipe()
        self.answers, answers = os.pipe()
        start = f'exec "$@" 3<&{commands} 4>&{answers}'  # where Chromium expects its pipes
        self.process = subprocess.Popen(
            ["bash", "-c", start, "bash", CHROMIUM, *_FLAGS, f"--user-data-dir={self.profile}", "about:blank"],
            pass_fds=(commands, answers),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands)
        os.close(answers)
        self.numbers, self.rest, self.session, self.errors = itertools.count(1), b"", None, []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime"):
            self.send(f"{domain}.enable")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        for end in (self.out, self.answers):
            os.close(end)
        shutil.rmtree(self.profile, ignore_errors=True)

    def send(self, method, **params):
        """Calls a method, and returns its result."""
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("method") == "Runtime.exceptionThrown":
                self.errors.append(answer["params"]["exceptionDetails"])
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    def _read(self):
        while b"\0" not in self.rest:
            part = os.read(self.answers, 1 << 20)
            assert part, "the browser ended"
            self.rest += part
        message, _, self.rest = self.rest.partition(b"\0")
        return json.loads(message)

    def open(self, path, width=1280, height=900, dark=False, touch=False):
        """Opens a file in a window of that size, and waits until the page has shown something."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.send("Emulation.setEmulatedMedia", features=scheme)
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": touch}
        self.send("Emulation.setDeviceMetricsOverride", **size)
        self.send("Emulation.setTouchEmulationEnabled", enabled=touch)
        self.send("Page.navigate", url=f"file://{path}")
        self.wait("window.page && page.made && !page.waiting")

    def value(self, expression):
        """Returns what JavaScript makes of an expression."""
        wrapped = {"expression": expression, "awaitPromise": True, "returnByValue": True}
        result = self.send("Runtime.evaluate", **wrapped)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait(self, expression):
        """Waits until an expression is true, ten seconds at most."""
        poll = f"""new Promise((yes, no) => {{
          const begun = Date.now(), look = () => {{
            if ({expression}) return yes(true);
            Date.now() - begun > 10000 ? no(new Error("waited in vain")) : setTimeout(look, 20);
          }};
          look();
        }})"""
        assert self.value(poll) is True

    def settle(self):
        """Waits until what was changed is shown."""
        frame = "new Promise(yes => requestAnimationFrame(() => requestAnimationFrame(() => yes(true))))"
        assert self.value(frame)

    def place(self, selector, x=0.5, y=0.5):
        """Returns where a share of an element's width and height is, after it was brought into view."""
        box = self.value(
            f"""(() => {{ const e = document.querySelector({selector!r}); e.scrollIntoView({{block: "center"}});
            const b = e.getBoundingClientRect(); return [b.left, b.top, b.width, b.height]; }})()"""
        )
        return box[0] + x * box[2], box[1] + y * box[3]

    def mouse(self, kind, place, buttons=0):
        held = {"button": "left" if kind != "mouseMoved" or buttons else "none", "buttons": buttons, "clickCount": 1}
        self.send("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], **held)

    def click(self, selector, x=0.5, y=0.5):
        self.drag(selector, [(x, y)])

    def drag(self, selector, points):
        """Presses at the first point, moves through the others, and lets go: shares of an element's size."""
        places = [self.place(selector, *point) for point in points]
        self.mouse("mouseMoved", places[0])
        self.mouse("mousePressed", places[0], 1)
        for place in places[1:]:
            self.mouse("mouseMoved", place, 1)
        self.mouse("mouseReleased", places[-1])
        self.settle()

    def touch(self, selector, points):
        """Does the same with a finger."""
        places = [self.place(selector, *point) for point in points]
        for number, (x, y) in enumerate(places):
            kind = "touchMove" if number else "touchStart"
            self.send("Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": x, "y": y}])
        self.send("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
        self.settle()

    def key(self, key):
        for kind in ("keyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=key)
        self.settle()

    def picture(self, path):
        """Writes a photograph of the whole page."""
        shot = self.send("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))
