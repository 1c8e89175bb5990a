"""The rules of signing in: where one returns to, what is remembered, and what counts as remembered."""

from __future__ import annotations

import base64
import hashlib
import json
from urllib.parse import parse_qs, quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.vectors import open_redirects

from auth_server import sealed
from auth_server.identity import session_cookie
from auth_server.oauth import sign_in
from auth_server.oauth.sign_in import Pending, return_target

GATEWAY = "https://gw.example"
NOW = 1_800_000_000.7
KEY = "k" * 32
OLD_KEY = "o" * 32
RANDOM = bytes(range(96))
PENDING = Pending.begin(RANDOM, "/time/mcp?x=1", now=NOW)


def test_every_known_open_redirect() -> None:
    """No line of oauth2-proxy's list leads anywhere but to the start page, plain or encoded once more."""
    lines = open_redirects()
    assert len(lines) > 500
    assert {line: found for line in lines if (found := return_target(line, GATEWAY)) != "/"} == {}
    again = [quote(line, safe="", errors="surrogateescape") for line in lines if line]
    led = {line: found for line in again if (found := return_target(f"/{line}", GATEWAY)) != "/"}
    for found in led.values():
        assert_stays(found)


def assert_stays(found: str) -> None:
    """Check that a browser, which resolves a target against the gateway, stays there."""
    assert found.startswith("/")
    assert not found.startswith(("//", "/\\"))
    assert found.isascii()
    assert found.isprintable()
    assert " " not in found


@pytest.mark.parametrize(
    "given",
    [
        "",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/%5Cevil.example",
        "/%255cevil.example",
        "/%2f/evil.example",
        "/%252f%252fevil.example",
        "/%25252525252f/evil.example",
        "/a//evil.example",
        "/\tevil",
        "/\t/evil.example",
        "/%09/evil.example",
        "/%0d%0aLocation:%20https://evil.example",
        "/a\r\nSet-Cookie: a=b",
        "/\x00",
        "/%00",
        "/ /evil.example",
        "/ü",
        "/%C3%BC",
        "/\uff0f\uff0fevil.example",
        "/%EF%BC%8Fevil.example",
        "/\u2028",
        "/\ud800",
        "evil.example",
        "evil",
        "javascript:alert(1)",
        "data:text/html,x",
        "https:evil.example",
        "https:/evil.example",
        "https://evil.example/",
        "https://gw.example@evil.example/",
        "https://gw.example:443@evil.example/",
        "https://gw.example.evil.example/",
        "https://gw.example:8443/",
        "https://GW.example/",
        "http://gw.example/",
        "https://gw.example//evil.example",
        "https://gw.example\\@evil.example",
        "https://gw.example#@evil.example",
        "/@evil.example",
        "/%40evil.example",
        "/x?next=https://evil.example",
        "/x?next=//evil.example",
        "/x?next=%2f%2fevil.example",
        "/a/../b",
        "/a/..",
        "/./a",
        "/%2e%2e/a",
        "/..;/a/..",
        "/oauth2/logout/cognito",
        "/oauth2/login/cognito?redirect=/",
        "/OAuth2/logout/cognito",
        "/%6fauth2/logout/cognito",
        "/a/%2e%2e/oauth2/logout/cognito",
        "/oauth2",
        "/oauth2?x",
        "/session",
        "/assets/x",
        f"/{'a' * 512}",
        "/%" + "25" * 20 + "2fevil.example",
    ],
)
def test_a_target_that_leads_or_might_lead_elsewhere(given: str) -> None:
    """Another host, whatever could be read as one, and paths that start or end a session: the start page."""
    assert return_target(given, GATEWAY) == "/"


@pytest.mark.parametrize(
    ("given", "target"),
    [
        ("/", "/"),
        ("/time/mcp", "/time/mcp"),
        ("/time/mcp?x=1&y=a%20b", "/time/mcp?x=1&y=a%20b"),
        ("/a%2fb", "/a%2fb"),
        ("/100%", "/100%"),
        ("/oauth2x", "/oauth2x"),
        ("/sessions", "/sessions"),
        ("/a/...", "/a/..."),
        ("/?x=:y", "/?x=:y"),
        (GATEWAY, "/"),
        (f"{GATEWAY}/", "/"),
        (f"{GATEWAY}/time/mcp?x=1", "/time/mcp?x=1"),
        (f"{GATEWAY}?x=1", "/?x=1"),
        (f"/{'a' * 511}", f"/{'a' * 511}"),
    ],
)
def test_a_target_on_this_gateway(given: str, target: str) -> None:
    """A path here, or a URL of this origin, is where one comes back to."""
    assert return_target(given, GATEWAY) == target


ODD = st.text(st.sampled_from("/\\@.:%25fFcC0049eE?#&;\t\r\n \x00aü\u3002\uff0fhttps"), max_size=30)


@given(ODD)
def test_any_target_stays_here(given: str) -> None:
    """Whatever is asked for, the answer is a path of this gateway, and asking for that again gives the same."""
    for asked in (given, f"/{given}", f"{GATEWAY}{given}"):
        found = return_target(asked, GATEWAY)
        assert_stays(found)
        assert return_target(found, GATEWAY) == found


def test_a_sign_in_is_made_of_chance() -> None:
    """State, nonce and verifier are 256 bits each and share none; fewer bits are an error."""
    assert len({PENDING.state, PENDING.nonce, PENDING.verifier}) == 3
    assert {len(text) for text in (PENDING.state, PENDING.nonce, PENDING.verifier)} == {43}
    with pytest.raises(ValueError, match="96"):
        Pending.begin(RANDOM[:-1], "/", now=NOW)


def test_the_question() -> None:
    """The authorization request has PKCE with S256, state and nonce, and never the verifier (RFC 7636)."""
    back = "https://gw.example/oauth2/callback/cognito"
    endpoint, _, question = PENDING.address("https://cognito.example/authorize", "web", back).partition("?")
    assert endpoint == "https://cognito.example/authorize"
    digest = hashlib.sha256(PENDING.verifier.encode()).digest()
    assert parse_qs(question) == {
        "response_type": ["code"],
        "client_id": ["web"],
        "redirect_uri": ["https://gw.example/oauth2/callback/cognito"],
        "scope": ["openid"],
        "state": [PENDING.state],
        "nonce": [PENDING.nonce],
        "code_challenge": [base64.urlsafe_b64encode(digest).decode().rstrip("=")],
        "code_challenge_method": ["S256"],
    }
    assert PENDING.verifier not in question
    assert PENDING.address("https://cognito.example/authorize?theme=dark", "web", back).endswith(
        f"?theme=dark&{question}"
    )


def test_nothing_of_a_sign_in_is_shown() -> None:
    """Neither its text form nor its cookie tells state, nonce or verifier."""
    cookie = PENDING.sealed([KEY], now=NOW)
    for secret in (PENDING.state, PENDING.nonce, PENDING.verifier):
        assert secret not in repr(PENDING)
        assert secret.encode() not in base64.urlsafe_b64decode(cookie + "=" * (-len(cookie) % 4))
    assert len(cookie) < 1500


def test_a_sign_in_comes_back() -> None:
    """What was sealed is unsealed, for ten minutes and a little clock difference, and with an older key."""
    cookie = PENDING.sealed([OLD_KEY], now=NOW)
    for later in (0, 600, -30):
        assert sign_in.unsealed(cookie, [KEY, OLD_KEY], now=NOW + later) == PENDING
    assert sign_in.unsealed(cookie, [OLD_KEY], now=NOW + 602) is None
    assert sign_in.unsealed(cookie, [OLD_KEY], now=NOW - 100) is None
    assert sign_in.unsealed(cookie, [KEY], now=NOW) is None


@pytest.mark.parametrize(
    "cookie",
    [
        "",
        "x",
        "\ud800",
        "ä",
        session_cookie.mint(session_cookie.Session("ada", (), "sid"), [KEY], now=NOW),
        sealed.seal("another-purpose", b"{}", [KEY], now=NOW),
        sealed.seal(sign_in.PURPOSE, b"not JSON", [KEY], now=NOW),
    ],
    ids=["empty", "short", "surrogate", "umlaut", "a session", "sealed for something else", "not JSON"],
)
def test_what_was_not_sealed_as_a_sign_in(cookie: str) -> None:
    """A session, a value sealed for something else, and nonsense are no sign-in."""
    assert sign_in.unsealed(cookie, [KEY], now=NOW) is None


def test_a_sign_in_is_no_session() -> None:
    """A sign-in's cookie does not verify as a session."""
    with pytest.raises(Exception, match="not one of this gateway's"):
        session_cookie.verify(PENDING.sealed([KEY], now=NOW), [KEY], max_age=600, now=NOW)


@pytest.mark.parametrize("keys", [(), ("",), (KEY, "")])
def test_sealing_needs_a_key(keys: tuple[str, ...]) -> None:
    """Without a key nothing is sealed or unsealed."""
    with pytest.raises(ValueError, match="key"):
        sealed.seal("purpose", b"", keys, now=NOW)
    with pytest.raises(ValueError, match="key"):
        sealed.unseal("purpose", "", keys, max_age=1, now=NOW)


@pytest.mark.parametrize("secure", [True, False])
def test_finding_a_sign_in(secure: bool) -> None:
    """It is found by its state alone, in the browser that has its cookie alone, and once alone."""
    name = sign_in.cookie_name(PENDING.state, secure=secure)
    assert name.startswith("__Host-mcp_gateway_sign_in_" if secure else "mcp_gateway_sign_in_")
    cookie = PENDING.sealed([KEY], now=NOW)

    def find(state: str, *cookies: tuple[str, str]) -> Pending | None:
        return sign_in.find(state, cookies, [KEY], secure=secure, now=NOW)

    other = Pending.begin(RANDOM[::-1], "/", now=NOW)
    assert find(PENDING.state, ("a", "b"), (name, cookie)) == PENDING
    assert find(PENDING.state) is None
    assert find(PENDING.state, (name, cookie), (name, cookie)) is None
    assert find(PENDING.state, (name, other.sealed([KEY], now=NOW))) is None
    assert find(other.state, (name, cookie)) is None
    assert find("\ud800", (name, cookie)) is None
    plain = name.removeprefix("__Host-") if secure else f"__Host-{name}"
    assert find(PENDING.state, (plain, cookie)) is None


def test_a_browser_keeps_few_sign_ins() -> None:
    """Before another begins, the oldest make room, and what is useless goes; other cookies stay."""
    begun = [Pending.begin(bytes([n]) * 96, "/", now=NOW - n) for n in range(7)]
    cookies = [(sign_in.cookie_name(p.state, secure=False), p.sealed([KEY], now=NOW)) for p in begun]
    useless = ("mcp_gateway_sign_in_0000000000000000", "nonsense")
    gone = sign_in.superfluous([*cookies, useless, ("other", "x")], [KEY], secure=False, now=NOW)
    assert set(gone) == {useless[0], *(name for name, _ in cookies[4:])}
    assert sign_in.superfluous(cookies[:4], [KEY], secure=False, now=NOW) == []


@given(st.binary(max_size=300), st.text(max_size=10))
def test_anything_sealed_comes_back(data: bytes, purpose: str) -> None:
    """Any bytes come back for their purpose, and for no other."""
    text = sealed.seal(purpose, data, [KEY], now=NOW)
    assert sealed.unseal(purpose, text, [KEY], max_age=1, now=NOW) == data
    with pytest.raises(ValueError, match="sealed"):
        sealed.unseal(f"{purpose}x", text, [KEY], max_age=1, now=NOW)


def test_a_sign_in_with_members_of_another_version() -> None:
    """A cookie that a later version sealed with other members is no sign-in here, and no error."""
    data = json.dumps({"state": "s"}).encode()
    assert sign_in.unsealed(sealed.seal(sign_in.PURPOSE, data, [KEY], now=NOW), [KEY], now=NOW) is None
