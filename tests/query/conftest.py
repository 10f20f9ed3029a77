"""What tests of the page share: a browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # a browser is loaded where it is needed: most tests here need none
    from selenium.webdriver import Chrome

    from tests.query.page_browser import Page


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chrome]:
    """A browser, one for all tests. Without one a test is skipped, but in CI (environment variable CI) it fails."""
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not binary or not driver:
        missing = "Chromium is missing: install Debian's packages chromium and chromium-driver"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    options = ChromeOptions()
    options.binary_location = binary
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--mute-audio"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = Chrome(options, Service(driver))
    try:
        yield browser
    finally:
        browser.quit()


@pytest.fixture
def page(chromium: Chrome) -> Iterator[Page]:
    """The browser as it was at its beginning; at the end, the console must have no error that was not expected."""
    from tests.query.page_browser import Page

    page = Page(chromium)
    page.resize(1280, 900)
    page.prefer("light")
    page.console()
    yield page
    page.thaw_clock()
    chromium.get("about:blank")
    errors = [each for each in page.console() if not any(part in each for part in page.expected)]
    assert not errors
