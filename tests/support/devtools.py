"""Chromium driven over a pipe by the DevTools protocol: pages are opened, looked at and used.

https://chromedevtools.github.io/devtools-protocol/ ; messages are JSON with a zero byte behind.
"""

import base64
import contextlib
import fcntl
import json
import os
import queue
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.browser import OPTIONS, PATIENCE
from tests.support.processes import CHECKOUT, Workspace, find_program, require
from tests.support.without_netlink import undisturbed

#: Where pictures go.
PICTURES = CHECKOUT / "build" / "ui"
_KEYS = {
    "Enter": ("Enter", 13, "\r"),
    "Escape": ("Escape", 27, ""),
    "Tab": ("Tab", 9, ""),
    " ": ("Space", 32, " "),
    "/": ("Slash", 191, "/"),
    "ArrowLeft": ("ArrowLeft", 37, ""),
    "ArrowRight": ("ArrowRight", 39, ""),
}
_SHIFT, _CONTROL = 8, 2
#: Goes to a place behind ``#``, and waits until the page has heard of it and was painted: its
#: listener comes first, and it paints in a microtask.
_GO = """new Promise((done) => {
  const before = location.hash;
  addEventListener('hashchange', () => setTimeout(done), { once: true });
  location.hash = %s;
  if (location.hash === before) done();
})"""


class DevtoolsError(Exception):
    """The browser refused a command, or a script failed."""


class Browser:
    """A Chromium without a window."""

    def __init__(self) -> None:
        require("chromium")
        self._workspace = Workspace()
        program = find_program("chromium") or "chromium"
        options = [*OPTIONS, f"--user-data-dir={self._workspace.path}", "--remote-debugging-pipe"]
        self._pipe, self._process = _start([program, *options, "--lang=en", "about:blank"])
        self._answers: dict[int, queue.Queue[Any]] = {}
        self._listeners: dict[str, Callable[[str, Any], None]] = {}
        self._last = 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        rest = b""
        while True:
            try:
                received = os.read(self._pipe[0], 1 << 20)
            except OSError:
                return
            if not received:
                return
            *whole, rest = (rest + received).split(b"\0")
            for each in whole:
                self._take(json.loads(each))

    def _take(self, message: Any) -> None:
        if "id" in message:
            waiting = self._answers.pop(message["id"], None)
            if waiting is not None:
                waiting.put(message)
        else:
            listener = self._listeners.get(message.get("sessionId", ""))
            if listener is not None:
                listener(message["method"], message["params"])

    def ask(self, method: str, session: str = "", **params: Any) -> Any:
        """Give a command and wait for its answer.

        :raises DevtoolsError: if it fails.
        """
        self._last += 1
        number, waiting = self._last, queue.Queue[Any]()
        self._answers[number] = waiting
        message = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self._pipe[1], json.dumps(message).encode() + b"\0")
        answer = waiting.get(timeout=PATIENCE)
        if "error" in answer:
            raise DevtoolsError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def tab(self, **options: Any) -> "Tab":
        """A tab with cookies and storage of its own."""
        context = self.ask("Target.createBrowserContext")["browserContextId"]
        made = self.ask("Target.createTarget", url="about:blank", browserContextId=context)
        attached = self.ask("Target.attachToTarget", targetId=made["targetId"], flatten=True)
        session: str = attached["sessionId"]
        tab = Tab(self, session, context, **options)
        self._listeners[session] = tab.told
        tab.prepare()
        return tab

    def close_context(self, context: str) -> None:
        """Close the tabs of a context and forget its cookies; no answer is waited for."""
        self._last += 1
        params = {"browserContextId": context}
        message = {"id": self._last, "method": "Target.disposeBrowserContext", "params": params}
        os.write(self._pipe[1], json.dumps(message).encode() + b"\0")

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait(10)
        for each in self._pipe:
            with contextlib.suppress(OSError):
                os.close(each)
        self._workspace.remove()


class Tab:
    """One page.

    :ivar problems: what went wrong on it: errors of scripts, violations of policies, requests
        that failed.
    """

    def __init__(
        self,
        browser: Browser,
        session: str,
        context: str,
        *,
        width: int = 1280,
        height: int = 800,
        language: str = "en",
        theme: str = "light",
    ) -> None:
        self._browser = browser
        self._session = session
        self._context = context
        self._size = (width, height)
        self._language, self._theme = language, theme
        self.problems: list[str] = []

    def ask(self, method: str, **params: Any) -> Any:
        """Give a command to this tab."""
        return self._browser.ask(method, self._session, **params)

    def prepare(self) -> None:
        """Listen to what goes wrong; be of the wanted size, language and colours."""
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")
        agent = self._browser.ask("Browser.getVersion")["userAgent"]
        self.ask("Network.setUserAgentOverride", userAgent=agent, acceptLanguage=self._language)
        self.ask("Emulation.setScrollbarsHidden", hidden=True)
        self.resize(*self._size)
        self.colours(self._theme)

    def told(self, method: str, params: Any) -> None:
        """Note what goes wrong."""
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            said = details.get("exception", {}).get("description", details["text"])
            self.problems.append(f"exception: {said}")
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "assert"):
            said = " ".join(str(each.get("value", each)) for each in params["args"])
            self.problems.append(f"console: {said}")
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            entry = params["entry"]
            self.problems.append(f"{entry['source']}: {entry['text']} {entry.get('url', '')}")

    def resize(self, width: int, height: int) -> None:
        """Be of another size; narrow ones are phones."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        self.wait(f"innerWidth === {width}")

    def colours(self, theme: str) -> None:
        """``light`` or ``dark``, and nothing moves."""
        features = {"prefers-color-scheme": theme, "prefers-reduced-motion": "reduce"}
        told = [{"name": name, "value": value} for name, value in features.items()]
        self.ask("Emulation.setEmulatedMedia", features=told)

    def open(self, url: str) -> None:
        """Go to an address."""
        self.ask("Page.navigate", url=url)

    def run(self, script: str) -> Any:
        """What a script gives; promises are waited for. :raises DevtoolsError: if it throws."""
        found = self.ask(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in found:
            raise DevtoolsError(json.dumps(found["exceptionDetails"])[:2000])
        return found["result"].get("value")

    def value(self, expression: str) -> Any:
        """What an expression gives, as soon as it gives anything: neither null nor an error."""
        self.wait(f"(found => found !== null && found !== undefined)({expression})")
        return self.run(expression)

    def wait(self, condition: str) -> None:
        """Until a condition in JavaScript holds."""
        deadline = time.monotonic() + PATIENCE
        while not self._holds(condition):
            if time.monotonic() > deadline:
                raise AssertionError(f"never: {condition}\n{self.text()}\n{self.problems}")
            time.sleep(0.03)

    def _holds(self, condition: str) -> bool:
        try:
            return bool(self.run(f"Boolean({condition})"))
        except DevtoolsError:
            return False  # the page is being changed

    def wait_text(self, text: str) -> None:
        """Until the page shows a text."""
        self.wait(f"document.body.innerText.includes({json.dumps(text)})")

    def text(self) -> str:
        """All that the page shows."""
        return str(self.run("document.body?.innerText ?? ''"))

    def go(self, place: str) -> None:
        """Change the part of the address behind ``#``; the page has left the one before."""
        self.run(_GO % json.dumps(place))

    def reload(self) -> None:
        """Ask for the page anew; the one before is gone."""
        self.run("window.isOld = true; location.reload()")
        self.wait("!window.isOld && document.readyState === 'complete'")

    def in_chinese(self) -> None:
        """Switch to Chinese; the texts are there."""
        self.click(".top button", "中文")
        self.wait("document.documentElement.lang === 'zh-CN'")

    def click(self, selector: str, text: str = "") -> None:
        """Click the first element that a selector finds, with this text in it, once it is there
        and can be used."""
        found = (
            f"[...document.querySelectorAll({json.dumps(selector)})]"
            f".find(each => !each.disabled && each.textContent.includes({json.dumps(text)}))"
        )
        # Found and clicked in one turn of the page, which may be painted anew in between.
        self.wait(f"(each => each && (each.click(), true))({found})")

    def fill(self, selector: str, text: str) -> None:
        """Put the focus on a field and type."""
        chosen = f"document.querySelector({json.dumps(selector)})"
        self.wait(f"(each => each && (each.focus(), each.select?.(), true))({chosen})")
        self.ask("Input.insertText", text=text)

    def choose(self, selector: str, text: str) -> None:
        """Choose the option with this text of the first select that a selector finds."""
        found = (
            f"[...(document.querySelector({json.dumps(selector)})?.options ?? [])]"
            f".find(each => each.text.replace(/\\s/g, ' ') === {json.dumps(text)})"
        )
        change = "each.parentElement.closest('select').dispatchEvent(new Event('change'))"
        self.wait(f"(each => each && (each.selected = true, {change}, true))({found})")

    def focus(self, element: str) -> None:
        """Put the focus on what an expression gives, once it is there."""
        self.wait(f"(each => each && (each.focus(), document.activeElement === each))({element})")

    def paste(self) -> None:
        """Put what the clipboard has where the focus is."""
        fields = {"key": "v", "code": "KeyV", "modifiers": _CONTROL, "commands": ["paste"]}
        self.ask("Input.dispatchKeyEvent", type="keyDown", **fields)
        self.ask("Input.dispatchKeyEvent", type="keyUp", **fields)

    def press(self, key: str, *, shift: bool = False) -> None:
        """Press and release a key."""
        code, number, text = _KEYS[key]
        fields = {"key": key, "code": code, "windowsVirtualKeyCode": number}
        fields["modifiers"] = _SHIFT if shift else 0
        down = {"text": text} if text and not shift else {}
        self.ask("Input.dispatchKeyEvent", type="keyDown", **fields, **down)
        self.ask("Input.dispatchKeyEvent", type="keyUp", **fields)

    def picture(self, name: str, *, whole: bool = True) -> Path:
        """Keep a picture of the page."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        path = PICTURES / f"{name}.png"
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        taken = self.ask("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(taken["data"]))
        return path

    def close(self) -> None:
        """Close it and forget its cookies."""
        self._browser.close_context(self._context)


def _start(command: list[str]) -> tuple[tuple[int, int], subprocess.Popen[bytes]]:
    """A browser and the ends of its pipes: for reading, and for writing."""
    commands, told = os.pipe(), os.pipe()
    for_browser = [fcntl.fcntl(each, fcntl.F_DUPFD, 10) for each in (commands[0], told[1])]
    for each in (commands[0], told[1]):
        os.close(each)
    places = f'exec "$@" 3<&{for_browser[0]} 4>&{for_browser[1]}'
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "bash", "-c", places, "bash", *undisturbed(command)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=for_browser,
    )
    for each in for_browser:
        os.close(each)
    return (told[0], commands[1]), process
