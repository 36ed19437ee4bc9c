"""A real, headless Chromium, driven over the WebDriver protocol (https://www.w3.org/TR/webdriver2/).

with chromium() as browser:
    browser.open("http://ada:secret@127.0.0.1:5555/tasks")
    browser.type_into("input[type=search]", "call-1")
    browser.wait_for("table a")
    browser.picture(folder / "tasks.png")
"""

import contextlib
import shutil
import subprocess
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from pipeline import wait_until

WIDTH, HEIGHT = 1500, 860
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
_NO_SUCH_ELEMENT = 404
_FOCUS = "const at = document.querySelector(arguments[0]); if (at) at.focus(); return document.activeElement === at"


class Browser:
    """One window."""

    def __init__(self, driver: httpx.Client, session: str) -> None:
        self._driver = driver
        self._session = session

    def open(self, url: str) -> None:
        """Go to a page; return when it is loaded."""
        self._do("url", url=url)

    def address(self) -> str:
        found: str = self._driver.get(f"/session/{self._session}/url").raise_for_status().json()["value"]
        return found

    def has(self, selector: str) -> bool:
        """Say whether the page has such an element now."""
        return self._find(selector) is not None

    def wait_for(self, selector: str) -> None:
        wait_until(lambda: self.has(selector), f"the page at {self.address()} has {selector}")

    def text(self, selector: str = "body") -> str:
        """What a person reads there."""
        found: str = self.run("return document.querySelector(arguments[0]).innerText", selector)
        return found

    def click(self, selector: str) -> None:
        # A part that is fetched anew just then takes its elements with it; the next look finds the new one.
        wait_until(lambda: self._clicked(self._the(selector)), f"{selector} takes a click")

    def type_into(self, selector: str, text: str) -> None:
        # A part that is fetched anew takes its elements with it: the focus keeps it as it is.
        wait_until(lambda: self.run(_FOCUS, selector), f"{selector} has the focus")
        self._do(f"element/{self._the(selector)}/value", text=text)

    def run(self, script: str, *arguments: object) -> Any:
        """Run JavaScript in the page and return what it returns."""
        return self._do("execute/sync", script=script, args=arguments)

    def picture(self, path: Path, *, height: int = HEIGHT) -> None:
        """Keep what is to be seen now as a PNG, in a window of so many pixels."""
        self._do("window/rect", width=WIDTH, height=height)
        shot = self._driver.get(f"/session/{self._session}/screenshot").raise_for_status().json()["value"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b64decode(shot))

    def size(self, width: int, height: int) -> None:
        """Have the page be so large, in CSS pixels, whatever a window may be."""
        self.devtools(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )

    def scheme(self, name: str) -> None:
        """Prefer `light` or `dark`."""
        features = [{"name": "prefers-color-scheme", "value": name}]
        self.devtools("Emulation.setEmulatedMedia", features=features)

    def keep(self, path: Path) -> None:
        """Keep what is to be seen now as a PNG, in the size that `size` gave."""
        shot = self._driver.get(f"/session/{self._session}/screenshot").raise_for_status().json()["value"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b64decode(shot))

    def keys(self, *texts: str) -> None:
        """Press keys, wherever the focus is."""
        for text in texts:
            presses = [{"type": kind, "value": key} for key in text for kind in ("keyDown", "keyUp")]
            self._do("actions", actions=[{"type": "key", "id": "keys", "actions": presses}])

    def tab_to(self, selector: str, most: int = 80) -> None:
        """Press Tab until the focus is there: who has no mouse gets there so."""
        for _ in range(most):
            if self.run("return document.activeElement.matches(arguments[0])", selector):
                return
            self.keys("\ue004")
        raise AssertionError(f"no Tab leads to {selector} on {self.address()}")

    def blur(self) -> None:
        """Leave a field, as Escape does."""
        self.keys("\ue00c")

    def complaints(self) -> list[str]:
        """What the browser has complained about since it was asked last."""
        answer = self._driver.post(f"/session/{self._session}/se/log", json={"type": "browser"})
        return [str(entry["message"]) for entry in answer.json()["value"]]

    def devtools(self, command: str, **parameters: object) -> None:
        self._do("goog/cdp/execute", cmd=command, params=parameters)

    def _clicked(self, element: str) -> bool:
        answer = self._driver.post(f"/session/{self._session}/element/{element}/click", json={})
        assert answer.is_success or "stale element" in answer.text, answer.text
        return answer.is_success

    def _the(self, selector: str) -> str:
        self.wait_for(selector)
        found = self._find(selector)
        assert found, selector
        return found

    def _find(self, selector: str) -> str | None:
        query = {"using": "css selector", "value": selector}
        answer = self._driver.post(f"/session/{self._session}/element", json=query)
        if answer.status_code == _NO_SUCH_ELEMENT:
            return None
        element: str = answer.raise_for_status().json()["value"][_ELEMENT]
        return element

    def _do(self, what: str, **body: object) -> Any:
        answer = self._driver.post(f"/session/{self._session}/{what}", json=body)
        assert answer.is_success, answer.text
        return answer.json()["value"]


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Start Chromium with a profile of its own; it ends with the block."""
    binary = shutil.which("chromedriver")
    assert binary, "there is no chromedriver: apt-get install chromium chromium-driver"
    with subprocess.Popen([binary, "--port=0"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        line = next(line for line in process.stdout if "started successfully on port" in line)
        url = f"http://127.0.0.1:{line.rstrip().rstrip('.').rsplit(' ', 1)[1]}"
        try:
            with httpx.Client(base_url=url, timeout=60, trust_env=False) as driver:
                # Chromium's own sandbox needs rights that a container does not give.
                arguments = ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars"]
                options = {"args": [*arguments, f"--window-size={WIDTH},{HEIGHT}"]}
                wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
                session = driver.post("/session", json=wanted).raise_for_status().json()["value"]["sessionId"]
                try:
                    yield Browser(driver, session)
                finally:
                    driver.delete(f"/session/{session}")
        finally:
            process.terminate()
