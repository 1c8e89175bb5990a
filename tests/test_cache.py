from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from auth_server.cache import Cache


@dataclass(frozen=True, slots=True)
class Item:
    size: int


def test_keeps_what_was_put() -> None:
    """A value is found under its key; an unknown key gives nothing."""
    table: Cache[str, Item] = Cache(10_000)
    table.put("a", Item(1))
    assert table.get("a") == Item(1)
    assert table.get("b") is None


def test_the_least_recently_used_makes_room() -> None:
    """What was looked at last stays longest."""
    table: Cache[str, Item] = Cache(3 * 900)
    for key in "abc":
        table.put(key, Item(900))
    table.get("a")
    table.put("d", Item(900))
    assert [key for key in "abcd" if table.get(key)] == ["a", "c", "d"]


def test_a_value_too_large_for_the_table_is_not_kept() -> None:
    """One entry cannot take more than the whole bound."""
    table: Cache[str, Item] = Cache(100)
    table.put("a", Item(5000))
    assert len(table) == 0


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 500))))
def test_never_grows_beyond_its_bound(puts: list[tuple[int, int]]) -> None:
    """Whatever is put, and put again in another size, the sum stays within the bound."""
    table: Cache[int, Item] = Cache(1000)
    for key, size in puts:
        table.put(key, Item(size))
        assert sum(item.size for item in map(table.get, range(10)) if item) <= 1000
