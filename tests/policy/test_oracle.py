"""The compiled policy against the plainest reading of the contract, on random files and calls."""

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from auth_server.model import AuthMethod, Identity, Kind, Name, Target
from auth_server.policy import grants, scopes_file
from auth_server.policy.decision import Allowed

HANDSHAKE = {
    "initialize",
    "server/discover",
    "ping",
    "notifications/initialized",
    "notifications/cancelled",
    "notifications/progress",
}
LIST_OF = {
    "tools/call": "tools",
    "prompts/get": "prompts",
    "resources/read": "resources",
    "resources/subscribe": "resources",
    "resources/unsubscribe": "resources",
}
METHODS = [*sorted(HANDSHAKE), *LIST_OF, "tools/list", "prompts/list", "tasks/get", "resources/list"]
SERVERS = ["a", "ab", "abc", "b", "B"]
NAMES = ["t", "to", "tool", "tools", "T", "u"]
SCOPES = ["s/1", "s/2", "s/3", "ui"]
GROUPS = ["g1", "g2", "s/1"]


def written(names: list[str]) -> st.SearchStrategy[str]:
    """Make an entry as a file has it: a name, a prefix or `*`."""
    return st.sampled_from([*names, *(f"{name[:2]}*" for name in names), "*"])


ENTRY = st.fixed_dictionaries(
    {"server": written(SERVERS), "methods": st.lists(written(METHODS), max_size=4)},
    optional={kind: st.lists(written(NAMES), max_size=3) | st.just("*") for kind in LIST_OF.values()},
)
FILE = st.fixed_dictionaries(
    {scope: st.lists(ENTRY, max_size=3) for scope in SCOPES[:3]},
).flatmap(
    lambda grants: st.fixed_dictionaries(
        {group: st.lists(st.sampled_from(SCOPES), max_size=3) for group in GROUPS},
    ).map(
        lambda groups: {"UI-Scopes": {"ui": {"list_service": ["all"]}}, "group_mappings": groups, **grants}
    ),
)


def matches(pattern: str, value: str) -> bool:
    """Read one entry as the contract says."""
    return value.startswith(pattern[:-1]) if pattern.endswith("*") else value == pattern


def may(
    data: dict[str, Any], held: list[str], groups: list[str], call: tuple[str, str | None, list[str]]
) -> bool:
    """Decide naively, on the plain data: no index, no compiling, no early end."""
    server, method, names = call
    every = set(held)
    for group in groups:
        every.update(data["group_mappings"].get(group, []))
    answers = []
    for scope in every & data.keys():
        for entry in data[scope]:
            if not matches(entry["server"], server):
                continue
            if method is None or method in HANDSHAKE:
                answers.append(True)
                continue
            has_method = any(matches(pattern, method) for pattern in entry["methods"])
            if method in LIST_OF:
                listed = entry.get(LIST_OF[method], [])
                held_names = [any(matches(pattern, name) for pattern in listed) for name in names]
                answers.append(has_method and bool(names) and all(held_names))
            else:
                answers.append(has_method)
    return any(answers)


@pytest.mark.untraced
@settings(max_examples=4 * settings().max_examples)
@given(
    FILE,
    st.lists(st.sampled_from([*SCOPES, "stranger"]), max_size=3),
    st.lists(st.sampled_from([*GROUPS, "stranger"]), max_size=2),
    st.sampled_from([*SERVERS, "nowhere"]),
    st.sampled_from([*METHODS, "x/y"]) | st.none(),
    st.lists(st.sampled_from(NAMES), max_size=2),
)
def test_the_evaluator_agrees_with_a_naive_one(
    data: dict[str, Any],
    held: list[str],
    groups: list[str],
    server: str,
    method: str | None,
    names: list[str],
) -> None:
    """Parsing, compiling, indexing and judging together change nothing about what the file says."""
    made = scopes_file.parse(yaml.safe_dump(data, sort_keys=False))
    named = names if method in LIST_OF else []
    target = Target(server, method, tuple(Name(Kind(LIST_OF[method or ""]), name) for name in named))
    identity = Identity(AuthMethod.JWT, 0, scopes=tuple(held), groups=tuple(groups))
    effective = made.effective_scopes(identity)
    decision = grants.decide(made, effective, target)
    assert isinstance(decision, Allowed) is may(data, held, groups, (server, method, named))
    if isinstance(decision, Allowed):
        assert decision.grant.scope in effective
        assert decision.grant.scope in grants.scopes_allowing(made, target)
        assert grants.nearest(made, effective, target)
