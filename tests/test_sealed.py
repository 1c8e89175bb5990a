"""What others keep for us: unreadable to them, and of use for its own purpose and time alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_server.sealed import seal, unseal

NOW = 1_800_000_000.7
KEY, OLD_KEY = "k" * 32, "o" * 32


@given(st.binary(), st.text(min_size=1))
def test_what_was_sealed_is_unsealed(data: bytes, purpose: str) -> None:
    """Any bytes come back; in between they are text that a cookie or a form takes as it is."""
    text = seal(purpose, data, [KEY], now=NOW)
    assert unseal(purpose, text, [KEY], max_age=60, now=NOW + 60) == data
    assert text.isascii()
    assert not set(text) & set(' ",;=\\')


def test_any_key_unseals_and_the_first_seals() -> None:
    """A key that was put in front does not end what an older one sealed."""
    old = seal("state", b"data", [OLD_KEY], now=NOW)
    assert unseal("state", old, [KEY, OLD_KEY], max_age=60, now=NOW) == b"data"
    new = seal("state", b"data", [KEY, OLD_KEY], now=NOW)
    assert unseal("state", new, [KEY], max_age=60, now=NOW) == b"data"


@pytest.mark.parametrize(
    ("purpose", "keys", "later"),
    [("another", [KEY], 0), ("state", [OLD_KEY], 0), ("state", [KEY], 61), ("state", [KEY], -120)],
)
def test_out_of_its_place(purpose: str, keys: list[str], later: float) -> None:
    """For another purpose, by another key, too late or from a time to come it is nothing."""
    text = seal("state", b"data", [KEY], now=NOW)
    with pytest.raises(ValueError, match=f"not sealed here for {purpose}"):
        unseal(purpose, text, keys, max_age=60, now=NOW + later)


@given(st.text())
def test_anything_else_is_nothing(text: str) -> None:
    """What was never sealed is refused, whatever characters it has."""
    with pytest.raises(ValueError, match="not sealed here"):
        unseal("state", text, [KEY], max_age=60, now=NOW)


@pytest.mark.parametrize("keys", [[], [""], [KEY, ""]])
def test_without_a_key(keys: list[str]) -> None:
    """An absent or empty key seals nothing and unseals nothing."""
    with pytest.raises(ValueError, match="needs a key"):
        seal("state", b"data", keys, now=NOW)
    with pytest.raises(ValueError, match="needs a key"):
        unseal("state", "text", keys, max_age=60, now=NOW)
