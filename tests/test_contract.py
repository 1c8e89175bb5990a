"""How values are written where they cross a border."""

from urllib.parse import unquote_to_bytes

from hypothesis import given
from hypothesis import strategies as st

from auth_server import contract

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=20)


def decoded(value: str) -> str:
    """Undo `encode`."""
    return unquote_to_bytes(value).decode("utf-8", "surrogatepass")


@given(ANY_TEXT)
def test_encoding_can_be_undone_and_splits_nothing(value: str) -> None:
    """Any value comes back whole, and its encoding holds no separator, control or character outside ASCII."""
    encoded = contract.encode(value)
    assert decoded(encoded) == value
    assert all("!" <= char <= "~" and char != "," for char in encoded)


@given(st.lists(ANY_TEXT, min_size=1), st.sampled_from([" ", ","]))
def test_lists_can_be_taken_apart(values: list[str], separator: str) -> None:
    """No element can pass for two."""
    assert [decoded(part) for part in contract.encode_list(values, separator).split(separator)] == values


@given(ANY_TEXT, ANY_TEXT)
def test_two_names_never_share_an_encoding(one: str, other: str) -> None:
    """No name can be taken for another."""
    assert (contract.encode(one) == contract.encode(other)) is (one == other)


def test_a_lone_surrogate_is_not_its_own_escape() -> None:
    """JSON can spell a lone surrogate; it must not become the text that describes it."""
    assert contract.encode("\ud800") != contract.encode("\\ud800")


def test_common_values_stay_readable() -> None:
    """What is printable and no separator is left alone; the percent sign cannot be."""
    assert contract.encode("mcp-servers/read:x@y") == "mcp-servers/read:x@y"
    assert contract.encode("a,b c%é") == "a%2Cb%20c%25%C3%A9"


def test_many_tools_are_cut_at_a_whole_name() -> None:
    """The list of tools stays within its size, and no name is cut in two."""
    few = ["a", "b,c"]
    assert contract.encode_tools(few) == "a,b%2Cc"
    many = [f"tool_{number:04}" for number in range(1000)]
    encoded = contract.encode_tools(many)
    assert len(encoded) <= contract.MAX_TOOLS_BYTES
    assert encoded.split(",") == many[: encoded.count(",") + 1]
    assert contract.encode_tools(["x" * 5000]) == ""
    fits = ["x" * contract.MAX_TOOLS_BYTES, "y"]
    assert contract.encode_tools(fits) == fits[0]
