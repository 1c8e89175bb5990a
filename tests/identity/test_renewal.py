"""What is kept of a session serves that session at this gateway, and nobody else anywhere."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_server.identity import renewal
from auth_server.identity.renewal import Renewal
from auth_server.model import AuthMethod, Identity
from auth_server.sealed import seal
from auth_server.stores.revocation_list import RevocationKind

NOW = 1_800_000_000.0
KEY, OTHER = "k" * 40, "o" * 40
KEPT = Renewal("sid-1", "uma", ("readers", "a,b c"), "refresh-token", NOW - 5, NOW + 15, NOW + 10)


def who(sid: str = "sid-1", username: str = "uma") -> Identity:
    return Identity(AuthMethod.SESSION_COOKIE, NOW + 3600, username, session_id=sid)


def opened(
    raw: bytes | None, identity: Identity | None = None, *keys: str, now: float = NOW
) -> Renewal | None:
    return renewal.unsealed(raw, identity or who(), keys or (KEY,), max_age=3600, now=now)


def test_it_comes_back_as_it_was() -> None:
    """With any of the keys that SECRET_KEY has, so that keys rotate without an end of sessions."""
    assert opened(KEPT.sealed([KEY], now=NOW)) == KEPT
    assert opened(KEPT.sealed([KEY], now=NOW), None, OTHER, KEY) == KEPT


def test_nobody_else_can_read_it() -> None:
    """Neither the token, nor the user, nor the groups; and never twice the same."""
    raw = KEPT.sealed([KEY], now=NOW)
    assert not any(text in raw for text in (b"refresh-token", b"uma", b"readers", b"sid-1"))
    assert raw != KEPT.sealed([KEY], now=NOW)
    assert "refresh-token" not in repr(KEPT)


@pytest.mark.parametrize("identity", [who("sid-2"), who(username="eve")])
def test_it_is_of_use_to_that_session_alone(identity: Identity) -> None:
    """Moved under another session's key, it gives that one neither groups nor token."""
    assert opened(KEPT.sealed([KEY], now=NOW), identity) is None


def sealed(text: bytes) -> bytes:
    """Return a text as something is kept here."""
    return seal(renewal.PURPOSE, text, [KEY], now=NOW).encode()


OTHERS: dict[str, Callable[[], bytes | None]] = {
    "nothing": lambda: None,
    "empty": lambda: b"",
    "nonsense": lambda: b"nonsense",
    "no ASCII": lambda: b"\xff",
    "by another key": lambda: KEPT.sealed([OTHER], now=NOW),
    "too long ago": lambda: KEPT.sealed([KEY], now=NOW - 3601),
    "for another purpose": lambda: seal("another", b"{}", [KEY], now=NOW).encode(),
    **{
        f"sealed {text!r}": partial(sealed, text)
        for text in (b"", b"[]", b"{}", b'{"groups": 5}', b'{"groups": [], "sid": "sid-1"}')
    },
}


@pytest.mark.parametrize("case", OTHERS)
def test_anything_else_is_nothing(case: str) -> None:
    """What was not sealed here, for this, lately, is as if it were not there."""
    assert opened(OTHERS[case]()) is None


NAMES = st.text(min_size=1, max_size=5)


@given(NAMES, NAMES, NAMES)
def test_keys_and_patterns(sid: str, username: str, other: str) -> None:
    """A session's or user's pattern matches the keys of just those, whatever they are called; none has a name in it."""
    key = renewal.key(who(sid, username))
    by_sid = renewal.pattern(RevocationKind.SESSION, other)
    by_user = renewal.pattern(RevocationKind.USER, other)
    assert by_sid is not None
    assert by_user is not None
    assert fnmatch.fnmatchcase(key, by_sid) is (other == sid)
    assert fnmatch.fnmatchcase(key, by_user) is (other == username)
    assert renewal.pattern(RevocationKind.CLIENT, other) is None


def test_one_field_may_change() -> None:
    """It is a value: a change makes another one."""
    assert replace(KEPT, token="next").token == "next"
    assert KEPT.token == "refresh-token"
