"""A template is shown where some resource that it stands for may be read."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_server.policy.patterns import Patterns
from auth_server.policy.uri_templates import could_match

PIECES = st.lists(st.sampled_from(["a", "b", "/", "{x}", "{+y}", "{/z*}", "ab"]), max_size=6).map("".join)
NAMES = st.text("ab/", max_size=6)


@pytest.mark.parametrize(
    ("template", "granted", "shown"),
    [
        ("doc://{id}", "doc://open", True),
        ("doc://{id}", "doc://tree/*", True),
        ("doc://tree/{id}/x", "doc://tree/*", True),
        ("doc://tree/{id}/x", "doc://tree/sub/*", True),
        ("doc://tree/{id}/x", "doc://tree/1/y", False),
        ("doc://tree/{id}/x", "doc://tree/1/x", True),
        ("doc://tree/x{id}x", "doc://tree/x", False),
        ("doc://{a}/m/{b}", "doc://1/n/2", False),
        ("doc://{a}/m/{b}", "doc://1/m/2", True),
        ("other://{id}", "doc://*", False),
        ("doc://open", "doc://open", True),
        ("doc://open", "doc://*", True),
        ("doc://open", "doc://opened", False),
        ("doc://open", "doc://opened*", False),
        ("{+any}", "doc://open", True),
        ("doc://{never", "doc://open", True),
        ("doc://{id}", "*", True),
        ("doc://tree/../{id}", "doc://tree/*", False),
        ("doc://tree/../{id}", "doc://tree/../x", True),
        ("doc://tree/../{id}", "*", True),
    ],
)
def test_templates(template: str, granted: str, shown: bool) -> None:
    """Expressions may become anything; a prefix that leads out of itself by dots grants nothing."""
    assert could_match(template, Patterns.compile([granted])) is shown


def test_nothing_granted_shows_nothing() -> None:
    """An empty list is no."""
    assert not could_match("{+any}", Patterns.compile([]))


@given(PIECES, NAMES, st.booleans())
def test_as_an_expression_would_say_it(template: str, name: str, is_prefix: bool) -> None:
    """The plain way: an expression for the template, and for a prefix a name that has it and all the rest."""
    expression = ".*".join(map(re.escape, re.split(r"\{[^}]*\}", template)))
    if is_prefix:
        rest = re.split(r"\{[^}]*\}", template)
        # What the first expression may become lets any prefix go on: with the template's own text behind.
        tries = [
            name,
            name + "".join(rest[1:]),
            template.replace("{x}", "").replace("{+y}", "").replace("{/z*}", ""),
        ]
        expected = any(t.startswith(name) and re.fullmatch(expression, t) for t in tries)
    else:
        expected = bool(re.fullmatch(expression, name))
    assert could_match(template, Patterns.compile([f"{name}*" if is_prefix else name or "-"])) is (
        expected if name or is_prefix else could_match(template, Patterns.compile(["-"]))
    )


def test_a_template_takes_no_time() -> None:
    """Thousands of expressions against a long name: no reader of expressions would come to an end."""
    began = time.monotonic()
    assert not could_match("{a}b" * 2000 + "x", Patterns.compile(["b" * 20_000]))
    assert time.monotonic() - began < 1
