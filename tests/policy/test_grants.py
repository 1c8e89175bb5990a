import time
from itertools import product

import pytest

from auth_server.model import AuthMethod, Identity, Kind, Name, Target
from auth_server.policy import grants, scopes_file
from auth_server.policy.decision import Allowed, Denied, Grant
from auth_server.policy.grants import HANDSHAKE_METHODS, Policy
from auth_server.policy.patterns import Patterns

TEXT = """\
group_mappings:
  readers: [clock/read]
  both: [clock/read, pages]
clock/read:
- server: clock
  methods: [tools/list, tools/call, resources/read, subscriptions/listen]
  tools: [now]
  resources: ["time://*", "file:///a/../b"]
clock/more:
- server: clock
  methods: [tools/call]
  tools: [later, "cal_*"]
- server: clock
  methods: [prompts/get]
  prompts: [greet]
wide:
- server: "team-*"
  methods: "*"
  tools: "*"
  resources: "*"
pages: []
"""
POLICY = scopes_file.parse(TEXT)


def decide(scope: str, method: str | None, *names: Name, server: str = "clock") -> Allowed | Denied:
    """Judge one call of somebody with one scope."""
    return grants.decide(POLICY, (scope,), Target(server, method, names))


def tool(name: str) -> Name:
    """Return the name of a tool."""
    return Name(Kind.TOOLS, name)


def resource(uri: str) -> Name:
    """Return the name of a resource."""
    return Name(Kind.RESOURCES, uri)


def test_a_granted_call_names_its_rule() -> None:
    """What is allowed comes with the grant that says so, and its line."""
    decision = decide("clock/read", "tools/call", tool("now"))
    assert isinstance(decision, Allowed)
    assert (decision.grant.scope, decision.grant.line) == ("clock/read", 5)


@pytest.mark.parametrize(
    ("method", "names", "reason"),
    [
        ("tools/call", (tool("later"),), "no scope grants tools/call later on clock"),
        ("tools/call", (), "no scope grants tools/call on clock"),
        ("tools/call", (tool("now"), tool("later")), "no scope grants tools/call now later on clock"),
        ("tools/call", (Name(Kind.PROMPTS, "now"),), "no scope grants tools/call now on clock"),
        ("Tools/call", (tool("now"),), "no scope grants Tools/call now on clock"),
        ("prompts/list", (), "no scope grants prompts/list on clock"),
        ("completion/complete", (), "no scope grants completion/complete on clock"),
    ],
)
def test_what_no_grant_holds_is_denied(method: str, names: tuple[Name, ...], reason: str) -> None:
    """Method and every name must be in one grant; the reason says what was asked."""
    assert decide("clock/read", method, *names) == Denied(reason)


def test_one_grant_must_hold_it_all() -> None:
    """A method of one grant and a name of another make no third."""
    assert isinstance(decide("clock/more", "prompts/get", Name(Kind.PROMPTS, "greet")), Allowed)
    assert isinstance(decide("clock/more", "tools/call", Name(Kind.PROMPTS, "greet")), Denied)


@pytest.mark.parametrize("method", [*sorted(HANDSHAKE_METHODS), None])
def test_the_handshake_needs_any_grant(method: str | None) -> None:
    """Discovery, streams and responses are open to who has any grant on the server, to nobody else."""
    assert isinstance(decide("clock/more", method), Allowed)
    assert decide("pages", method) == Denied("no scope grants anything on server clock")
    assert decide("wide", method) == Denied("no scope grants anything on server clock")


def test_the_handshake_is_what_the_contract_says() -> None:
    """These methods, and no other, need any grant on the server and no more."""
    assert {
        "initialize",
        "server/discover",
        "ping",
        "notifications/initialized",
        "notifications/cancelled",
        "notifications/progress",
    } == HANDSHAKE_METHODS


def test_a_handshake_with_a_name_is_judged_by_its_name() -> None:
    """A name beside a handshake method gets no free way."""
    assert isinstance(decide("clock/read", "ping", tool("now")), Denied)


def test_an_unknown_server_is_told_apart() -> None:
    """A server that no scope names is no matter of rights."""
    denied = decide("clock/read", "ping", server="nowhere")
    assert denied == Denied("no scope in scopes.yml names server nowhere", server_known=False)
    denied = decide("clock/read", "ping", server="team-a")
    assert denied == Denied("no scope grants anything on server team-a")


def test_a_server_pattern_grants_by_prefix() -> None:
    """`team-*` holds for every such server, the shorter name included, and for no other."""
    assert isinstance(decide("wide", "tools/call", tool("x"), server="team-a"), Allowed)
    assert isinstance(decide("wide", "ping", server="team-"), Allowed)
    assert isinstance(decide("wide", "ping", server="team"), Denied)


def test_listening_to_no_resource_needs_the_method_alone() -> None:
    """subscriptions/listen may name none, and otherwise each counts."""
    assert isinstance(decide("clock/read", "subscriptions/listen"), Allowed)
    assert isinstance(decide("clock/read", "subscriptions/listen", resource("time://x")), Allowed)
    both = (resource("time://x"), resource("data://x"))
    assert isinstance(decide("clock/read", "subscriptions/listen", *both), Denied)


def test_a_prefix_does_not_cover_a_way_up_and_all_does() -> None:
    """A server resolves `docs/../secret`: a prefix says nothing about it, `*` and the exact name do."""
    for uri in ("time://a/../b", "time://a/%252e%252e/b"):
        assert isinstance(decide("clock/read", "resources/read", resource(uri)), Denied)
        assert isinstance(decide("wide", "resources/read", resource(uri), server="team-a"), Allowed)
    assert isinstance(decide("clock/read", "resources/read", resource("time://a..b")), Allowed)
    assert isinstance(decide("clock/read", "resources/read", resource("file:///a/../b")), Allowed)


def test_scopes_come_from_token_and_groups_once_each() -> None:
    """The token's scopes come first; a group's name is never a scope; an unknown group maps to nothing."""
    identity = Identity(
        AuthMethod.JWT, 0, scopes=("pages", "own"), groups=("both", "readers", "clock/more", "none")
    )
    assert POLICY.effective_scopes(identity) == ("pages", "own", "clock/read")


def test_nearest_shows_what_comes_close() -> None:
    """First what has the method, then what is held, and never more than asked for."""
    target = Target("clock", "tools/call", (tool("weather"),))
    assert [grant.line for grant in grants.nearest(POLICY, ("clock/more",), target)] == [10, 5, 13]
    assert [grant.line for grant in grants.nearest(POLICY, (), target, most=1)] == [5]
    assert grants.nearest(POLICY, (), Target("nowhere", "ping")) == []


def test_nearest_shows_three() -> None:
    """Where nobody says how many, a person can still read them."""
    policy = scopes_file.parse("".join(f"s{n}:\n- server: clock\n  methods: [ping]\n" for n in range(5)))
    assert len(grants.nearest(policy, (), Target("clock", "tools/list"))) == 3


def test_nearest_puts_what_would_allow_first() -> None:
    """A grant that allows the call comes before those held."""
    target = Target("clock", "tools/call", (tool("now"),))
    assert [grant.line for grant in grants.nearest(POLICY, ("clock/more",), target, most=2)] == [5, 10]


def test_scopes_allowing_a_call() -> None:
    """Every scope is named that would do, those for this server first."""
    assert grants.scopes_allowing(POLICY, Target("clock", "tools/call", (tool("cal_x"),))) == ["clock/more"]
    assert grants.scopes_allowing(POLICY, Target("clock", "ping")) == ["clock/read", "clock/more"]
    assert grants.scopes_allowing(POLICY, Target("team-x", "tools/call", (tool("y"),))) == ["wide"]


def test_allowed_tools_are_those_that_can_be_called() -> None:
    """Tools count only where tools/call is granted; the list is sorted and has each once."""
    held = ("clock/read", "clock/more")
    assert grants.allowed_tools(POLICY, held, "clock") == ["cal_*", "later", "now"]
    listed = scopes_file.parse("a/b:\n- {server: x, methods: [tools/list], tools: [t]}\n")
    assert grants.allowed_tools(listed, ("a/b",), "x") == []


def test_a_call_is_described_as_people_write_it() -> None:
    """Method and names, or that there is no method."""
    assert grants.describe(Target("s", "tools/call", (tool("now"),))) == "tools/call now"
    assert grants.describe(Target("s", None)) == "a message without method"


def test_a_server_with_name_and_prefix_in_one_grant_is_found_by_both() -> None:
    """Compiled grants may name a server in several ways."""
    every = Patterns.compile(["*"])
    grant = Grant("s", Patterns.compile(["a", "b", "c*"]), every, dict.fromkeys(Kind, every), 1)
    made = Policy.compile({"s": [grant]}, {}, source="s.yml", digest="", warnings=())
    assert [list(made.grants(("s",), server)) for server in ("a", "b", "cd", "d")] == [[grant]] * 3 + [[]]
    assert made.scopes_on("a") == ("s",)


def test_a_look_up_looks_at_as_many_grants_in_a_large_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 1,000 servers with 50 tools each under 200 scopes, one grant is looked at, as of five."""
    looked_at = []
    permits = grants._permits

    def noted(grant: Grant, target: Target) -> bool:
        looked_at.append(grant)
        return permits(grant, target)

    def text(n_scopes: int, n_servers: int, n_tools: int) -> str:
        tools = ", ".join(f"tool_{number}" for number in range(n_tools))
        entry = "- {{server: s{0}, methods: [tools/call], tools: [{1}]}}\n"
        per_scope = n_servers // n_scopes
        return "".join(
            f"scope{scope}/x:\n"
            + "".join(entry.format(scope * per_scope + server, tools) for server in range(per_scope))
            for scope in range(n_scopes)
        )

    large, small = scopes_file.parse(text(200, 1000, 50)), scopes_file.parse(text(5, 5, 5))
    monkeypatch.setattr(grants, "_permits", noted)
    for made, scope, server, name in (
        (large, "scope199/x", "s999", "tool_49"),
        (small, "scope4/x", "s4", "tool_4"),
    ):
        target = Target(server, "tools/call", (tool(name),))
        assert isinstance(grants.decide(made, (scope,), target), Allowed)
    assert len(looked_at) == 2


def test_every_kind_has_a_list_of_its_own() -> None:
    """A name counts only in the list of its kind."""
    for granted, asked in product(Kind, Kind):
        made = scopes_file.parse(f"a/b:\n- {{server: x, methods: ['*'], {granted}: [n]}}\n")
        target = Target("x", "any/method", (Name(asked, "n"),))
        assert isinstance(grants.decide(made, ("a/b",), target), Allowed) is (granted is asked)


def test_a_long_name_under_many_grants_is_judged_at_once() -> None:
    """However many scopes hold a prefix, a name is looked through once: a decision stays below 250 ms."""
    entry = "s{0}/x:\n- {{server: x, methods: [subscriptions/listen], resources: ['doc://*']}}\n"
    made = scopes_file.parse("".join(map(entry.format, range(1000))))
    names = [Name(Kind.RESOURCES, "doc://" + "%25" * 2700), Name(Kind.RESOURCES, "other://")]
    target = Target("x", "subscriptions/listen", tuple(names))
    began = time.process_time()
    assert isinstance(grants.decide(made, [f"s{number}/x" for number in range(1000)], target), Denied)
    assert time.process_time() - began < 0.25
