"""`auth-server whoami`: who is signed in, in the gateway's own eyes."""

import json
import re

import pytest
from support.person_with_a_terminal import World, one_line
from support.shared_machine import free_port


def test_whoami(world: World) -> None:
    """The gateway's own view of the saved cookie: user, groups, end; in JSON for programs."""
    world.signed_in()
    code, out, err = world.run("whoami")
    assert (code, err) == (0, "")
    assert re.fullmatch(
        r"uma\n  groups  mcp-registry-user\n  until   20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC\n", out
    )
    answer = json.loads(world.run("whoami", "--json")[1])
    assert (answer["username"], answer["groups"]) == ("uma", ["mcp-registry-user"])
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", answer["expires_at"])


def test_whoami_without_a_session(world: World) -> None:
    """Nobody signed in, a file open to others and a forged cookie are one line with what to do."""
    code, _, err = world.run("whoami")
    assert (code, "run auth-server login" in one_line(err)) == (1, True)
    world.signed_in()
    world.cookie_file.chmod(0o644)
    code, _, err = world.run("whoami")
    assert (code, "chmod 600" in one_line(err)) == (1, True)
    world.cookie_file.chmod(0o600)
    world.cookie_file.write_text("forged.cookie.value")
    code, _, err = world.run("whoami")
    assert (code, "SESSION_INVALID" in err, "run auth-server login" in one_line(err)) == (1, True, True)
    code, _, err = world.run("whoami", "--gateway", f"http://127.0.0.1:{free_port()}")
    assert (code, "cannot be reached" in one_line(err)) == (1, True)
    code, _, err = world.run("whoami", "--gateway", "gateway")
    assert (code, "--gateway: " in one_line(err)) == (1, True)


@pytest.mark.parametrize("command", ["whoami", "logout"])
def test_an_empty_gateway(world: World, command: str) -> None:
    """An empty --gateway, as an unset variable of a script gives it, asks no other gateway in its place."""
    world.signed_in()
    code, out, err = world.run(command, "--gateway", "")
    assert (code, out, one_line(err)) == (2, "", "auth-server: --gateway is empty\n")
    assert world.cookie_file.exists()
