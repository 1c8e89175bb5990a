"""Pictures of the pages for docs/, of the demo as it is: `make screenshots`."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support import chromium
from support.demo import running_demo

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from support.demo import Demo

FOLDER = Path(__file__).parents[1] / "docs" / "images"
DESKTOP = {"width": 1200, "height": 860}
PICTURES: dict[str, dict[str, Any]] = {
    "page": {"viewport": DESKTOP},
    "page-dark": {"viewport": DESKTOP, "color_scheme": "dark"},
    "page-phone": {"viewport": chromium.PHONE},
    "sign-in": {"viewport": chromium.PHONE},
    "problem": {"viewport": chromium.PHONE, "color_scheme": "dark"},
}


def take(browser: Browser, demo: Demo, name: str, options: dict[str, Any]) -> None:
    """Take one picture."""
    with chromium.visiting(browser, **options) as person:
        page = person.tab()
        page.goto(demo.base_url)
        if name.startswith("page"):
            page.get_by_role("link", name="Continue").click()
            page.get_by_label("User name").fill("uma")
            page.get_by_label("Password").fill(demo.password("uma"))
            page.get_by_role("button", name="Sign in").click()
            page.get_by_text("Signed in as").wait_for()
        elif name == "problem":
            page.goto(f"{demo.base_url}/oauth2/login/cognito")
            page.get_by_role("button", name="Cancel").click()
            page.get_by_role("heading", name="You were not signed in").wait_for()
        page.screenshot(path=FOLDER / f"{name}.png")


def main() -> None:
    """Take all of them."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as state, chromium.chromium() as browser:
        os.environ["STATE_DIRECTORY"] = state
        with running_demo(port=8080) as demo:
            for name, options in PICTURES.items():
                take(browser, demo, name, options)
                print(FOLDER / f"{name}.png", file=sys.stderr)


if __name__ == "__main__":
    main()
