"""Which resource URIs a prefix says nothing about, because some reader finds a way up in them."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from auth_server.model import Kind, Name, Target
from auth_server.policy import grants, scopes_file
from auth_server.policy.decision import Allowed

POLICY = scopes_file.parse(
    "docs/read:\n"
    "- server: docs\n"
    "  methods: [resources/read]\n"
    '  resources: ["file:///docs/*", "file:///docs/%c0%ae%c0%ae/by-name"]\n'
)


def is_covered(rest: str) -> bool:
    """Tell whether the grant on `file:///docs/*` covers this resource below it."""
    target = Target("docs", "resources/read", (Name(Kind.RESOURCES, f"file:///docs/{rest}"),))
    return isinstance(grants.decide(POLICY, ("docs/read",), target), Allowed)


@pytest.mark.parametrize(
    "rest",
    [
        "..",
        "../secret",
        "./secret",
        "a/../../secret",
        "..\\secret",
        "a?path=../secret",
        "a?b=/..&c",
        "a/..#x",
        "..;x/secret",
        "%2e%2e/secret",
        "%2E./secret",
        "..%2fsecret",
        "..%5Csecret",
        "..%3bx/secret",
        "%252e%252e/secret",
        "..%25252fsecret",
        "%2525252e%2525252e/secret",
        "%" + "25" * 40 + "2e%" + "25" * 40 + "2e/secret",
        "%%32e%%32e/secret",
        "%u002e%u002e/secret",
        "..%u2215secret",
        "%25u002e%25u002e/secret",
        "%U002E%u002E/secret",
        "%uff0e%uff0e/secret",
        "\uff0e\uff0e/secret",
        "\u2025/secret",
        "..\uff0fsecret",
        "\uff052e\uff052e/secret",
        "%c0%ae%c0%ae/secret",
        "..%c0%afsecret",
        "..%c1%9csecret",
        "%e0%80%ae%e0%80%ae/secret",
        "%f0%80%80%ae%f0%80%80%ae/secret",
        "%f8%80%80%80%ae./secret",
        "%fc%80%80%80%80%ae./secret",
        "%c0%2e%c0%2e/secret",
        "%25c0%25ae%25c0%25ae/secret",
        ".. /secret",
        "..%20/secret",
        "..%20%20",
        "..+/secret",
        "..\u00a0/secret",
        "..%00/secret",
        "..%00.txt",
        "..%09/secret",
        ".%0a./secret",
        " ../secret",
    ],
)
def test_a_prefix_does_not_cover_a_way_up(rest: str) -> None:
    """A server resolves `docs/../secret`, so a prefix says nothing about it, however it is spelt."""
    assert not is_covered(rest)


@pytest.mark.parametrize(
    "rest",
    [
        "a",
        "a..b",
        "a../b",
        "..a/b",
        ".hidden",
        "...",
        "a/\u2026/b",
        "1.2/x",
        "a b/c%20d+e",
        "100%",
        "50%25",
        "%u20ac",
        "stra%C3%9Fe/ž",
        "%E2%82%AC?q=1.5&r=..5",
    ],
)
def test_what_is_no_way_up_is_covered(rest: str) -> None:
    """Dots inside a name, other escapes and other alphabets do not hinder a prefix."""
    assert is_covered(rest)


def test_what_is_encoded_over_and_over_is_not_covered() -> None:
    """Seven layers of escapes are more than any chain of servers takes off; of an eighth nothing is said."""
    assert is_covered("%" + "25" * 6 + "61")
    assert not is_covered("%" + "25" * 7 + "61")


def test_a_way_up_that_is_granted_by_name_is_allowed() -> None:
    """The exact name stands for itself, and for nothing near it."""
    assert is_covered("%c0%ae%c0%ae/by-name")
    assert not is_covered("%c0%ae%c0%ae/by-name/more")
    assert not is_covered("../by-name")


DOTS = [".", "%2e", "%u002e", "%c0%ae", "%e0%80%ae", "%f0%80%80%ae", "%252e", "%25c0%25ae", "%25252E"]
SLASHES = ["/", "\\", "%2f", "%5c", "%252F", "%c0%af", "%u005c", "?p=", ";", "%3b", "#"]
AFTER = ["", "", " ", "%20", "%00", "%00x", ";x", "%2500", "\t", "x", "%41"]
PATHS = st.lists(st.sampled_from([*DOTS, *DOTS, *SLASHES, *AFTER, "a", "%", "25", "u", "é"]), max_size=9).map(
    "".join
)


def lax_readings(text: str) -> list[bytes]:
    """Return what a reader makes of this URI that decodes whatever it finds, again and again."""
    readings = [text.encode()]
    while (decoded := lax_decoding(readings[-1])) != readings[-1]:
        readings.append(decoded)
    return readings


def lax_decoding(data: bytes) -> bytes:
    """Undo one layer: `%XX`, `%uXXXX`, then UTF-8 of any length for one ASCII character."""
    data = re.sub(
        rb"%u00([0-9a-f]{2})|%([0-9a-f]{2})",
        lambda found: bytes([int(found[1] or found[2], 16)]),
        data,
        flags=re.IGNORECASE,
    )
    overlong = rb"[\xc0\xc1][\x80-\xbf]|\xe0[\x80\x81][\x80-\xbf]|\xf0\x80[\x80\x81][\x80-\xbf]"
    return re.sub(overlong, lambda found: bytes([(found[0][-2] & 1) << 6 | found[0][-1] & 0x3F]), data)


def climbs(path: bytes) -> bool:
    """Tell whether a path has a dot segment for a reader in C, on Windows, or with path parameters."""
    for part in re.split(rb"[/\\?#;&=:]", path):
        if part.partition(b"\0")[0].rstrip(b" \t\r\n") in {b".", b".."}:
            return True
    return False


@given(PATHS)
@example("%25c0%25ae%25c0%25ae%252fsecret")
def test_no_lax_reader_climbs_out_of_a_prefix(rest: str) -> None:
    """Whatever a prefix covers has no dot segment for a reader that decodes everything, at any depth."""
    if is_covered(rest):
        assert not any(map(climbs, lax_readings(f"file:///docs/{rest}")))


@given(st.text("abc.%25e/é", max_size=12))
def test_names_without_escapes_and_dots_alone_are_covered(rest: str) -> None:
    """The rule takes away no more than it must: plain names below the prefix stay granted."""
    if "%" not in rest and not {".", ".."} & set(rest.split("/")):
        assert is_covered(rest)


@given(st.text(st.characters(exclude_categories=())))
@example("%ud800%dc00")
def test_any_text_is_judged(rest: str) -> None:
    """No name, not even half a character, gets an exception for an answer."""
    assert is_covered(rest) in {True, False}
