"""A real browser: the system's Chromium, what its pages complain of, and axe-core's judgement of them."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import sync_playwright

from support.repository import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize

AXE = ROOT / ".state" / "axe-core-4.14.1"
DESKTOP: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 844}


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser; it is installed where it is missing."""
    subprocess.run([ROOT / "deploy" / "install-tool", "chromium", "chromium"], check=True, timeout=600)
    program = shutil.which("chromium")
    # Its own sandbox needs what containers and root do not have; it sees our own pages alone.
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Person:
    """Somebody with a browser profile of their own, and what went wrong on the pages that they saw."""

    context: BrowserContext
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Listen to every page: whatever a content policy stops, and scripts that fail."""
        self.context.set_default_timeout(15_000)
        self.context.on("console", lambda said: self._hear(said.type, said.text))
        self.context.on("weberror", lambda error: self.complaints.append(str(error.error)))

    def tab(self) -> Page:
        """Open a tab."""
        return self.context.new_page()

    def cookies(self) -> dict[str, dict[str, Any]]:
        """Return the cookies of every address that this browser knows, by name."""
        return {str(cookie.get("name")): dict(cookie) for cookie in self.context.cookies()}

    def _hear(self, kind: str, text: str) -> None:
        # A page with an error's status is one that tests ask for.
        if kind in {"error", "warning"} and not text.startswith("Failed to load resource"):
            self.complaints.append(text)


@contextlib.contextmanager
def visiting(browser: Browser, **options: Any) -> Iterator[Person]:
    """Yield a new person, who in the end has nothing to complain of."""
    context = browser.new_context(**{"viewport": DESKTOP, "color_scheme": "light"} | options)
    person = Person(context)
    try:
        yield person
    finally:
        context.close()
    assert person.complaints == []


def addresses(page: Page) -> list[str]:
    """Return a list to which each address is added that this tab opens, or is sent to."""
    opened: list[str] = []
    page.on(
        "request", lambda request: opened.append(request.url) if request.is_navigation_request() else None
    )
    return opened


def violations(page: Page) -> list[str]:
    """Return what axe-core finds on the page as it is now: rule and place."""
    page.evaluate(_axe())
    found = page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
    return [
        f"{rule['id']}: {node['target']} {node['failureSummary']}" for rule in found for node in rule["nodes"]
    ]


@cache
def _axe() -> str:
    """Return axe-core's text; installs it with npm, once per checkout."""
    if shutil.which("npm") is None:
        pytest.fail("npm is needed to judge the pages' accessibility: install Node.js 18 or newer")
    if not AXE.is_dir():
        AXE.parent.mkdir(exist_ok=True)
        # Made elsewhere and moved: several processes may run tests.
        with tempfile.TemporaryDirectory(dir=AXE.parent) as made:
            (Path(made) / "package.json").write_text('{"private": true}')
            name = AXE.name.replace("-4", "@4")
            npm = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", name]
            subprocess.run(npm, cwd=made, check=True, capture_output=True, timeout=100)
            with contextlib.suppress(OSError):
                os.rename(Path(made) / "node_modules" / "axe-core", AXE)  # noqa: PTH104 - never over another
    return (AXE / "axe.min.js").read_text()
