"""Mcp-Session-Id: of use to the one who began the session, on that server, and nobody else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_server.errors import ErrorCode, NotHere
from auth_server.model import AuthMethod, Identity
from auth_server.validate.sessions import MAX_ID, MAX_SEALED, Sessions, principal

KEY, OTHER = "k" * 40, "o" * 40
ADA, BOB = '["pool","user","ada"]', '["pool","user","bob"]'
VISIBLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=80)
ANY = st.text(max_size=40).filter(lambda text: text.isprintable())


def is_unknown(sessions: Sessions, who: str, server: str, sealed: str) -> bool:
    with pytest.raises(NotHere) as refused:
        sessions.open(who, server, sealed)
    return refused.value.code is ErrorCode.MCP_SESSION_UNKNOWN


@given(ANY, ANY, VISIBLE)
def test_what_is_sealed_can_be_opened(who: str, server: str, session: str) -> None:
    """By the same principal on the same server; the text is visible ASCII, and always the same."""
    sessions = Sessions([KEY])
    sealed = sessions.seal(who, server, session)
    assert sessions.open(who, server, sealed) == session
    assert sealed == sessions.seal(who, server, session)
    assert sealed.isascii()
    assert sealed.isprintable()
    assert session not in sealed or len(session) < 4


@given(ANY, ANY, ANY, ANY, VISIBLE)
def test_nobody_else_opens_it(who: str, server: str, other: str, elsewhere: str, session: str) -> None:
    """Another principal or another server, however the two are cut, finds nothing."""
    sessions = Sessions([KEY])
    sealed = sessions.seal(who, server, session)
    if (who, server) != (other, elsewhere):
        assert is_unknown(sessions, other, elsewhere, sealed)


@given(st.data())
def test_a_changed_one_is_unknown(data: st.DataObject) -> None:
    """Whichever character is another, left out or added."""
    sessions = Sessions([KEY])
    sealed = sessions.seal(ADA, "time", "abc")
    at = data.draw(st.integers(0, len(sealed) - 2))  # the last one has bits that say nothing
    letter = data.draw(st.sampled_from("ABCabc012-_"))
    for changed in (
        sealed[:at] + letter + sealed[at + 1 :],
        sealed[:at] + sealed[at + 1 :],
        sealed + letter * 4,
    ):
        assert changed == sealed or is_unknown(sessions, ADA, "time", changed)


@pytest.mark.parametrize(
    "forged", ["", "abc", "=", "é", "%", "A" * 26, "A" * MAX_SEALED, "A" * (MAX_SEALED + 1)]
)
def test_what_was_never_sealed_is_unknown(forged: str) -> None:
    """A backend's own id among them."""
    assert is_unknown(Sessions([KEY]), ADA, "time", forged)


def test_keys_that_change() -> None:
    """The first seals, all open; a key that is gone opens nothing."""
    old = Sessions([KEY]).seal(ADA, "time", "abc")
    both = Sessions([OTHER, KEY])
    assert both.open(ADA, "time", old) == "abc"
    new = both.seal(ADA, "time", "abc")
    assert new == Sessions([OTHER]).seal(ADA, "time", "abc") != old
    assert is_unknown(Sessions([OTHER]), ADA, "time", old)


@pytest.mark.parametrize("keys", [[], [""], [KEY, ""]])
def test_without_a_key_nothing_is_sealed(keys: list[str]) -> None:
    """An empty key would be one that everybody knows."""
    with pytest.raises(ValueError, match="sealing needs a key"):
        Sessions(keys)


@pytest.mark.parametrize("session", ["", "a b", "é", "a\n", "a" * (MAX_ID + 1)])
def test_an_id_that_is_none(session: str) -> None:
    """What MCP does not allow is not sealed; the longest that is can be opened again."""
    sessions = Sessions([KEY])
    with pytest.raises(ValueError, match="visible ASCII"):
        sessions.seal(ADA, "time", session)
    longest = sessions.seal(ADA, "time", "a" * MAX_ID)
    assert len(longest) <= MAX_SEALED
    assert sessions.open(ADA, "time", longest) == "a" * MAX_ID


def test_who_a_credential_is() -> None:
    """A user by name, whichever app client the token is for; an agent by its client; never one for the other."""
    token = Identity(AuthMethod.JWT, 0, username="ada", client_id="web", session_id="jti-1")
    cookie = Identity(AuthMethod.SESSION_COOKIE, 9, username="ada", session_id="sid-1")
    agent = Identity(AuthMethod.JWT, 0, client_id="ada")
    assert principal(token, "pool") == principal(cookie, "pool")
    assert len({principal(token, "pool"), principal(token, "other"), principal(agent, "pool")}) == 3
    assert principal(Identity(AuthMethod.JWT, 0, username='a","b'), "p") != principal(
        Identity(AuthMethod.JWT, 0, username="b"), 'p","user","a'
    )
