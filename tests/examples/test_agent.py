"""examples/agent.py as a reader runs it: official MCP client, real nginx, the demo's Cognito and servers."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import chromium
from support.demo import Demo, running_demo
from support.repository import ROOT
from support.shared_machine import locked

AGENT = ROOT / "examples" / "agent.py"
CALL = ("current_time_by_timezone", '{"tz_name": "Europe/Berlin"}')


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    """Start the demo."""
    with running_demo() as running:
        yield running


@pytest.fixture
def environ(demo: Demo, tmp_path: Path) -> dict[str, str]:
    """Return what somebody who tries the demo has set, and a home of their own."""
    issuer = re.search(r"(http://\S+/us-east-1_\w+)/oauth2/token", demo.introduction)
    assert issuer
    # An example is no part of the package, and what measures coverage doubles the time that it takes to start.
    ours = ("COGNITO_", "AWS_", "COVERAGE_PROCESS_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | {
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        "COGNITO_USER_POOL_ID": issuer[1].rpartition("/")[2],
        "COGNITO_ISSUER": issuer[1],
        "GATEWAY_URL": demo.base_url,
    }


def run(
    environ: dict[str, str], *arguments: str, stdin: str = "", **changes: str
) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=environ["HOME"],
        env=environ | changes,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def with_credentials(demo: Demo, environ: dict[str, str]) -> dict[str, str]:
    """Return an environment with an agent's own identity."""
    return environ | {"COGNITO_CLIENT_ID": "demo-agent", "COGNITO_CLIENT_SECRET": demo.secret("demo-agent")}


@pytest.fixture
def with_cookie(demo: Demo, environ: dict[str, str]) -> dict[str, str]:
    """Return an environment in which a person has signed in."""
    password = re.search(r"uma / ([a-z-]+)", demo.introduction)
    assert password
    signing_in = environ | {"COGNITO_CLIENT_ID": "demo-cli"}
    done = run(signing_in, "-m", "auth_server", "login", "--username", "uma", stdin=password[1])
    assert done.returncode == 0, done.stderr
    return environ


@pytest.mark.parametrize("way", ["with_credentials", "with_cookie"])
def test_list_and_call(demo: Demo, request: pytest.FixtureRequest, way: str) -> None:
    """Either way the tools are listed, a granted one answers, and a refused one says why in one line."""
    given = request.getfixturevalue(way)
    options = ["--use-session-cookie"] if way == "with_cookie" else []
    url = f"{demo.base_url}/currenttime/mcp"
    listed = run(given, str(AGENT), *options, url)
    assert (listed.returncode, listed.stderr) == (0, "")
    assert listed.stdout.startswith("current_time_by_timezone: Tell the current time")
    called = run(given, str(AGENT), *options, url, *CALL)
    assert (called.returncode, called.stderr) == (0, "")
    assert re.fullmatch(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d CES?T .*\n", called.stdout)
    refused = run(given, str(AGENT), *options, url, "convert_time")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == "agent: no scope grants tools/call convert_time on currenttime\n"


def test_login_with_a_browser(demo: Demo, environ: dict[str, str]) -> None:
    """`auth-server login` in a terminal, the pool's page in a real browser, and an agent acts for that person."""
    url = f"{demo.base_url}/currenttime/mcp"
    command = [sys.executable, "-m", "auth_server", "login", "--no-browser"]
    with (
        locked("auth-server-port-9090"),
        chromium.chromium() as browser,
        chromium.visiting(browser) as person,
        subprocess.Popen(
            command,
            cwd=environ["HOME"],
            env=environ | {"COGNITO_CLIENT_ID": "demo-cli"},
            stdout=subprocess.PIPE,
            text=True,
        ) as login,
    ):
        assert login.stdout
        page = person.tab()
        page.goto(login.stdout.readline().strip())
        page.get_by_label("User name").fill("uma")
        page.get_by_label("Password").fill(demo.password("uma"))
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("http://localhost:9090/callback*")
        assert "signed in as uma" in login.communicate(timeout=30)[0]
    cookie = Path(environ["HOME"], ".mcp", "session_cookie")
    assert (cookie.stat().st_mode & 0o777, cookie.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert "uma" in run(environ, "-m", "auth_server", "whoami").stdout
    called = run(environ, str(AGENT), "--use-session-cookie", url, *CALL)
    assert (called.returncode, called.stderr) == (0, "")
    assert run(environ, "-m", "auth_server", "logout").returncode == 0
    assert run(environ, str(AGENT), "--use-session-cookie", url).stderr.startswith(
        "agent: nobody is signed in"
    )


def test_what_is_missing_is_one_line(demo: Demo, with_credentials: dict[str, str]) -> None:
    """A wrong secret, no settings and no cookie are told before anything is sent."""
    url = f"{demo.base_url}/currenttime/mcp"
    wrong = run(with_credentials, str(AGENT), url, COGNITO_CLIENT_SECRET="wr0ng")
    assert wrong.returncode == 1
    assert wrong.stderr.endswith("refused with invalid_client\n")
    none = run(with_credentials, str(AGENT), url, COGNITO_CLIENT_ID="")
    assert none.stderr.startswith("agent: COGNITO_CLIENT_ID: is not set")
    nobody = run(with_credentials, str(AGENT), "--use-session-cookie", url)
    assert nobody.stderr.startswith("agent: nobody is signed in")
    assert nobody.stderr.endswith("run auth-server login\n")


def test_it_stays_short() -> None:
    """It is an example: at most sixty lines."""
    assert len(AGENT.read_text().splitlines()) <= 60
