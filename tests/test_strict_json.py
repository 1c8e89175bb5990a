import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_server.strict_json import parse_object

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=10,
)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"1",
        b'{"a": 1, "a": 1}',
        b'{"a": 1, "\\u0061": 2}',
        b'{"deep": [{"a": 1, "a": 2}]}',
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": "\\ud800"}',
        b'{"\\udc00": 1}',
        b'{"a": "\xff"}',
        b'\xef\xbb\xbf{"a": 1}',
        '{"a": 1}'.encode("utf-16"),
        b'{"a": ' + b"[" * 100_000,
        b'{"a": ' + b"9" * 5_000 + b"}",
    ],
)
def test_text_without_one_meaning_is_refused(text: bytes) -> None:
    """What is not one JSON object in UTF-8 with unique names raises ValueError, and nothing else."""
    with pytest.raises(ValueError, match="not") as caught:
        parse_object(text)
    assert len(str(caught.value)) < 60


def test_a_pair_of_surrogates_is_a_character() -> None:
    """An escaped pair of surrogates is read as the character it stands for."""
    assert parse_object(b'{"a": "\\ud83d\\ude00"}') == {"a": "\U0001f600"}


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), JSON))
def test_objects_survive(value: dict[str, Any]) -> None:
    """Every object is read as what it is, escaped or not."""
    assert parse_object(json.dumps(value).encode()) == value
    assert parse_object(json.dumps(value, ensure_ascii=False).encode()) == value


@given(st.binary(max_size=200))
def test_bytes_without_end(data: bytes) -> None:
    """Any bytes are an object or a ValueError."""
    try:
        assert isinstance(parse_object(data), dict)
    except ValueError as error:
        assert type(error) is ValueError  # noqa: PT017 - either outcome is right
