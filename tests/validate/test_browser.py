"""What a browser does by itself: pages, images, frames, workers, and calls from other sites."""

from __future__ import annotations

import pytest

from auth_server.errors import Forbidden, InvalidRequest, Navigation
from auth_server.headers import Headers
from auth_server.model import AuthMethod
from auth_server.validate import browser

JWT, SESSION = AuthMethod.JWT, AuthMethod.SESSION_COOKIE
BOTH = pytest.mark.parametrize("method", [JWT, SESSION])


def sent(method: str = "GET", *more: tuple[bytes, bytes], **headers: str) -> Headers:
    """Return the headers of a request with this method."""
    given = {"x_original_method": method} | headers
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in given.items()]
    return Headers([*pairs, *more])


def mismatch(headers: Headers, method: AuthMethod) -> Forbidden:
    """Return the refusal of a request that a browser makes by itself."""
    with pytest.raises(Forbidden) as caught:
        browser.check(headers, method)
    assert caught.value.code == "ORIGIN_MISMATCH"
    return caught.value


HTML = "text/html,application/xhtml+xml;q=0.9"


def test_who_is_a_person() -> None:
    """Who opens a page: by GET, without a token, and asking for HTML."""
    assert browser.is_person(sent(accept=HTML, sec_fetch_mode="navigate"))
    assert browser.is_person(sent(accept=HTML))
    assert browser.is_person(sent("GET", (b"accept", b"text/html"), accept="text/plain"))
    for headers in (
        sent(accept=HTML, sec_fetch_mode="cors"),
        sent("GET", (b"sec-fetch-mode", b"cors"), accept=HTML, sec_fetch_mode="navigate"),
        sent("POST", accept=HTML, sec_fetch_mode="navigate"),
        sent(accept=HTML, authorization="Bearer x"),
        sent(accept="text/htmlx"),
        sent("GET", (b"accept", b"html"), accept="text/"),
        sent(accept="*/*", sec_fetch_mode="navigate"),
        sent(),
    ):
        assert not browser.is_person(headers)


@BOTH
@pytest.mark.parametrize("verb", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"accept": "application/json, text/event-stream"},
        {"sec_fetch_site": "same-origin", "sec_fetch_mode": "cors", "sec_fetch_dest": "empty"},
        {"sec_fetch_site": "none", "sec_fetch_mode": "cors", "sec_fetch_dest": "empty"},
        {"sec_fetch_site": "same-origin", "sec_fetch_mode": "same-origin", "sec_fetch_dest": "empty"},
        {"service_worker": ""},
    ],
)
def test_programs_and_the_gateways_own_scripts_call(
    method: AuthMethod, verb: str, headers: dict[str, str]
) -> None:
    """Nothing is said, or what a script of this origin says."""
    browser.check(sent(verb, **headers), method)


@BOTH
@pytest.mark.parametrize("verb", ["GET", "POST"])
@pytest.mark.parametrize("dest", ["document", "iframe", "frame", "embed", "object", "empty", ""])
@pytest.mark.parametrize("site", ["none", "same-origin", "same-site", "cross-site"])
def test_a_navigation(method: AuthMethod, verb: str, dest: str, site: str) -> None:
    """Whoever opens an address as a page, from wherever and whatever the credential."""
    headers = sent(verb, sec_fetch_mode="navigate", sec_fetch_dest=dest, sec_fetch_site=site)
    assert isinstance(mismatch(headers, method), Navigation)


def test_a_navigation_of_a_browser_that_says_nothing() -> None:
    """It asks for a page, and has no token to send."""
    assert isinstance(mismatch(sent(accept="text/html,*/*;q=0.8"), SESSION), Navigation)
    browser.check(sent(accept="text/html", authorization="Bearer x"), JWT)
    browser.check(sent("POST", accept="text/html"), SESSION)


@BOTH
@pytest.mark.parametrize(
    "dest",
    [
        "document",
        "iframe",
        "frame",
        "embed",
        "object",
        "image",
        "script",
        "style",
        "font",
        "audio",
        "video",
        "track",
        "manifest",
        "worker",
        "sharedworker",
        "serviceworker",
        "audioworklet",
        "paintworklet",
        "report",
        "xslt",
        "json",
        "websocket",
        "webidentity",
        "speculationrules",
        "Empty",
        "",
        "new",
    ],
)
def test_what_no_script_asks_for(method: AuthMethod, dest: str) -> None:
    """Any destination but a script's own call, also one that is not known yet."""
    headers = sent(sec_fetch_mode="no-cors", sec_fetch_dest=dest, sec_fetch_site="same-origin")
    assert not isinstance(mismatch(headers, method), Navigation)


@BOTH
def test_a_service_workers_script(method: AuthMethod) -> None:
    """Installed once, it would answer for every page of this origin."""
    mismatch(sent(service_worker="script"), method)
    mismatch(sent(service_worker="script", sec_fetch_dest="empty", sec_fetch_site="same-origin"), method)


@pytest.mark.parametrize("site", ["same-site", "cross-site", "Same-Origin", "", "new"])
def test_a_session_from_another_site(site: str) -> None:
    """A browser sends the cookie by itself, and so for any page's script; a token it never sends."""
    headers = sent("POST", sec_fetch_mode="cors", sec_fetch_dest="empty", sec_fetch_site=site)
    mismatch(headers, SESSION)
    browser.check(headers, JWT)


@pytest.mark.parametrize("name", [b"sec-fetch-mode", b"sec-fetch-dest", b"sec-fetch-site", b"service-worker"])
def test_two_values_of_one(name: bytes) -> None:
    """Nobody says which counts."""
    with pytest.raises(InvalidRequest):
        browser.check(sent("POST", (name, b"empty"), (name, b"same-origin")), SESSION)
