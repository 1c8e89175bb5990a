import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.cognito import base64url, claims, key, mint, token

from auth_server.errors import ErrorCode, Unauthenticated
from auth_server.identity import jws


def refused(raw: str, code: ErrorCode, **options: int) -> str:
    """Return the message of the refusal that this token meets."""
    with pytest.raises(Unauthenticated) as caught:
        jws.verify(jws.parse(raw, **options), key().private.public_key())
    assert caught.value.code is code
    return caught.value.message


def test_a_signed_token_gives_its_payload() -> None:
    """The payload comes back as the bytes that were signed."""
    parsed = jws.parse(mint())
    assert parsed.kid == key().kid
    assert json.loads(jws.verify(parsed, key().private.public_key())) == claims()


def test_the_length_is_judged_before_anything_else() -> None:
    """A token over the limit is refused, at the limit it is read."""
    raw = mint()
    jws.parse(raw, max_length=len(raw))
    assert "longer" in refused(raw, ErrorCode.TOKEN_MALFORMED, max_length=len(raw) - 1)
    assert "longer" in refused("é" * 16385, ErrorCode.TOKEN_MALFORMED)


@pytest.mark.parametrize("raw", ["", ".", "a.b", "a.b.c.d", "a.b.c.d.e", "…", "a.b.\ud800", "\x00.\x00.\x00"])
def test_shapes_that_are_no_jws(raw: str) -> None:
    """Anything but three parts of ASCII is malformed."""
    refused(raw, ErrorCode.TOKEN_MALFORMED)


@pytest.mark.parametrize("part", [0, 1, 2])
@pytest.mark.parametrize("spoil", ["{}=", "{}==", "{}\n", " {}", "{}+", "{}/", "{}A", "{}AAAAA", "{}%3D"])
def test_only_one_spelling_of_a_part(part: int, spoil: str) -> None:
    """Padding, other alphabets, white space and lengths that base64 cannot have are refused."""
    parts = token(b"abc").split(".")  # three bytes leave no unused bits
    parts[part] = spoil.format(parts[part])
    with pytest.raises(Unauthenticated):
        jws.verify(jws.parse(".".join(parts)), key().private.public_key())


@given(st.text(alphabet="AQgw09-_+/=! \n", max_size=12) | st.text(max_size=8))
def test_base64url_is_what_its_bytes_are_written_as(text: str) -> None:
    """A text is read only if its bytes, written as base64url, give that very text."""
    try:
        raw = jws.decode_base64url(text)
    except ValueError:
        return
    assert base64url(raw) == text


def test_a_header_is_judged_alike_each_time() -> None:
    """What is remembered of a header is the key that it names: one that was refused is refused again."""
    raw, bad = mint(), mint(header={"jku": "https://mallory.example/jwks.json"})
    assert [jws.parse(raw).kid for _ in range(2)] == [key().kid] * 2
    for _ in range(2):
        refused(bad, ErrorCode.TOKEN_MALFORMED)


def test_unused_bits_must_be_zero() -> None:
    """Two spellings of one signature are one too many: a deny-list could be walked around."""
    raw = mint()
    last = raw[-1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    spelled_otherwise = raw[:-1] + alphabet[alphabet.index(last) + 1]
    assert "base64url" in refused(spelled_otherwise, ErrorCode.TOKEN_MALFORMED)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"{",
        b"[]",
        b'"RS256"',
        b'{"alg": "RS256", "kid": "a", "kid": "b"}',
        b'{"alg": "none", "alg": "RS256", "kid": "a"}',
        b'{"alg": "RS256", "kid": "a", "x": NaN}',
        b'{"alg": "RS256", "kid": "a", "x": ' + b"[" * 5_000,
        '{"alg": "RS256", "kid": "a"}'.encode("utf-16"),
    ],
)
def test_headers_that_are_no_object(header: bytes) -> None:
    """The header is one JSON object with unique names, or the token is malformed."""
    refused(token(b"{}", header=header), ErrorCode.TOKEN_MALFORMED)


@pytest.mark.parametrize("kid", [None, "", 1, ["a"], {"a": 1}, True, "k" * 257])
def test_kid_must_be_a_string_with_text(kid: Any) -> None:
    """A key is named by a string of at most 256 characters."""
    refused(mint(header={"kid": kid}), ErrorCode.TOKEN_MALFORMED)


@pytest.mark.parametrize(
    "alg", ["none", "None", "HS256", "RS384", "PS256", "ES256", "EdDSA", "rs256", "RS256 ", ""]
)
def test_only_rs256(alg: str) -> None:
    """Any other algorithm is refused by its name, whatever the signature."""
    refused(mint(header={"alg": alg}), ErrorCode.INVALID_SIGNATURE)


@pytest.mark.parametrize("alg", [None, 256, ["RS256"], {"RS256": 1}, True])
def test_alg_must_be_a_string(alg: Any) -> None:
    """An algorithm that is no string is malformed."""
    refused(mint(header={"alg": alg}), ErrorCode.TOKEN_MALFORMED)


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"], "exp": 1},
        {"crit": []},
        {"crit": None},
        {"b64": True},
        {"crit": ["b64"], "b64": False},
        {"jwk": key("mallory").jwk()},
        {"jku": "https://mallory.example/jwks.json"},
        {"x5u": "https://mallory.example/x5u.pem"},
        {"x5c": ["MIIB"]},
    ],
)
def test_extensions_and_embedded_keys_are_refused(header: dict[str, Any]) -> None:
    """What would change the meaning of a signature, or bring its own key, is refused even if well signed."""
    assert f"“{next(iter(header))}”" in refused(mint(header=header), ErrorCode.TOKEN_MALFORMED)


@pytest.mark.parametrize("header", [{"typ": "JWT"}, {"typ": "at+jwt"}, {"x5t": "abc"}, {"cty": "JWT"}])
def test_other_headers_do_not_matter(header: dict[str, Any]) -> None:
    """Names that bear on neither key nor signature are ignored (RFC 7515, section 4)."""
    assert jws.verify(jws.parse(mint(header=header)), key().private.public_key())


def test_a_signature_of_another_key() -> None:
    """A key that did not sign the token does not verify it."""
    refused(mint(signer=key("mallory"), header={"kid": key().kid}), ErrorCode.INVALID_SIGNATURE)


@pytest.mark.parametrize("signature", [b"", b"\0", b"\0" * 256, b"\xff" * 256, b"\1" * 257, b"\1" * 4_000])
def test_nonsense_for_a_signature(signature: bytes) -> None:
    """A signature of any length and content that the key did not make is INVALID_SIGNATURE, no crash."""
    head, payload, _ = mint().split(".")
    refused(f"{head}.{payload}.{base64url(signature)}", ErrorCode.INVALID_SIGNATURE)


def test_a_changed_payload() -> None:
    """A signature holds for one payload."""
    head, _, signature = mint().split(".")
    _, payload, _ = mint("access").split(".")
    refused(f"{head}.{payload}.{signature}", ErrorCode.INVALID_SIGNATURE)


def test_a_parsed_token_shows_nothing_of_itself() -> None:
    """The repr of a token taken apart holds its kid alone."""
    raw = mint()
    shown = repr(jws.parse(raw))
    assert key().kid in shown
    assert "client_id" not in shown
    assert not any(part in shown for part in raw.split("."))


@given(st.text(max_size=300) | st.from_regex(r"[\w-]{0,40}\.[\w-]{0,40}\.[\w-]{0,40}", fullmatch=True))
def test_any_text(raw: str) -> None:
    """Any text is refused with the verifier's own error."""
    refused_somehow(raw)


@given(st.binary(max_size=120))
def test_any_header(header: bytes) -> None:
    """Any bytes for a header are refused with the verifier's own error."""
    refused_somehow(f"{base64url(header)}.e30.AAAA")


@given(
    st.dictionaries(
        st.sampled_from(["alg", "kid", "typ", "crit", "jwk", "b64"]),
        st.none()
        | st.booleans()
        | st.integers()
        | st.text(max_size=5)
        | st.just("RS256")
        | st.lists(st.text(max_size=3)),
    ),
)
def test_any_members(members: dict[str, Any]) -> None:
    """Any members of a header are refused with the verifier's own error, as nothing here is signed."""
    refused_somehow(f"{base64url(json.dumps(members).encode())}.e30.AAAA")


@given(st.integers(min_value=0), st.integers(1, 255))
def test_any_change_of_one_character(position: int, change: int) -> None:
    """A good token with one character changed is refused."""
    raw = mint()
    position %= len(raw)
    other = chr((ord(raw[position]) + change) % 256)
    refused_somehow(raw[:position] + other + raw[position + 1 :])


def refused_somehow(raw: str) -> None:
    """Expect a refusal and nothing else."""
    with pytest.raises(Unauthenticated):
        jws.verify(jws.parse(raw), key().private.public_key())
