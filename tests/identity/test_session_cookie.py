import base64
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import TimestampSigner, URLSafeSerializer, URLSafeTimedSerializer

from auth_server.errors import ErrorCode, Unauthenticated
from auth_server.identity import session_cookie
from auth_server.identity.session_cookie import Session
from auth_server.model import AuthMethod, Identity

NOW = 1_800_000_000.7
KEY = "k" * 32
OLD_KEY = "o" * 32
ADA = Session("ada", ("readers", "a, b"), "sid-1", "ada@example.com", "Ada")


def verify(cookie: str, *, keys: tuple[str, ...] = (KEY,), now: float = NOW) -> Identity:
    """Verify with the default age."""
    return session_cookie.verify(cookie, keys, max_age=28800, now=now)


def refused(cookie: str, code: ErrorCode = ErrorCode.SESSION_INVALID, **options: Any) -> str:
    """Return the message of the refusal."""
    with pytest.raises(Unauthenticated) as caught:
        verify(cookie, **options)
    assert caught.value.code is code
    return caught.value.message


def sign(payload: object, *, key: str = KEY, salt: str = "mcp-gateway-session", now: float = NOW) -> str:
    """Sign as the contract writes it, with the library alone."""

    class SignerAt(TimestampSigner):
        def get_timestamp(self) -> int:
            return int(now)

    serializer = URLSafeTimedSerializer(
        key,
        salt=salt,
        signer=SignerAt,
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
    )
    return str(serializer.dumps(payload))


def test_what_cognito_says_of_a_user_is_in_the_session() -> None:
    """All that the cookie has room for, and the session's own id and name."""
    user = Identity(
        AuthMethod.JWT, NOW, "ada", "ada@example.com", groups=("readers", "a, b"), session_id="jti"
    )
    assert Session.of(user, name="Ada", sid="sid-1") == ADA


def test_a_session_comes_back() -> None:
    """What was minted is verified, with the session's id and its end."""
    assert verify(session_cookie.mint(ADA, [KEY], now=NOW)) == Identity(
        method=AuthMethod.SESSION_COOKIE,
        expires_at=1_800_000_000 + 28800,
        username="ada",
        email="ada@example.com",
        groups=("readers", "a, b"),
        session_id="sid-1",
        issued_at=1_800_000_000,
    )


def test_the_contract_s_recipe() -> None:
    """A cookie made as the contract says, by anyone with the key, is this module's cookie to the letter."""
    payload = {
        "username": "ada",
        "groups": ["readers", "a, b"],
        "sid": "sid-1",
        "email": "ada@example.com",
        "name": "Ada",
    }
    assert sign(payload) == session_cookie.mint(ADA, [KEY], now=NOW)


def test_what_is_empty_is_left_out() -> None:
    """An email and a name are in the cookie only where there is one."""
    cookie = session_cookie.mint(Session("ada", (), "sid-1"), [KEY], now=NOW)
    payload = cookie.split(".")[0]
    assert json.loads(base64.urlsafe_b64decode(payload + "==")) == {
        "username": "ada",
        "groups": [],
        "sid": "sid-1",
    }
    assert verify(cookie).email == ""


def test_unknown_members_do_not_matter() -> None:
    """A member that a later version adds does no harm."""
    assert verify(sign({"username": "ada", "groups": [], "sid": "s", "theme": "dark"})).username == "ada"


def test_the_first_key_signs_and_every_key_verifies() -> None:
    """A key is rotated by putting the new one in front, without signing anybody out."""
    old = session_cookie.mint(ADA, [OLD_KEY], now=NOW)
    new = session_cookie.mint(ADA, [KEY, OLD_KEY], now=NOW)
    assert verify(old, keys=(KEY, OLD_KEY)) == verify(new, keys=(KEY, OLD_KEY)) == verify(new)
    refused(old)
    refused(new, keys=(OLD_KEY,))


def test_a_session_ends() -> None:
    """A cookie is good for max_age seconds and no longer."""
    cookie = session_cookie.mint(ADA, [KEY], now=NOW)
    verify(cookie, now=int(NOW) + 28800)
    refused(cookie, ErrorCode.SESSION_EXPIRED, now=int(NOW) + 28800.1)
    refused(cookie, ErrorCode.SESSION_EXPIRED, now=NOW + 10**8)


def test_a_replica_whose_clock_is_ahead() -> None:
    """Up to 30 seconds ahead are forgiven (the library alone forgives none)."""
    cookie = session_cookie.mint(ADA, [KEY], now=NOW)
    verify(cookie, now=int(NOW) - 30)
    refused(cookie, now=int(NOW) - 30.1)


@pytest.mark.parametrize(
    "salt", ["", "itsdangerous", "mcp-gateway-sign-in", "mcp-gateway-session ", "mcp-gateway-sessio"]
)
def test_values_that_were_signed_for_something_else(salt: str) -> None:
    """The reference's hole: the sign-in state's cookie passed as a session."""
    refused(sign({"username": "ada", "groups": [], "sid": "s"}, salt=salt))


def test_a_value_without_a_time() -> None:
    """A value signed without a timestamp is no session."""
    serializer = URLSafeSerializer(
        KEY,
        salt="mcp-gateway-session",
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
    )
    refused(str(serializer.dumps({"username": "ada", "groups": [], "sid": "s"})))


@pytest.mark.parametrize("options", [{}, {"key_derivation": "hmac"}, {"digest_method": hashlib.sha256}])
def test_weaker_ways_to_sign(options: dict[str, Any]) -> None:
    """A signature by the library's own defaults is not accepted beside the contract's."""
    serializer = URLSafeTimedSerializer(KEY, salt="mcp-gateway-session", signer_kwargs=options)
    refused(str(serializer.dumps({"username": "ada", "groups": [], "sid": "s"})))


@pytest.mark.parametrize(
    "payload",
    [
        None,
        [],
        "ada",
        {},
        {"username": "ada", "groups": []},
        {"username": "ada", "sid": "s"},
        {"groups": [], "sid": "s"},
        {"username": "", "groups": [], "sid": "s"},
        {"username": "ada", "groups": [], "sid": ""},
        {"username": 1, "groups": [], "sid": "s"},
        {"username": "ada", "groups": "admins", "sid": "s"},
        {"username": "ada", "groups": [1], "sid": "s"},
        {"username": "ada", "groups": None, "sid": "s"},
        {"username": "ada", "groups": {"admins": 1}, "sid": "s"},
        {"username": "ada", "groups": [], "sid": 5},
        {"username": "ada", "groups": [], "sid": "s", "email": None},
        {"username": "ada", "groups": [], "sid": "s", "name": ["Ada"]},
    ],
)
def test_signed_values_that_are_no_session(payload: object) -> None:
    """A signature does not make a session of what has not the shape of one."""
    refused(sign(payload))


@pytest.mark.parametrize(
    "cookie", ["", ".", "..", "a.b.c", "ä", "\ud800", "." * 5_000, "A" * 5_000, ".eJw.AAAA.AAAA"]
)
def test_nonsense(cookie: str) -> None:
    """Any other text is SESSION_INVALID."""
    refused(cookie)


@pytest.mark.parametrize("now", [10.0**12, 10.0**18, 1.8e19])
def test_a_signed_time_beyond_reason(now: float) -> None:
    """A time that is no date is SESSION_INVALID and no crash, whichever exception says that it is none."""
    refused(sign({"username": "ada", "groups": [], "sid": "s"}, now=now))


def test_a_cookie_that_no_browser_would_keep() -> None:
    """A session that does not fit in a cookie is not minted; a longer cookie is not read."""
    with pytest.raises(ValueError, match="2000 groups"):
        session_cookie.mint(
            Session("ada", tuple(hashlib.sha256(str(n).encode()).hexdigest() for n in range(2000)), "s"),
            [KEY],
            now=NOW,
        )


def test_the_longest_cookie_that_browsers_keep() -> None:
    """With the longer of its names it takes 4096 bytes at most; base64 has no text of exactly so many here."""
    longest = 4096 - len("__Host-mcp_gateway_session=")
    digits = "".join(hashlib.sha256(str(number).encode()).hexdigest() for number in range(120))
    names = {
        len(sign({"username": digits[:n], "groups": [], "sid": "s"})): digits[:n] for n in range(5000, 5600)
    }
    fits, too_long = names[longest - 1], names[longest + 1]
    assert verify(session_cookie.mint(Session(fits, (), "s"), [KEY], now=NOW)).username == fits
    refused(sign({"username": too_long, "groups": [], "sid": "s"}))
    with pytest.raises(ValueError, match="does not fit"):
        session_cookie.mint(Session(too_long, (), "s"), [KEY], now=NOW)


@pytest.mark.parametrize("keys", [(), ("",), (KEY, "")])
def test_no_key(keys: tuple[str, ...]) -> None:
    """Without a key, or with an empty one that anyone could sign with, nothing is minted or verified."""
    with pytest.raises(ValueError, match="key"):
        session_cookie.mint(ADA, keys, now=NOW)
    with pytest.raises(ValueError, match="key"):
        verify("cookie", keys=keys)


@given(st.integers(min_value=0), st.characters(codec="utf-8"))
def test_any_change_of_one_character(position: int, other: str) -> None:
    """A cookie with one character changed is refused, or says the same (base64 has unused bits)."""
    cookie = session_cookie.mint(ADA, [KEY], now=NOW)
    position %= len(cookie)
    try:
        assert verify(cookie[:position] + other + cookie[position + 1 :]) == verify(cookie)
    except Unauthenticated as refusal:
        assert refusal.code is ErrorCode.SESSION_INVALID  # noqa: PT017 - either outcome is right


@given(st.text(max_size=200))
def test_any_text(cookie: str) -> None:
    """Any text is refused with the verifier's own error."""
    refused(cookie)


NAME = st.text(st.characters(codec="utf-8"), max_size=20)


@given(NAME.filter(bool), st.lists(NAME, max_size=5), NAME.filter(bool), NAME, NAME)
def test_any_session(username: str, groups: list[str], sid: str, email: str, name: str) -> None:
    """Whatever a session holds comes back as it was."""
    identity = verify(session_cookie.mint(Session(username, tuple(groups), sid, email, name), [KEY], now=NOW))
    assert (identity.username, identity.groups) == (username, tuple(groups))
    assert (identity.session_id, identity.email) == (sid, email)
