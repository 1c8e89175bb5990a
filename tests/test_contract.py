import base64
import json
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_server import contract
from auth_server.contract import Incoming
from auth_server.errors import ErrorCode, InvalidRequest, Unauthenticated
from auth_server.model import BearerToken, Kind, Name, SessionCookie, Target

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=20)


def incoming(*pairs: tuple[str, str]) -> Incoming:
    """Make headers as a server hands them over: lower-case names, bytes."""
    return Incoming([(name.lower().encode(), value.encode("latin-1")) for name, value in pairs])


def target(**given: str) -> Target:
    """Read the target of a POST to the server `clock` with these Mcp headers."""
    names = {"server": "X-Mcp-Server", "http": "X-Original-Method", "method": "Mcp-Method"}
    names |= {"name": "Mcp-Name", "targets": "X-Mcp-Targets"}
    values = {"server": "clock", "http": "POST"} | given
    return contract.target(incoming(*((names[key], value) for key, value in values.items())))


def sentinel(raw: bytes) -> str:
    """Encode as MCP does what a header cannot hold."""
    return f"=?base64?{base64.b64encode(raw).decode()}?="


def test_a_bearer_token_is_the_credential() -> None:
    """The scheme's case does not matter, and more than one space passes."""
    for scheme in ("Bearer ", "bearer ", "BEARER  "):
        assert contract.credential(incoming(("Authorization", f"{scheme}a.b-c_d"))) == BearerToken("a.b-c_d")


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Bearer ", "Basic abc", "Bearer a b", "Bearer a,b", "Bearerabc", "a.b.c"]
)
def test_a_bad_authorization_never_falls_back_to_the_cookie(value: str) -> None:
    """Authorization alone decides where it is present."""
    with pytest.raises(Unauthenticated) as caught:
        contract.credential(incoming(("Authorization", value), ("Cookie", "mcp_gateway_session=good")))
    assert caught.value.code is ErrorCode.TOKEN_MALFORMED


def test_the_cookie_is_the_credential_without_authorization() -> None:
    """The session cookie is found among others."""
    given_headers = incoming(("Cookie", "a=b; mcp_gateway_session=the.value; c=d"))
    assert contract.credential(given_headers) == SessionCookie("the.value")


@pytest.mark.parametrize("cookie", [None, "", "other=1", "x_mcp_gateway_session=1", "MCP_GATEWAY_SESSION=1"])
def test_without_a_credential_the_token_is_missing(cookie: str | None) -> None:
    """Other cookies are no credential."""
    with pytest.raises(Unauthenticated) as caught:
        contract.credential(incoming(*[("Cookie", cookie)] if cookie is not None else []))
    assert caught.value.code is ErrorCode.TOKEN_MISSING


@pytest.mark.parametrize(
    "pairs",
    [
        [("Authorization", "Bearer a"), ("Authorization", "Bearer a")],
        [("Cookie", "mcp_gateway_session=a; mcp_gateway_session=b")],
        [("Cookie", "mcp_gateway_session=a"), ("Cookie", "mcp_gateway_session=a")],
        [("Authorization", "Bearer a"), ("Cookie", "mcp_gateway_session=a;mcp_gateway_session=")],
    ],
)
def test_a_second_credential_of_a_kind_is_refused(pairs: list[tuple[str, str]]) -> None:
    """Who would win is nobody's guess: duplicates are invalid, even where they are equal or not needed."""
    with pytest.raises(InvalidRequest, match="send it once"):
        contract.credential(incoming(*pairs))


def test_credentials_do_not_show_in_representations() -> None:
    """A token must not reach a log by way of repr()."""
    assert "secret" not in repr(BearerToken("secret")) + repr(SessionCookie("secret"))


def test_a_repeated_header_is_refused_when_it_is_read() -> None:
    """A header that may come once has no first or last."""
    with pytest.raises(InvalidRequest, match="mcp-method was sent more than once"):
        contract.target(incoming(("X-Mcp-Server", "a"), ("Mcp-Method", "ping"), ("Mcp-Method", "tools/call")))


def test_a_header_is_read_without_the_blanks_around_it() -> None:
    """Blanks around a value are no part of it (RFC 9110, section 5.5)."""
    assert incoming(("X-Request-ID", " \tabc ")).get(b"x-request-id") == "abc"
    assert incoming().get(b"x-request-id") is None


@pytest.mark.parametrize(
    "server", ["", "a/b", "a b", ".hidden", "..", "a%2fb", "a;b", "a\\b", "é", "a" * 129]
)
def test_a_server_that_is_no_name_is_refused(server: str) -> None:
    """Fail closed: without a server's name from nginx there is no decision."""
    with pytest.raises(InvalidRequest, match="X-Mcp-Server"):
        target(server=server, method="ping")


def test_a_missing_server_is_refused() -> None:
    """No header, no decision."""
    with pytest.raises(InvalidRequest, match="X-Mcp-Server is missing"):
        contract.target(incoming(("Mcp-Method", "ping")))


@pytest.mark.parametrize("http", ["PUT", "get", "", "OPTIONS"])
def test_only_the_verbs_of_mcp_are_judged(http: str) -> None:
    """GET, POST and DELETE are what Streamable HTTP uses."""
    with pytest.raises(InvalidRequest, match="X-Original-Method"):
        target(http=http, method="ping")


def test_without_verb_and_method_there_is_no_question() -> None:
    """One of them must say what is to be done."""
    with pytest.raises(InvalidRequest, match="X-Original-Method"):
        contract.target(incoming(("X-Mcp-Server", "clock")))
    assert contract.target(incoming(("X-Mcp-Server", "clock"), ("Mcp-Method", "ping"))) == Target(
        "clock", "ping"
    )


def test_a_message_without_method_has_none() -> None:
    """A stream, the end of a session, and a response: a server, no method."""
    assert [target(http=http) for http in ("GET", "DELETE", "POST")] == [Target("clock", None)] * 3
    assert target(http="POST", method="") == Target("clock", None)


@pytest.mark.parametrize("method", ["tools call", "tøøls", "a" * 257, "a\x7f"])
def test_a_method_that_is_not_plain_ascii_is_refused(method: str) -> None:
    """Methods are printable ASCII."""
    with pytest.raises(InvalidRequest, match="Mcp-Method"):
        target(method=method)


@pytest.mark.parametrize(
    ("method", "kind"),
    [("tools/call", Kind.TOOLS), ("prompts/get", Kind.PROMPTS), ("resources/read", Kind.RESOURCES)],
)
def test_the_method_says_what_the_name_is(method: str, kind: Kind) -> None:
    """Mcp-Name is a tool, a prompt or a resource by the method."""
    assert target(method=method, name="x y") == Target("clock", method, (Name(kind, "x y"),))


@pytest.mark.parametrize("method", ["tools/call", "prompts/get", "resources/read", "completion/complete"])
def test_a_method_that_names_something_needs_a_name(method: str) -> None:
    """A call of nothing is no call."""
    for more in ({}, {"name": ""}, {"targets": "[]"}):
        with pytest.raises(InvalidRequest, match=f"{method} names nothing"):
            target(method=method, **more)


def test_a_name_of_another_method_is_left_aside() -> None:
    """A task's id is in no list of a grant; its method alone is judged."""
    assert target(method="tasks/get", name="id-1") == Target("clock", "tasks/get")
    assert target(name="x") == Target("clock", None)


def test_several_targets_are_all_named() -> None:
    """X-Mcp-Targets adds to Mcp-Name; what stands in both counts once."""
    found = target(method="subscriptions/listen", name="b", targets='["a", {"resources": "b"}, "a"]')
    assert found.names == (Name(Kind.RESOURCES, "a"), Name(Kind.RESOURCES, "b"))


@pytest.mark.parametrize("kind", [Kind.PROMPTS, Kind.RESOURCES])
def test_a_completion_says_what_it_completes(kind: Kind) -> None:
    """The kind comes with the name, since the method does not tell it."""
    targets = json.dumps([{kind: "é, x"}])
    found = target(method="completion/complete", name=sentinel("é, x".encode()), targets=targets)
    assert found.names == (Name(kind, "é, x"),)


def test_a_completion_of_two_things_is_refused() -> None:
    """Mcp-Name must be among the targets."""
    for more in ({}, {"targets": '[{"prompts": "b"}]'}):
        with pytest.raises(InvalidRequest, match="X-Mcp-Targets must"):
            target(method="completion/complete", name="a", **more)


@pytest.mark.parametrize(
    "targets",
    [
        "{}",
        "nonsense",
        '"a"',
        "[" * 100_000,
        "[" + "9" * 5000 + "]",
        '["\xe9"]',
        "[1]",
        "[null]",
        "[[]]",
        "[{}]",
        '[{"prompts": "a", "resources": "b"}]',
        '[{"prompts": "a", "prompts": "b"}]',
        '[{"Prompts": "a"}]',
        '[{"prompts": 1}]',
        '[""]',
        '["a\\n"]',
        '["\\ud800"]',
        '["\\u0085"]',
    ],
)
def test_targets_that_have_no_single_reading_are_refused(targets: str) -> None:
    """The array is plain JSON in ASCII, of names or of {kind: name}."""
    with pytest.raises(InvalidRequest, match="X-Mcp-Targets"):
        target(method="resources/read", targets=targets)


def test_a_bare_target_needs_a_method_that_tells_its_kind() -> None:
    """A name without a kind is refused where the method has none."""
    with pytest.raises(InvalidRequest, match="X-Mcp-Targets"):
        target(method="completion/complete", targets='["a"]')


def test_a_value_of_mcp_name_may_be_base64() -> None:
    """What a header cannot hold comes as UTF-8 in the sentinel; all else is as it stands."""
    assert contract.decode_mcp_value(sentinel("žluť, ✓".encode())) == "žluť, ✓"
    assert contract.decode_mcp_value("plain value") == "plain value"
    assert contract.decode_mcp_value("=?BASE64?YQ==?=") == "=?BASE64?YQ==?="
    assert contract.decode_mcp_value("=?base64?YQ==") == "=?base64?YQ=="


@pytest.mark.parametrize(
    "value",
    [
        "",
        "tab\tinside",
        "caf\xe9",
        "=?base64??=",
        "=?base64?YQ?=",
        "=?base64?YR==?=",
        "=?base64?Y Q==?=",
        "=?base64?_-8=?=",
        sentinel(b"\xff"),
        sentinel(b"\xed\xa0\x80"),
        sentinel(b"a\x00b"),
        sentinel(b"a\r\nb"),
        sentinel(b"\xc2\x85"),
    ],
)
def test_a_value_with_another_reading_is_refused(value: str) -> None:
    """Base64 must be canonical, the text UTF-8 without controls, and not empty."""
    with pytest.raises(InvalidRequest, match="Mcp-Name"):
        contract.decode_mcp_value(value)


@given(st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1))
def test_every_name_survives_the_sentinel(name: str) -> None:
    """What a client encodes is what is judged."""
    assert contract.decode_mcp_value(sentinel(name.encode())) == name


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
