import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.cognito import (
    ABSENT,
    AGENT,
    CLIENT,
    GATEWAY,
    ISSUER,
    NOW,
    OTHER_ISSUER,
    OTHER_POOL,
    POOL,
    RULES,
    UPDATED_ISSUER,
    claims,
)

from auth_server.errors import ErrorCode, Unauthenticated
from auth_server.identity import cognito_claims
from auth_server.model import AuthMethod, Identity

KINDS = ["agent", "access", "id"]


def judge(
    kind: str = "agent",
    changes: dict[str, Any] | None = None,
    *,
    rules: cognito_claims.Rules = RULES,
    now: float = NOW,
) -> Identity:
    """Judge the claims of that kind, with those changes."""
    return cognito_claims.verify(json.dumps(claims(kind, changes)).encode(), POOL, rules, now=now)


def refused(code: ErrorCode, *args: Any, **options: Any) -> str:
    """Return the message of the refusal."""
    with pytest.raises(Unauthenticated) as caught:
        judge(*args, **options)
    assert caught.value.code is code
    return caught.value.message


def test_an_agent() -> None:
    """An M2M token gives its client and scopes, and no user."""
    assert judge("agent") == Identity(
        method=AuthMethod.JWT,
        expires_at=NOW + 3600,
        client_id=AGENT,
        scopes=("mcp/read", "mcp/run"),
        session_id="jti-of-agent",
        issued_at=NOW,
    )


def test_a_user_with_an_access_token() -> None:
    """A user's access token gives the user, the groups and the scopes; it has no email."""
    assert judge("access", {"email": "not@this.one"}) == Identity(
        method=AuthMethod.JWT,
        expires_at=NOW + 3600,
        username="ada",
        client_id=CLIENT,
        scopes=("openid", "email"),
        groups=("readers",),
        session_id="jti-of-access",
        issued_at=NOW,
    )


def test_a_user_with_an_id_token() -> None:
    """An ID token gives user, groups and email; its client is its audience, and it has no scopes."""
    assert judge("id", {"scope": "mcp/read"}) == Identity(
        method=AuthMethod.JWT,
        expires_at=NOW + 3600,
        username="ada",
        email="ada@example.com",
        client_id=CLIENT,
        groups=("readers",),
        session_id="jti-of-id",
        issued_at=NOW,
    )


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("agent", {"username": "root", "cognito:groups": ["admins"], "email": "a@b"}),
        ("access", {"username": ABSENT}),
        ("access", {"username": ""}),
        ("id", {"cognito:username": ABSENT, "username": "root"}),
    ],
)
def test_who_is_no_user_has_nothing_of_one(kind: str, changes: dict[str, Any]) -> None:
    """Without a username, or as its own subject, a token speaks for its client alone."""
    identity = judge(kind, changes)
    assert (identity.username, identity.email, identity.groups) == ("", "", ())


def test_what_may_be_missing() -> None:
    """Only exp, iss, token_use and the client are needed."""
    left_out = dict.fromkeys(["iat", "auth_time", "jti", "sub", "scope", "version"], ABSENT)
    identity = judge("agent", left_out)
    assert (identity.scopes, identity.session_id, identity.issued_at) == ((), "", 0)


def test_scopes_are_split_at_spaces_alone() -> None:
    """Other white space separates no scopes (RFC 6749, section 3.3), and runs of spaces make no empty one."""
    assert judge("agent", {"scope": " a  b\tc\u00a0d\x1ce "}).scopes == ("a", "b\tc\u00a0d\x1ce")


def test_names_of_any_letter() -> None:
    """Users and groups may be called anything."""
    identity = judge("access", {"username": "Zoë, 名 ,x", "cognito:groups": ["a, b", "ü"]})
    assert (identity.username, identity.groups) == ("Zoë, 名 ,x", ("a, b", "ü"))


@pytest.mark.parametrize(
    "payload", [b"", b"{", b"[]", b"null", b'{"iss": 1, "iss": 2}', b"\xff", b'{"a": NaN}']
)
def test_payloads_that_are_no_object(payload: bytes) -> None:
    """The payload is one JSON object with unique names, or the token is malformed."""
    with pytest.raises(Unauthenticated) as caught:
        cognito_claims.verify(payload, POOL, RULES, now=NOW)
    assert caught.value.code is ErrorCode.TOKEN_MALFORMED


@pytest.mark.parametrize("name", ["exp", "nbf", "iat", "auth_time"])
@pytest.mark.parametrize(
    "value",
    ["", "1800003600", None, True, 1800003600.5, 1.8e9, -1, 2**53 + 1, 10**400, 1e300, [NOW], {"t": NOW}],
)
def test_times_are_whole_numbers(name: str, value: Any) -> None:
    """A time that is text, fraction, boolean or beyond reason is malformed."""
    assert name in refused(ErrorCode.TOKEN_MALFORMED, "agent", {name: value})


@pytest.mark.parametrize(
    "name",
    ["iss", "sub", "scope", "client_id", "jti", "token_use", "username", "cognito:username", "email"],
)
@pytest.mark.parametrize("value", [None, 1, True, ["x"], {"x": 1}])
def test_texts_are_strings(name: str, value: Any) -> None:
    """A text of another type is malformed, whatever the kind of token."""
    assert name in refused(ErrorCode.TOKEN_MALFORMED, "access", {name: value})


@pytest.mark.parametrize("value", [None, "admins", 1, {"admins": 1}, [1], ["readers", None], [["readers"]]])
def test_groups_are_an_array_of_strings(value: Any) -> None:
    """Groups of another type are malformed: a string is not taken for its letters."""
    refused(ErrorCode.TOKEN_MALFORMED, "access", {"cognito:groups": value})


@pytest.mark.parametrize("value", [None, 1, {}, [1], [GATEWAY, None]])
@pytest.mark.parametrize("kind", KINDS)
def test_aud_is_a_string_or_strings(kind: str, value: Any) -> None:
    """An audience of another type is malformed."""
    refused(ErrorCode.TOKEN_MALFORMED, kind, {"aud": value})


@pytest.mark.parametrize("kind", KINDS)
def test_exp_is_required(kind: str) -> None:
    """A token that never ends is malformed."""
    refused(ErrorCode.TOKEN_MALFORMED, kind, {"exp": ABSENT})


def test_the_end_of_a_token() -> None:
    """A token ends at exp plus the leeway, not a moment later (RFC 7519, section 4.1.4)."""
    judge(now=NOW + 3600 + 29.9)
    assert "30 s ago" in refused(ErrorCode.TOKEN_EXPIRED, now=NOW + 3600 + 30)
    refused(ErrorCode.TOKEN_EXPIRED, rules=replace(RULES, leeway=0), now=NOW + 3600)
    judge(rules=replace(RULES, leeway=0), now=NOW + 3599.9)


@pytest.mark.parametrize("name", ["nbf", "iat"])
def test_the_beginning_of_a_token(name: str) -> None:
    """A token from the future is not valid yet, save for the leeway."""
    judge("agent", {name: NOW + 30})
    assert name in refused(ErrorCode.TOKEN_NOT_YET_VALID, "agent", {name: NOW + 31})
    refused(ErrorCode.TOKEN_NOT_YET_VALID, "agent", {name: NOW + 1}, rules=replace(RULES, leeway=0))


@pytest.mark.parametrize("issuer", [ISSUER, UPDATED_ISSUER])
def test_both_forms_of_an_issuer(issuer: str) -> None:
    """Each issuer that the pool may name is accepted."""
    judge("agent", {"iss": issuer})


@pytest.mark.parametrize(
    "issuer",
    [
        ABSENT,
        "",
        OTHER_ISSUER,
        ISSUER + "/",
        ISSUER.upper(),
        ISSUER.replace("https", "http"),
        ISSUER + "@mallory.example",
        ISSUER[:-1],
        ISSUER.replace("eu-central-1.", "eu-west-1."),
    ],
)
def test_any_other_issuer(issuer: Any) -> None:
    """An issuer is compared whole; nothing like it will do."""
    message = refused(ErrorCode.INVALID_ISSUER, "agent", {"iss": issuer})
    assert ISSUER in message


def test_the_pool_whose_key_signed_must_be_the_issuer() -> None:
    """A trusted pool's issuer is refused where another pool's key signed."""
    with pytest.raises(Unauthenticated) as caught:
        cognito_claims.verify(json.dumps(claims()).encode(), OTHER_POOL, RULES, now=NOW)
    assert caught.value.code is ErrorCode.INVALID_ISSUER


@pytest.mark.parametrize("token_use", [ABSENT, "", "refresh", "Access", "access id", "id "])
def test_no_other_token_use(token_use: Any) -> None:
    """token_use is access or id, and nothing else even if a setting says so."""
    rules = replace(RULES, token_uses=frozenset({"access", "id", "refresh", ""}))
    refused(ErrorCode.INVALID_TOKEN_USE, "access", {"token_use": token_use}, rules=rules)


@pytest.mark.parametrize(("allowed", "kind"), [("access", "id"), ("id", "access"), ("id", "agent")])
def test_a_token_use_that_is_not_allowed(allowed: str, kind: str) -> None:
    """Only the uses in COGNITO_TOKEN_USE count."""
    rules = replace(RULES, token_uses=frozenset({allowed}))
    assert f"accepted: {allowed}" in refused(ErrorCode.INVALID_TOKEN_USE, kind, rules=rules)


def test_no_token_use_at_all() -> None:
    """Empty means no."""
    message = refused(ErrorCode.INVALID_TOKEN_USE, rules=replace(RULES, token_uses=frozenset()))
    assert "accepted: none" in message


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_that_is_not_allowed(kind: str) -> None:
    """The message names the client and the setting that lacks it."""
    message = refused(ErrorCode.INVALID_AUDIENCE, kind, rules=replace(RULES, clients=frozenset({"other"})))
    assert (CLIENT if kind != "agent" else AGENT) in message
    assert "COGNITO_ALLOWED_CLIENT_IDS" in message


@pytest.mark.parametrize("kind", KINDS)
def test_no_client_is_allowed_by_absence(kind: str) -> None:
    """An empty list of clients lets nobody in; None lets in every client of the pool."""
    refused(ErrorCode.INVALID_AUDIENCE, kind, rules=replace(RULES, clients=frozenset()))
    judge(kind, rules=replace(RULES, clients=None))


@pytest.mark.parametrize("value", [ABSENT, ""])
@pytest.mark.parametrize("clients", [None, frozenset({CLIENT, ""})])
def test_a_token_must_name_its_client(value: Any, clients: frozenset[str] | None) -> None:
    """A token of no client is refused even where every client counts."""
    rules = replace(RULES, clients=clients)
    refused(ErrorCode.INVALID_AUDIENCE, "access", {"client_id": value}, rules=rules)
    refused(ErrorCode.INVALID_AUDIENCE, "id", {"aud": value}, rules=rules)


def test_each_kind_has_its_own_client_claim() -> None:
    """A client_id does not stand in for the aud of an ID token, nor aud for that of an access token."""
    refused(ErrorCode.INVALID_AUDIENCE, "id", {"aud": "other", "client_id": CLIENT})
    refused(ErrorCode.INVALID_AUDIENCE, "id", {"aud": [CLIENT]})
    refused(ErrorCode.INVALID_AUDIENCE, "access", {"client_id": "other", "aud": CLIENT})


@pytest.mark.parametrize(
    "audience", [GATEWAY, GATEWAY + "/time/mcp", ["https://other.example", GATEWAY + "/a"]]
)
def test_a_token_bound_to_this_gateway(audience: Any) -> None:
    """An access token bound to the gateway or a path of it is accepted (RFC 8707)."""
    judge("access", {"aud": audience})
    own = {GATEWAY, GATEWAY + "/a/"}
    judge("access", {"aud": audience}, rules=replace(RULES, audiences=frozenset(own)))


@pytest.mark.parametrize(
    "audience",
    [
        "",
        [],
        "https://other.example/mcp",
        GATEWAY + ".mallory.example",
        GATEWAY + ":8443/mcp",
        "http://gw.example/mcp",
        GATEWAY[:-1],
        ["https://other.example"],
        CLIENT,
    ],
)
def test_a_token_bound_to_another_resource(audience: Any) -> None:
    """An access token bound elsewhere is refused, also where the gateway has no URL to be bound to."""
    assert "GATEWAY_URL" in refused(ErrorCode.INVALID_AUDIENCE, "access", {"aud": audience})
    refused(
        ErrorCode.INVALID_AUDIENCE, "access", {"aud": audience}, rules=replace(RULES, audiences=frozenset())
    )


def test_a_limit_since_sign_in() -> None:
    """MAX_AUTH_AGE counts from auth_time, however fresh the token is."""
    rules = replace(RULES, max_auth_age=86400)
    judge("access", {"auth_time": NOW - 86430}, rules=rules)
    message = refused(ErrorCode.TOKEN_EXPIRED, "access", {"auth_time": NOW - 86431}, rules=rules)
    assert "MAX_AUTH_AGE" in message
    refused(ErrorCode.TOKEN_EXPIRED, "access", {"auth_time": ABSENT}, rules=rules)
    refused(ErrorCode.TOKEN_NOT_YET_VALID, "access", {"auth_time": NOW + 31}, rules=rules)
    judge("access", {"auth_time": NOW + 30}, rules=rules)
    judge("access", {"auth_time": 0})


def test_what_is_judged_first() -> None:
    """Types, times, issuer, token_use, client, sign-in: with everything wrong, each hides the next."""
    wrong: dict[str, Any] = {
        "cognito:groups": "admins",
        "exp": NOW - 9_000,
        "iss": OTHER_ISSUER,
        "token_use": "refresh",
        "client_id": "other",
        "auth_time": 1,
    }
    codes = []
    for name in list(wrong):
        with pytest.raises(Unauthenticated) as caught:
            judge("access", wrong, rules=replace(RULES, max_auth_age=60))
        codes.append(caught.value.code)
        del wrong[name]
    assert codes == [
        ErrorCode.TOKEN_MALFORMED,
        ErrorCode.TOKEN_EXPIRED,
        ErrorCode.INVALID_ISSUER,
        ErrorCode.INVALID_TOKEN_USE,
        ErrorCode.INVALID_AUDIENCE,
        ErrorCode.TOKEN_EXPIRED,
    ]


def test_a_claim_in_a_message_is_bounded_and_printable() -> None:
    """What a token says is shown cut and without control characters."""
    message = refused(
        ErrorCode.INVALID_AUDIENCE, "access", {"client_id": "evil\r\nX-User: root\x1b[2J" + "x" * 5_000}
    )
    assert message.isprintable()
    assert "evil??X-User: root?[2J" in message
    assert len(message) < 250


@pytest.mark.parametrize(
    ("payload", "issuer"),
    [
        (json.dumps(claims()).encode(), ISSUER),
        (b'{"iss": "x"}', "x"),
        (b'{"iss": 5}', None),
        (b"{}", None),
        (b'{"iss": "a", "iss": "b"}', None),
        (b"nonsense", None),
    ],
)
def test_the_issuer_as_a_hint(payload: bytes, issuer: str | None) -> None:
    """The unverified issuer is read strictly, and is None where it cannot be."""
    assert cognito_claims.unverified_issuer(payload) == issuer


VALUE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([NOW, ISSUER, CLIENT]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.sampled_from(KINDS), st.dictionaries(st.sampled_from(sorted(claims("id") | claims("access"))), VALUE)
)
def test_any_claims(kind: str, changes: dict[str, Any]) -> None:
    """Any claims are a refusal of the verifier's own, or an identity of an allowed client before its end."""
    rules = replace(RULES, max_auth_age=3600)
    try:
        identity = judge(kind, changes, rules=rules)
    except Unauthenticated:
        return
    told = claims(kind, changes)
    assert identity.client_id in (RULES.clients or ())
    assert told["iss"] in POOL.issuers
    assert told["exp"] + 30 > NOW
    assert set(identity.groups) <= set(told.get("cognito:groups", ()))


@given(st.binary(max_size=200))
def test_any_payload(payload: bytes) -> None:
    """Any bytes are refused with the verifier's own error."""
    with pytest.raises(Unauthenticated):
        cognito_claims.verify(payload, POOL, RULES, now=NOW)
