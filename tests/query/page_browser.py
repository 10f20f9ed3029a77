"""A browser that looks at the page."""

from __future__ import annotations

from typing import Any

from selenium.webdriver import Chrome
from selenium.webdriver.common.action_chains import ActionChains

from tests.waiting import wait_until

LIMIT_S = 30.0


class Page:
    """What a test does with the page, and sees of it."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver
        self._added: list[str] = []
        self.expected: list[str] = []
        """Parts of errors on the console that the test brings about."""

    def freeze_clock(self) -> None:
        """Pages that are opened from now on stay at one time: what is told of it does not grow old."""
        source = {"source": "{ const at = Date.now(); Date.now = () => at; }"}
        added = self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", source)
        self._added.append(added["identifier"])

    def thaw_clock(self) -> None:
        """End that."""
        for each in self._added:
            self.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", {"identifier": each})
        self._added.clear()

    def open(self, url: str) -> None:
        """Open an address, and wait until the page shows what the service knows."""
        self.driver.get(url)
        self.wait_for("#state", "Live")

    def run(self, script: str, *arguments: object) -> Any:
        """The value that a script returns; also of an asynchronous function."""
        return self.driver.execute_script(f"return (async () => {{ {script} }})()", *arguments)

    def text(self, selector: str) -> str:
        """What can be read in the first element; empty where there is none, or it is hidden."""
        script = """const node = document.querySelector(arguments[0]);
          return node?.checkVisibility() ? node.innerText : ''"""
        return str(self.driver.execute_script(script, selector))

    def count(self, selector: str) -> int:
        """How many elements there are."""
        return int(self.driver.execute_script("return document.querySelectorAll(arguments[0]).length", selector))

    def attribute(self, selector: str, name: str) -> str:
        """Of the first element."""
        script = "return document.querySelector(arguments[0]).getAttribute(arguments[1]) ?? ''"
        return str(self.driver.execute_script(script, selector, name))

    def figure(self, term: str) -> str:
        """The figure under this term."""
        script = """return [...document.querySelectorAll("#figures dt")]
          .find((each) => each.textContent === arguments[0])?.nextElementSibling.textContent ?? ''"""
        return str(self.driver.execute_script(script, term))

    def wait_for(self, selector: str, part: str) -> None:
        """Until the element's text has this part."""
        wait_until(
            lambda: part in self.text(selector),
            LIMIT_S,
            lambda: f"{selector} has no {part!r} but {self.text(selector)!r}; console: {self.console()}",
        )

    def press(self, *keys: str) -> None:
        """Press keys one after the other."""
        ActionChains(self.driver).send_keys(*keys).perform()

    def resize(self, width: int, height: int) -> None:
        """Make the page so wide and high, in CSS pixels."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def prefer(self, scheme: str) -> None:
        """Have the system ask for `light` or `dark`."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def console(self) -> list[str]:
        """Errors since the last look: of scripts, of requests, and of the content security policy."""
        entries = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]
