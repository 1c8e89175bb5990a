"""`auth-server login`: real processes, a real Cognito, a real gateway, a person at a browser."""

import json
import os
import pty
import re
import shutil
import stat
import subprocess
import sys
import time
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send
from support.asgi_server import read_body
from support.command import SECRET_KEY
from support.hosted_ui import sign_in
from support.person_with_a_terminal import PASSWORD, WEB_SECRET, World, checked, one_line
from support.shared_machine import free_port, locked

from auth_server.cli.loopback import callback_url
from auth_server.demo.directory import POOL_ID
from auth_server.identity import session_cookie

HEADERS = [(b"content-type", b"application/json")]


def answering(status: int, body: bytes = b"") -> Any:
    """Return a server that answers everything with the same."""

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await read_body(receive)
        await send({"type": "http.response.start", "status": status, "headers": HEADERS})
        await send({"type": "http.response.body", "body": body})

    return app


def refusing(status: int, code: str) -> Any:
    """Return a gateway that refuses everything with this code."""
    error = {"type": "AuthenticationError", "message": "no", "details": {"error_code": code}}
    return answering(status, json.dumps({"success": False, "error": error}).encode())


def made(**changes: Any) -> Any:
    """Return a gateway that makes a session with something changed."""
    session = {"cookie": {"value": "v"}, "username": "uma", "groups": [], "expires_at": 1}
    return answering(200, json.dumps(session | changes).encode())


@pytest.mark.parametrize("confidential", [False, True])
def test_sign_in_with_a_browser(world: World, confidential: bool) -> None:
    """A person signs in; the gateway's own cookie is kept for them alone, and nothing secret is said."""
    changes: dict[str, str] = {}
    if confidential:
        (world.home / "secret").write_text(f"{WEB_SECRET}\n")
        changes = {"COGNITO_CLIENT_ID": "demo-web", "COGNITO_CLIENT_SECRET_FILE": str(world.home / "secret")}
    code, out, err, page = world.login(**changes)
    assert (code, err) == (0, "open this address in a browser on this machine:\n")
    assert out.startswith("signed in as uma until 20")
    assert str(world.cookie_file) in out
    assert (page.status_code, "You are signed in" in page.text) == (200, True)
    assert page.history[-1].headers["location"].startswith(f"http://localhost:{world.port}/callback?code=")
    assert stat.S_IMODE(world.cookie_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(world.cookie_file.parent.stat().st_mode) == 0o700
    cookie = world.cookie_file.read_text().strip()
    identity = session_cookie.verify(cookie, [SECRET_KEY], max_age=60, now=time.time())
    assert (identity.username, identity.groups) == ("uma", ("mcp-registry-user",))


def test_the_address_has_pkce_and_nothing_secret(world: World) -> None:
    """S256, a state of 256 bits and the exact callback; no secret of the app client."""
    with world.start("login", "--no-browser", "--port", str(world.port)) as process:
        assert process.stdout
        address = httpx.URL(process.stdout.readline().strip())
        process.terminate()
    assert str(address).startswith(f"{world.issuer}/oauth2/authorize?")
    assert address.params["code_challenge_method"] == "S256"
    assert len(address.params["code_challenge"]) == 43
    assert len(address.params["state"]) == len(address.params["nonce"]) == 43
    assert address.params["redirect_uri"] == callback_url(world.port)
    rest = {"client_id", "code_challenge", "code_challenge_method", "redirect_uri", "response_type", "scope"}
    assert set(address.params) == rest | {"state", "nonce"}


def test_the_browser_is_opened(world: World) -> None:
    """Without --no-browser, the person's own browser is opened at the address."""
    script = world.home / "browser"
    script.write_text(
        f'#!/bin/sh\nexec "{sys.executable}" -m support.hosted_ui uma "{PASSWORD}" "$1" >"$HOME/said" 2>&1\n'
    )
    script.chmod(0o755)
    with world.start("login", "--port", str(world.port), BROWSER=f"{script} %s") as process:
        out, err = checked(process.returncode, *process.communicate(timeout=60))[1:]
    assert (process.returncode, out[:12]) == (0, "signed in as")
    assert err.startswith("opening the browser; if it does not show the sign-in page, open this address")
    assert world.cookie_file.exists()


def test_a_machine_without_a_browser(world: World) -> None:
    """The address is told in any case, so that nobody waits for a browser that is not there."""
    nothing = world.home / "bin"
    nothing.mkdir()
    with world.start("login", "--port", str(world.port), PATH=str(nothing), BROWSER="absent %s") as process:
        assert process.stderr
        process.stderr.readline()
        sign_in(process.stderr.readline().strip(), "uma", PASSWORD)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out[:12], err) == (0, "signed in as", "")


def test_the_usual_callback(world: World) -> None:
    """Without --port, the browser comes back to http://localhost:9090/callback, as the demo's pool has it."""
    with locked("auth-server-port-9090"), world.start("login", "--no-browser") as process:
        assert process.stdout
        address = process.stdout.readline().strip()
        assert "localhost%3A9090%2Fcallback" in address, process.communicate(timeout=10)
        sign_in(address, "uma", PASSWORD).raise_for_status()
        process.communicate(timeout=60)
    assert process.returncode == 0


def test_a_domain_needs_no_pool(world: World) -> None:
    """COGNITO_DOMAIN as a URL tells the endpoints; the stand-in has none there, and says so in its page."""
    with world.start(
        "login", "--no-browser", "--port", str(world.port),
        COGNITO_DOMAIN=world.cognito.base, COGNITO_USER_POOL_ID=None, COGNITO_ISSUER=None,
    ) as process:  # fmt: skip
        assert process.stdout
        assert process.stdout.readline().startswith(f"{world.cognito.base}/oauth2/authorize?")
        process.terminate()


def test_json(world: World) -> None:
    """For programs: who, until when, and where the cookie is."""
    path = world.home / "elsewhere" / "cookie"
    code, out, err = world.run(
        "login", "--username", "uma", "--json", "--cookie-file", str(path), stdin=PASSWORD
    )
    assert (code, err) == (0, "")
    answer = json.loads(out)
    assert answer["username"] == "uma"
    assert answer["cookie_file"] == str(path)
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", answer["expires_at"])
    assert path.exists()


def test_the_person_cancels(world: World) -> None:
    """Cognito's error is told with a remedy, in the terminal; the page says that it did not work."""
    code, out, err, page = world.login(action="cancel")
    assert (code, out) == (1, "")
    assert "access_denied" in err
    assert "cancelled" in err
    assert (page.status_code, "did not work" in page.text) == (400, True)
    assert not world.cookie_file.exists()


def test_somebody_elses_redirect(world: World) -> None:
    """A code with another state ends the sign-in, and is never exchanged."""
    with world.start("login", "--no-browser", "--port", str(world.port)) as process:
        assert process.stdout
        process.stdout.readline()
        with httpx.Client(trust_env=False) as client:
            page = client.get(f"{callback_url(world.port)}?code=stolen&state=guessed")
        _, err = process.communicate(timeout=60)
    assert (process.returncode, page.status_code) == (1, 400)
    assert "does not belong to this sign-in" in err
    assert ("POST", f"/{POOL_ID}/oauth2/token") not in world.cognito.seen


def test_nobody_comes_back(world: World) -> None:
    """It ends by itself."""
    code, _, err = world.run("login", "--no-browser", "--port", str(world.port), "--timeout", "1")
    assert code == 1
    assert "nobody came back from signing in within 1 s" in err


def test_the_port_is_in_use(world: World) -> None:
    """Two logins at once: the second says what is in its way."""
    with world.start("login", "--no-browser", "--port", str(world.port)) as first:
        assert first.stdout
        first.stdout.readline()
        code, out, err = world.run("login", "--no-browser", "--port", str(world.port))
        first.terminate()
    assert (code, out) == (1, "")
    assert f"port {world.port} is in use" in one_line(err)


def test_ctrl_c(world: World) -> None:
    """Ctrl-C ends the wait without a word."""
    with world.start("login", "--no-browser", "--port", str(world.port)) as process:
        assert process.stdout
        process.stdout.readline()
        process.send_signal(2)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "changes"),
    [
        ((), {}),
        (("--client-id", "demo-cli"), {"COGNITO_CLIENT_ID": "demo-web", "COGNITO_CLIENT_SECRET": WEB_SECRET}),
        ((), {"COGNITO_CLIENT_ID": "demo-web", "COGNITO_CLIENT_SECRET": WEB_SECRET}),
        (("--client-id", "demo-web", "--client-secret-file", "secret"), {}),
    ],
)
def test_sign_in_with_a_password(world: World, arguments: tuple[str, ...], changes: dict[str, str]) -> None:
    """--username needs no browser: a public client, or a confidential one with SECRET_HASH.

    A secret in the environment belongs to the client id in the environment, and to no other.
    """
    (world.home / "secret").write_text(WEB_SECRET)
    code, out, err = world.run("login", "--username", "uma", *arguments, stdin=f"{PASSWORD}\n", **changes)
    assert (code, err) == (0, "")
    assert out.startswith("signed in as uma until ")
    assert world.cookie_file.exists()


def test_the_password_is_prompted_for(world: World) -> None:
    """At a terminal the password is asked for, and not shown."""
    master, slave = pty.openpty()
    command = [shutil.which("setsid") or "setsid", "--ctty", "--wait", sys.executable, "-m", "auth_server"]
    with subprocess.Popen(
        [*command, "login", "--username", "uma"],
        cwd=world.home, env=world.environ, stdin=slave, stdout=slave, stderr=slave,
    ) as process:  # fmt: skip
        os.close(slave)
        shown = b""
        while b"Password of uma: " not in shown:
            shown += os.read(master, 1024)
        os.write(master, f"{PASSWORD}\n".encode())
        try:
            while chunk := os.read(master, 1024):
                shown += chunk
        except OSError:
            pass  # how a terminal ends
        os.close(master)
    assert process.returncode == 0
    assert "signed in as uma" in shown.decode()
    assert PASSWORD not in shown.decode()


@pytest.mark.parametrize(
    ("arguments", "stdin", "changes", "said"),
    [
        ((), "wrong", {}, ("NotAuthorizedException: Incorrect username or password.", "check user name")),
        ((), "", {}, ("no password was given",)),
        ((), "\n", {}, ("no password was given",)),
        (("--client-id", "demo-agent"), "x", {}, ("InvalidParameterException", "ALLOW_USER_PASSWORD_AUTH")),
        (("--client-id", "absent"), "x", {}, ("ResourceNotFoundException", "client id is wrong")),
        (("--client-id", "demo-web"), "x", {}, ("SECRET_HASH was not received", "secret if it has one")),
        ((), "x", {"COGNITO_CLIENT_SECRET": "x"}, ("NotAuthorizedException",)),
        ((), "x", {"GATEWAY_URL": "ftp://x"}, ("GATEWAY_URL: ",)),
        (("--gateway", "http://x/path"), "x", {}, ("--gateway: ",)),
        ((), "x", {"COGNITO_CLIENT_ID": None}, ("COGNITO_CLIENT_ID is not set; give --client-id",)),
        ((), "x", {"COGNITO_USER_POOL_ID": None}, ("where to sign in? Set COGNITO_USER_POOL_ID",)),
    ],
)
def test_refusals_have_a_remedy(
    world: World,
    arguments: tuple[str, ...],
    stdin: str,
    changes: dict[str, str | None],
    said: tuple[str, ...],
) -> None:
    """What went wrong and what to do, in one line; nothing is kept."""
    code, out, err = world.run("login", "--username", "uma", *arguments, stdin=stdin, **changes)
    assert (code, out) == (1, "")
    assert all(part in one_line(err) for part in said), err
    assert not world.cookie_file.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("login", "--client-id", ""),
        ("login", "--gateway", ""),
        ("login", "--port", "0"),
        ("login", "--port", "65536"),
        ("login", "--timeout", "0"),
        ("login", "--username", ""),
        ("login", "--password", "x"),
        ("whoami", "--cookie-file", ""),
        ("logout", "--json"),
    ],
)
def test_wrong_use(world: World, arguments: tuple[str, ...]) -> None:
    """Arguments that make no sense are exit code 2 and one line."""
    code, out, err = world.run(*arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1


def test_a_password_that_is_no_text(world: World) -> None:
    """Bytes that are not UTF-8 are named."""
    done = subprocess.run(
        [sys.executable, "-m", "auth_server", "login", "--username", "uma"],
        env=world.environ, cwd=world.home, input=b"\xff\n", capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert b"not UTF-8" in done.stderr


def test_a_wrong_secret(world: World) -> None:
    """Cognito refuses the code's exchange; the browser's page and the terminal say so."""
    code, _, err, page = world.login(COGNITO_CLIENT_ID="demo-web", COGNITO_CLIENT_SECRET="another")
    assert (code, page.status_code) == (1, 400)
    assert "invalid_client" in err
    assert "client id or its secret is wrong" in err


MISBEHAVING = {
    "another client": (refusing(401, "INVALID_AUDIENCE"), "add it to its COGNITO_ALLOWED_CLIENT_IDS"),
    "another pool": (refusing(401, "INVALID_ISSUER"), "compare COGNITO_USER_POOL_ID on both sides"),
    "no keys": (refusing(503, "KEYS_UNAVAILABLE"), "the gateway refused with KEYS_UNAVAILABLE: no"),
    "another server": (answering(404, b"<html>"), "has status 404; is it this product's gateway?"),
    "a redirect": (answering(302), "has status 302"),
    "nothing": (answering(200), "without a cookie"),
    "no value": (made(cookie={"value": 1}), "without a cookie"),
    "no name": (made(username=None), "is no session"),
    "no groups": (made(groups=[1]), "is no session"),
    "no end": (made(expires_at=True), "is no session"),
    "no date": (made(expires_at=1e99), "is no session"),
    "no zone": (made(expires_at="2026-11-20T10:00:00"), "is no session"),
    "no cookie": (made(cookie={"value": "two words"}), "holds no session cookie"),
    "too much": (answering(200, b" " * 300_000), "more than"),
}


@pytest.mark.parametrize("name", MISBEHAVING)
def test_a_gateway_that_misbehaves(world: World, name: str) -> None:
    """Whatever it answers ends in one line, and nothing is kept."""
    world.door.app, said = MISBEHAVING[name]
    code, out, err = world.run("login", "--username", "uma", stdin=PASSWORD)
    assert (code, out) == (1, "")
    assert said in one_line(err)
    assert not world.cookie_file.exists()


def test_a_gateway_that_is_not_there(world: World) -> None:
    """A closed port is one line."""
    code, _, err = world.run(
        "login", "--username", "uma", "--gateway", f"http://127.0.0.1:{free_port()}", stdin=PASSWORD
    )
    assert code == 1
    assert "cannot be reached (ConnectError)" in one_line(err)


def test_a_cookie_that_cannot_be_kept(world: World) -> None:
    """A folder in the way is named with a way round."""
    (world.home / ".mcp").write_text("")
    code, _, err = world.run("login", "--username", "uma", stdin=PASSWORD)
    assert code == 1
    assert "--cookie-file" in one_line(err)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            {"ChallengeName": "NEW_PASSWORD_REQUIRED", "Session": "s"},
            "(NEW_PASSWORD_REQUIRED); sign in with a",
        ),
        ({"ChallengeName": "\x1b[31m"}, "(something)"),
        ({"AuthenticationResult": {"AccessToken": "a.b.c"}}, "allow the app client the scope openid"),
        ({"AuthenticationResult": []}, "without an ID token"),
        ({"AuthenticationResult": {"IdToken": "a b"}}, "without an ID token"),
    ],
)
def test_a_password_that_is_not_enough(world: World, answer: dict[str, Any], said: str) -> None:
    """Where Cognito wants more, or gives less, the remedy is named."""
    world.cognito.app = answering(200, json.dumps(answer).encode())
    code, _, err = world.run("login", "--username", "uma", stdin=PASSWORD)
    assert code == 1
    assert said in one_line(err)


def test_clear_text_to_another_machine_is_warned_of(world: World) -> None:
    """A session does not travel in the clear unnoticed."""
    world.signed_in()
    _, _, err = world.run("whoami", "--gateway", "http://gateway.invalid")
    assert err.startswith("warning: http://gateway.invalid is http on another machine")
    _, _, err = world.run("login", "--username", "uma", "--gateway", "http://gateway.invalid", stdin=PASSWORD)
    assert err.startswith("warning: http://gateway.invalid is http on another machine")
