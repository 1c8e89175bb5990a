import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_server.policy.patterns import NOTHING, Patterns

NAMES = st.text(alphabet="ab/é", max_size=5)


def test_a_name_matches_itself_alone() -> None:
    """Exact names match whole and by case."""
    patterns = Patterns.compile(["read", "write"])
    assert "read" in patterns
    assert all(name not in patterns for name in ("rea", "reads", "Read", "read ", ""))


def test_a_prefix_matches_what_starts_so() -> None:
    """`prefix*` matches the prefix itself and every continuation."""
    patterns = Patterns.compile(["get_*"])
    assert "get_" in patterns
    assert "get_stock" in patterns
    assert all(name not in patterns for name in ("get", "target_get_x", "GET_x"))


def test_prefixes_of_several_lengths_match_each() -> None:
    """A name shorter than the longest prefix is still found by a shorter one."""
    patterns = Patterns.compile(["a*", "abcd*"])
    assert "ab" in patterns
    assert "abcde" in patterns
    assert "ab" not in Patterns.compile(["abcd*"])


def test_a_star_matches_everything() -> None:
    """`*` is the prefix of length 0."""
    patterns = Patterns.compile(["*"])
    assert "" in patterns
    assert "anything/at all" in patterns
    assert patterns.covers_all
    assert not Patterns.compile(["a*"]).covers_all


def test_nothing_matches_nothing() -> None:
    """An empty list is false and holds no name."""
    assert not NOTHING
    assert "" not in NOTHING
    assert Patterns.compile([]) == NOTHING
    assert Patterns.compile(["a"])
    assert Patterns.compile(["a*"])


@pytest.mark.parametrize("item", ["", "*a", "a*b", "**", "a**"])
def test_a_star_elsewhere_is_refused(item: str) -> None:
    """A `*` anywhere but at the end, and an empty name, cannot be compiled."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - its text is the item itself
        Patterns.compile(["fine", item])
    assert str(caught.value) == item


def test_sources_are_what_was_written() -> None:
    """The list can be shown again: names, then prefixes, each sorted and once."""
    assert Patterns.compile(["b", "a*", "a", "*", "b"]).sources() == ["a", "b", "*", "a*"]


@given(st.lists(st.tuples(NAMES, st.booleans()), max_size=6), NAMES)
def test_membership_is_as_written(items: list[tuple[str, bool]], name: str) -> None:
    """A name is in the list if it equals an exact entry or starts with a prefix."""
    written = [f"{body}*" if star else body for body, star in items if star or body]
    expected = any(name.startswith(w[:-1]) if w.endswith("*") else name == w for w in written)
    assert (name in Patterns.compile(written)) is expected
