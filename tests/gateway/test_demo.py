"""What the demo prints behaves as printed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest

if TYPE_CHECKING:
    from support.demo import Demo


def test_the_granted_line(demo: Demo) -> None:
    """The first curl line, pasted after the TOKEN line, answers with the time in Berlin."""
    (token,), (granted, _) = demo.lines("TOKEN="), demo.lines("curl ")
    said = demo.shell(token, granted)
    assert "result" in said
    assert "CET" in said or "CEST" in said


def test_the_refused_line(demo: Demo) -> None:
    """The second curl line is refused with ACCESS_DENIED, and says which call nobody granted."""
    (token,), (_, refused) = demo.lines("TOKEN="), demo.lines("curl ")
    error = json.loads(demo.shell(token, refused))["error"]
    assert error["details"]["error_code"] == "ACCESS_DENIED"
    assert "convert_time" in error["message"]


def test_the_lines_without_a_token(demo: Demo) -> None:
    """Without a token both are refused."""
    for line in demo.lines("curl "):
        error = json.loads(demo.shell("TOKEN=", line))["error"]
        assert error["type"] == "AuthenticationError"


def test_every_agent_gets_a_token(demo: Demo) -> None:
    """Both agents' printed secrets are good, and the second may do what the first may not."""
    refused = demo.lines("curl ")[1]
    said = demo.shell(f"TOKEN={demo.token('demo-admin-agent')}", refused)
    assert "JST" in said


def test_the_sign_in_address(demo: Demo) -> None:
    """The printed address shows a sign-in page."""
    (line,) = demo.lines("Sign in ")
    url = line.split()[-1]
    assert urlsplit(url).scheme == "http"
    page = httpx.get(url, trust_env=False, follow_redirects=True)
    assert page.status_code == 200
    assert "password" in page.text


@pytest.mark.parametrize("name", ["ada", "uma", "dev", "nobody"])
def test_people_have_passwords(demo: Demo, name: str) -> None:
    """Each of the demo's people is printed with a password of their own."""
    (line,) = demo.lines("People ")
    known = dict(person.split(" / ") for person in line.removeprefix("People").strip().split(", "))
    assert len(known[name]) >= 10
    assert len(set(known.values())) == 4
