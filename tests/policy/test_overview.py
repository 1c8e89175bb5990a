"""What the page says of a policy is what the policy decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from auth_server.model import Kind, Name, Target
from auth_server.policy import scopes_file
from auth_server.policy.decision import Allowed
from auth_server.policy.grants import decide
from auth_server.policy.overview import Overview, Section, overview

if TYPE_CHECKING:
    from auth_server.policy.grants import Policy

TEXT = """\
group_mappings:
  people: [look]
look:
  - server: time
    methods: [initialize, tools/list, tools/call, prompts/get]
    tools: [now, "get_*"]
    prompts: []
run:
  - server: time
    methods: [tools/call, resources/read, "tasks/*"]
    tools: [convert, "get_secret_*"]
    resources: ["*"]
  - server: files
    methods: [tools/list]
all:
  - server: "*"
    methods: "*"
    tools: "*"
    prompts: "*"
    resources: "*"
some:
  - server: "team-*"
    methods: [tools/list]
"""


@pytest.fixture
def policy() -> Policy:
    return scopes_file.parse(TEXT)


def sections(policy: Policy, *held: str, server: str = "time") -> dict[str, Section]:
    """Return the sections of one server by title."""
    found = {each.name: each for each in overview(policy, held).servers}[server]
    return {section.title: section for section in found.sections}


def shown(section: Section) -> dict[str, bool]:
    """Return what a section says of each name."""
    return {entry.name: entry.allowed for entry in section.entries}


def test_tools_that_one_may_call_and_not(policy: Policy) -> None:
    """Every tool that any scope names is there, allowed ones first, patterns last, with the scopes that help."""
    tools = sections(policy, "look")["Tools"]
    assert [entry.name for entry in tools.entries] == ["now", "convert", "get_*", "get_secret_*", "*"]
    assert shown(tools) == {"now": True, "convert": False, "get_*": True, "get_secret_*": True, "*": False}
    scopes_of = {entry.name: entry.scopes for entry in tools.entries}
    assert scopes_of["now"] == ("look",)
    assert scopes_of["convert"] == ("run", "all")
    assert scopes_of["get_secret_*"] == ("look",)
    assert scopes_of["*"] == ("all",)
    assert tools.summary == "3 of 4 tools"


def test_what_a_wildcard_covers(policy: Policy) -> None:
    """Who holds `*` may call every name, and further servers."""
    found = overview(policy, ["all"])
    assert all(entry.allowed for each in found.servers for part in each.sections for entry in part.entries)
    assert found.others == ("*",)
    assert {each.name: each.summary for each in found.servers} == {
        "files": "all tools",
        "time": "all tools",
    }
    assert overview(policy, ["some"]).others == ("team-*",)


def test_methods(policy: Policy) -> None:
    """Methods without names have a section of their own; handshakes are not in it: any grant brings them."""
    methods = sections(policy, "look", "run")["Other methods"]
    assert shown(methods) == {"tools/list": True, "tasks/*": True, "*": False}
    assert {entry.name: entry.scopes for entry in methods.entries}["*"] == ("all",)
    assert shown(sections(policy, "look")["Other methods"]) == {
        "tools/list": True,
        "tasks/*": False,
        "*": False,
    }


def test_servers_that_one_may_use_come_first(policy: Policy) -> None:
    """A server without any grant of one's own comes last and says so; without scopes there is none."""
    found = overview(policy, ["look"])
    assert [(each.name, each.reachable) for each in found.servers] == [("time", True), ("files", False)]
    assert [each.name for each in found.usable] == ["time"]
    assert found.servers[1].summary == "no access"
    assert overview(policy, ["nonsense"]) == overview(policy, [])
    assert overview(policy, []).usable == ()
    assert overview(scopes_file.parse("a: []"), ["a"]) == Overview((), ())


@pytest.mark.parametrize("held", [(), ("look",), ("run",), ("look", "run"), ("all",), ("some",)])
def test_the_page_says_what_the_policy_decides(policy: Policy, held: tuple[str, ...]) -> None:
    """For every name on the page, the decision is the page's; a pattern's is that of a new name it stands for."""
    methods = {"Tools": (Kind.TOOLS, "tools/call"), "Prompts": (Kind.PROMPTS, "prompts/get")}
    methods["Resources"] = (Kind.RESOURCES, "resources/read")
    for server in overview(policy, held).servers:
        for section in server.sections:
            for entry in section.entries:
                name = entry.name.replace("*", "zz-new")
                if section.title in methods:
                    kind, method = methods[section.title]
                    target = Target(server.name, method, (Name(kind, name),))
                else:
                    target = Target(server.name, name)
                assert isinstance(decide(policy, held, target), Allowed) is entry.allowed, (held, entry)
