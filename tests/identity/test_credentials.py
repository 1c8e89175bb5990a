"""What a caller offers as proof: one token or one session, and never one in the place of the other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_server.errors import ErrorCode, InvalidRequest, Unauthenticated
from auth_server.headers import Headers
from auth_server.identity.credentials import cookies, credential, session_cookies, without_ours
from auth_server.model import BearerToken, Credential, SessionCookie


def offered(*pairs: tuple[str, str]) -> Credential:
    """Return what a request with these headers offers."""
    return credential(Headers([(name.lower().encode(), value.encode("latin-1")) for name, value in pairs]))


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER  "])
def test_a_bearer_token_is_the_credential(scheme: str) -> None:
    """The scheme's case does not matter, and more than one space passes."""
    assert offered(("Authorization", f"{scheme}a.b-c_d")) == BearerToken("a.b-c_d")


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer\tabc",
        "Basic abc",
        "Bearer a b",
        "Bearer a,b",
        "Bearerabc",
        "a.b.c",
        "Bearer =a",
        "Bearer \xe9",
    ],
)
def test_a_bad_authorization_never_falls_back_to_the_cookie(value: str) -> None:
    """Authorization alone decides where it is present."""
    with pytest.raises(Unauthenticated) as caught:
        offered(("Authorization", value), ("Cookie", "mcp_gateway_session=good"))
    assert caught.value.code is ErrorCode.TOKEN_MALFORMED


@pytest.mark.parametrize("name", ["mcp_gateway_session", "__Host-mcp_gateway_session"])
def test_the_cookie_is_the_credential_without_authorization(name: str) -> None:
    """The session cookie is found among others, under either of its names."""
    assert offered(("Cookie", f"a=b; {name}=the.value; c=d")) == SessionCookie("the.value")
    assert offered(("Cookie", "a=b"), ("Cookie", f'{name}="the.value"')) == SessionCookie("the.value")


@pytest.mark.parametrize("cookie", [None, "", "other=1", "x_mcp_gateway_session=1", "MCP_GATEWAY_SESSION=1"])
def test_without_a_credential_the_token_is_missing(cookie: str | None) -> None:
    """Other cookies are no credential."""
    with pytest.raises(Unauthenticated) as caught:
        offered(*[("Cookie", cookie)] if cookie is not None else [])
    assert caught.value.code is ErrorCode.TOKEN_MISSING


@pytest.mark.parametrize(
    "pairs",
    [
        [("Authorization", "Bearer a"), ("Authorization", "Bearer a")],
        [("Cookie", "mcp_gateway_session=a; mcp_gateway_session=b")],
        [("Cookie", "mcp_gateway_session=a"), ("Cookie", "mcp_gateway_session=a")],
        [("Cookie", "mcp_gateway_session=a; __Host-mcp_gateway_session=b")],
        [("Authorization", "Bearer a"), ("Cookie", "mcp_gateway_session=a;mcp_gateway_session=")],
    ],
)
def test_a_second_credential_of_a_kind_is_refused(pairs: list[tuple[str, str]]) -> None:
    """Who would win is nobody's guess: duplicates are invalid, even where they are equal or not needed."""
    with pytest.raises(InvalidRequest, match=r"send it once|sent 2 times"):
        offered(*pairs)


def test_a_session_under_both_names_is_one() -> None:
    """A browser that had the cookie before https came has it twice, with the same value."""
    both = "mcp_gateway_session=a; __Host-mcp_gateway_session=a"
    assert session_cookies([both]) == ["a"]
    assert session_cookies([f"{both}; mcp_gateway_session=a"]) == ["a", "a", "a"]
    assert session_cookies(["x=y"]) == []


def test_cookies_are_read_as_browsers_write_them() -> None:
    """Blanks and quotes around a value are no part of it; what has no “=” has no value."""
    assert cookies(['xa=bx;c="d" ;\te = f=g', "h;="]) == [
        ("xa", "bx"),
        ("c", "d"),
        ("e", "f=g"),
        ("h", ""),
        ("", ""),
    ]


def test_credentials_do_not_show_in_representations() -> None:
    """A token must not reach a log by way of repr()."""
    assert "secret" not in repr(BearerToken("secret")) + repr(SessionCookie("secret"))


@pytest.mark.parametrize(
    ("sent", "passed"),
    [
        ("a=b", "a=b"),
        ("a=b; mcp_gateway_session=s; c=d", "a=b; c=d"),
        ("mcp_gateway_session=s", ""),
        ("mcp_gateway_session", ""),
        ("__Host-mcp_gateway_session=s;x=y", "x=y"),
        ("mcp_gateway_sign_in_abc=s; a=b;  c=d", "a=b;  c=d"),
        ("__Host-mcp_gateway_sign_in_abc=s", ""),
        ("\x0bmcp_gateway_session=s; a=b", "a=b"),
        (
            "mcp_gateway_sessions=x; my_mcp_gateway_session=y",
            "mcp_gateway_sessions=x; my_mcp_gateway_session=y",
        ),
        ("a=b; mcp_gateway_sign_in=x", "a=b; mcp_gateway_sign_in=x"),
    ],
)
def test_the_gateways_own_cookies_go_no_further(sent: str, passed: str) -> None:
    """A backend gets the client's other cookies as they were sent, and none of ours."""
    assert without_ours([sent]) == passed


def test_several_cookie_headers_go_on_as_one() -> None:
    """As RFC 6265, section 5.4, has them."""
    assert without_ours(["a=b", "mcp_gateway_session=s", "c=d"]) == "a=b; c=d"


PAIRS = st.lists(
    st.tuples(
        st.sampled_from(
            ["a", "mcp_gateway_session", "__Host-mcp_gateway_session", "mcp_gateway_sign_in_x", "é"]
        ),
        st.text('abc=" \t.', max_size=5),
        st.sampled_from([";", "; ", " ;\t"]),
    )
)


@given(PAIRS)
def test_no_backend_can_find_a_session(pairs: list[tuple[str, str, str]]) -> None:
    """In what goes on, nobody finds what is read here as a session, however it was written."""
    sent = "".join(f"{name}={value}{separator}" for name, value, separator in pairs)
    passed = without_ours([sent])
    assert session_cookies([passed]) == []
    assert [pair for pair in cookies([sent]) if pair[0] in {"a", "é"}] == [
        pair for pair in cookies([passed]) if pair[0]
    ]
