"""A headless Chromium under its DevTools protocol, over a pipe: nothing but the browser itself is needed."""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Any, Self

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--hide-scrollbars",
)

CHROMIUM = next((found for name in _NAMES if (found := shutil.which(name))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian: chromium-headless-shell)")


class Browser:
    """One tab. `complaints` is what the browser says is wrong with what it was given: errors, refused policies."""

    def __init__(self, folder: Path) -> None:
        assert CHROMIUM is not None
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        # The browser reads from 3 and writes to 4.
        launch = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
        command = [CHROMIUM, *_FLAGS, "--remote-debugging-pipe", f"--user-data-dir={folder}", "about:blank"]
        self._log = (folder / "browser.log").open("wb")
        self._process = subprocess.Popen(
            ["bash", "-c", launch, "bash", *command],
            pass_fds=(theirs_in, theirs_out),
            stdout=self._log,
            stderr=self._log,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._reader = os.fdopen(self._in, "rb")
        self._numbers = itertools.count(1)
        self._session: str | None = None
        self._messages = self._read()
        self.complaints: list[str] = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._out)
        self._reader.close()
        self._log.close()

    def open(self, url: str, *, width: int = 1180, height: int = 900, dark: bool = False) -> None:
        """Go to a page, in a window of this size, as somebody who prefers light or dark would see it."""
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.prefer(dark=dark)
        self._call("Page.navigate", url=url)

    def prefer(self, *, dark: bool) -> None:
        """Prefer light or dark from now on."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])

    def ask(self, expression: str) -> Any:
        """Return what a JavaScript expression is in the page."""
        reply = self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in reply, reply
        return reply["result"].get("value")

    def text(self, element: str) -> str:
        """Return the text that an element shows; empty where there is none of this id."""
        found = self.ask(f"document.getElementById({json.dumps(element)})?.innerText ?? ''")
        return str(found)

    def until(self, what: str, holds: Callable[[], bool], timeout_s: float = 120) -> None:
        """Wait until something holds in the page; fail with all that it shows."""
        give_up_s = time.monotonic() + timeout_s
        while not holds():
            assert time.monotonic() < give_up_s, (
                f"waited for: {what}; {self.complaints}\n{self.ask('document.body?.innerText')}"
            )
            time.sleep(0.05)

    def picture(self) -> bytes:
        """Return what is seen, as a PNG of the whole page."""
        reply = self._call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return base64.b64decode(reply["data"])

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        for answer in self._messages:
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer}"
                result: dict[str, Any] = answer["result"]
                return result
            self._note(answer)
        raise AssertionError(f"the browser ended with status {self._process.wait()}, see {self._log.name}")

    def _note(self, event: dict[str, Any]) -> None:
        match event.get("method"):
            case "Log.entryAdded" if event["params"]["entry"]["level"] in {"warning", "error"}:
                self.complaints.append(event["params"]["entry"]["text"])
            case "Runtime.exceptionThrown":
                details = event["params"]["exceptionDetails"]
                self.complaints.append(str(details.get("exception", {}).get("description", details["text"])))

    def _read(self) -> Iterator[dict[str, Any]]:
        rest = b""
        while more := self._reader.read1():
            *messages, rest = (rest + more).split(b"\0")
            for message in messages:
                yield json.loads(message)
