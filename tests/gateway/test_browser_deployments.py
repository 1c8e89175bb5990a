"""Signing in at other deployments than the demo's: over https, and with a Cognito that nobody here wrote."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING

import httpx
import pytest
from support import chromium, foreign_issuers, tls_proxy
from support.asgi_server import serving
from support.door import call
from support.gateway import environment, running
from support.shared_machine import free_port
from support.waiting import until

from auth_server.demo import cognito as stand_in
from auth_server.demo.directory import POOL_ID, demo_directory

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page
    from support.backend import Backend
    from support.chromium import Person

PASSWORD = "uma's password"
PEOPLE = """\
group_mappings:
  mcp-registry-user: [by-group]
by-group:
  - server: time
    methods: [tools/list, tools/call]
    tools: [granted]
"""

pytestmark = pytest.mark.timeout(180)


@contextlib.contextmanager
def gateway(backend: Backend, folder: Path, settings: dict[str, str], port: int) -> Iterator[None]:
    """Run a gateway with these settings in front of the recording backend."""
    scopes = folder / "scopes.yml"
    scopes.write_text(PEOPLE)
    environ = environment("", scopes) | settings
    environ = {name: value for name, value in environ.items() if value or name != "COGNITO_JWKS_URL"}
    backend.reset()
    with running({"time": backend.url}, environ, port=port, cwd=folder):
        yield


def outcome(url: str, cookie: str, trusted: ssl.SSLContext | bool = True) -> tuple[int, str | None]:
    """Return what a call with this cookie is answered."""
    headers = {"Cookie": cookie, "Accept": "application/json, text/event-stream"}
    answer = httpx.post(f"{url}/time/mcp", json=call(), headers=headers, trust_env=False, verify=trusted)
    return answer.status_code, answer.headers.get("x-auth-error")


def ends(url: str, cookie: str, trusted: ssl.SSLContext) -> bool:
    """Tell whether this cookie is refused because its session has ended."""
    return outcome(url, cookie, trusted) == (401, "REVOKED")


def fill(page: Page, user: str, name: str, password: str) -> None:
    """Fill in Cognito's form."""
    page.get_by_label(user).fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def test_over_https(browser: Browser, backends: tuple[Backend, Backend], tmp_path: Path) -> None:
    """Behind a proxy that terminates TLS, each cookie is Secure and the host's own, and calls take both names."""
    port, public = free_port(), free_port()
    url = f"https://localhost:{public}"
    secrets = {"demo-web": "web+secret/%&=;:x", "uma": PASSWORD}
    directory = demo_directory(url, secrets=secrets)
    with contextlib.ExitStack() as stack:
        base = stack.enter_context(serving(lambda base: stand_in.create_app(directory, issuer_base=base)))
        settings = {
            "COGNITO_USER_POOL_ID": POOL_ID,
            "COGNITO_ISSUER": f"{base}/{POOL_ID}",
            "COGNITO_CLIENT_ID": "demo-web",
            "COGNITO_CLIENT_SECRET": secrets["demo-web"],
            "GATEWAY_URL": url,
        }
        stack.enter_context(gateway(backends[0], tmp_path, settings, port))
        trusted = stack.enter_context(tls_proxy.terminating(public, port))
        person = stack.enter_context(chromium.visiting(browser, ignore_https_errors=True))
        page = person.tab()
        page.goto(f"{url}/oauth2/login/cognito")
        (sign_in,) = [name for name in person.cookies() if "sign_in" in name]
        assert sign_in.startswith("__Host-")
        fill(page, "User name", "uma", PASSWORD)
        page.wait_for_url(f"{url}/")
        assert page.get_by_role("heading", name="uma", exact=True).is_visible()
        assert {name for name in person.cookies() if "mcp_gateway" in name} == {"__Host-mcp_gateway_session"}
        cookie = person.cookies()["__Host-mcp_gateway_session"]
        assert (cookie["secure"], cookie["httpOnly"], cookie["path"]) == (True, True, "/")
        assert not cookie["domain"].startswith(".")
        copy = cookie["value"]
        for name in ("__Host-mcp_gateway_session", "mcp_gateway_session"):
            assert outcome(url, f"{name}={copy}", trusted) == (200, None)
        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("heading", name="Sign in").wait_for()
        assert not [name for name in person.cookies() if "mcp_gateway" in name]
        for name in ("__Host-mcp_gateway_session", "mcp_gateway_session"):
            until(partial(ends, url, f"{name}={copy}", trusted), f"the end of {name}", seconds=3)


def test_a_cognito_that_nobody_here_wrote(
    person: Person, backends: tuple[Backend, Backend], tmp_path: Path
) -> None:
    """With ministack's sign-in page: a wrong password, the right one, a call, two tabs, the end."""
    port = free_port()
    url = f"http://localhost:{port}"
    with foreign_issuers.ministack() as issuer:
        issuer.add_user("uma", "mcp-registry-user")
        client, secret = issuer.add_web_client(url)
        settings = issuer.settings | {
            "COGNITO_DOMAIN": issuer.base,
            "COGNITO_CLIENT_ID": client,
            "COGNITO_CLIENT_SECRET": secret,
            "GATEWAY_URL": url,
        }
        with gateway(backends[0], tmp_path, settings, port):
            page, other = person.tab(), person.tab()
            visited = [chromium.addresses(page), chromium.addresses(other)]
            for number, tab in enumerate((page, other)):
                tab.goto(f"{url}/time/mcp?tab={number}")
            fill(page, "Username", "uma", "wrong")
            assert page.get_by_text("Incorrect").is_visible()
            for number, tab in enumerate((page, other)):
                fill(tab, "Username", "uma", foreign_issuers.PASSWORD)
                tab.wait_for_url(f"{url}/")
                assert visited[number][-2:] == [f"{url}/time/mcp?tab={number}", f"{url}/"]
            assert page.get_by_role("heading", name="uma", exact=True).is_visible()
            assert page.get_by_text("mcp-registry-user").is_visible()
            cookie = f"mcp_gateway_session={person.cookies()['mcp_gateway_session']['value']}"
            assert outcome(url, cookie) == (200, None)
            page.get_by_role("button", name="Sign out").click()
            page.get_by_role("heading", name="Sign in").wait_for()
            until(lambda: outcome(url, cookie) == (401, "REVOKED"), "the end of the session", seconds=3)
