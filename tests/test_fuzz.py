"""Bytes of strangers, near those that are let through: nothing escapes, and nobody gets in by accident."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import surfaces

SURFACES = surfaces.seeds()

# What parsers disagree about: quotes, separators, escapes, controls, other alphabets, long runs.
PIECES = [
    b"\x00",
    b"\t",
    b"\n",
    b"\r\n",
    b" ",
    b'"',
    b"'",
    b",",
    b";",
    b"=",
    b".",
    b"\\",
    b"%",
    b"*",
    b"-",
    b"_",
]
PIECES += [
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b"null",
    b"1e400",
    b"NaN",
    b"\\u0000",
    b"\\ud800",
    b"\xff",
    b"\xc3\xa4",
]
PIECES += [
    b"A",
    b"==",
    b"Bearer ",
    b"=?base64?",
    b"?=",
    b"mcp_gateway_session=",
    b"__Host-",
    b"&a",
    b"*a",
    b"9" * 40,
]


@st.composite
def near(draw: st.DrawFn, seed: bytes) -> bytes:
    """Draw bytes that differ from the seed in a few places, or in none."""
    data = bytearray(seed)
    for _ in range(draw(st.sampled_from([0, 1, 1, 1, 2, 3]))):
        at = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(["insert", "replace", "delete", "repeat", "byte"])):
            case "insert":
                data[at:at] = draw(st.sampled_from(PIECES))
            case "replace":
                piece = draw(st.sampled_from(PIECES))
                data[at : at + len(piece)] = piece
            case "delete":
                del data[at : at + draw(st.integers(1, 20))]
            case "repeat":
                data[at:at] = data[at : at + draw(st.integers(1, 60))]
            case _:
                data[at : at + 1] = bytes([draw(st.integers(0, 255))])
    return bytes(data)


@pytest.mark.untraced
@pytest.mark.parametrize("surface", SURFACES)
def test_nothing_gets_in_that_the_oracle_denies(surface: str) -> None:
    """Every answer is one of the contract's, and every 200 one that the plain reading gives, too."""
    knock, seeds = SURFACES[surface]
    outcomes = []

    @settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
    @given(data=st.one_of([near(seed) for seed in seeds]))
    def search(data: bytes) -> None:
        outcomes.append(knock(data))

    search()
    # A search that is never, or always, let through looks at nothing.
    assert any(outcomes)
    assert not all(outcomes)


@pytest.mark.parametrize("surface", SURFACES)
def test_what_the_search_starts_from_is_let_through(surface: str) -> None:
    """The oracle and the gateway agree on it."""
    knock, seeds = SURFACES[surface]
    assert all(map(knock, seeds))
