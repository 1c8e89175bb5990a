"""No stranger's exception gets out, and no credential gets into a text."""

import asyncio
import inspect
import logging
from collections.abc import Callable
from typing import Any

import cryptography.exceptions
import httpx
import itsdangerous
import itsdangerous.exc
import jwt.exceptions
import pytest
from support.cognito import NOW, POOL, RULES, key, mint, token

from auth_server import model
from auth_server.errors import Refusal, Unauthenticated, Unavailable
from auth_server.identity import cognito_claims, jws, keys, session_cookie
from auth_server.identity.jws import Jws
from auth_server.identity.keys import Keys, Timing

SECRET = "k" * 32


def exceptions_of(module: Any) -> list[type[Exception]]:
    """Return every exception class that a module offers."""
    return sorted(
        {found for _, found in inspect.getmembers(module, inspect.isclass) if issubclass(found, Exception)},
        key=lambda found: found.__name__,
    )


def example(kind: type[Exception]) -> Exception:
    """Make an exception of any of these classes, with text that must not be passed on as it is."""
    error = kind.__new__(kind)
    Exception.__init__(error, "raised\nby the library" + "x" * 1000)
    error.__dict__.setdefault("message", "raised")
    return error


def raising(error: BaseException) -> Callable[..., Any]:
    """Return a function that raises."""

    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


FETCHING = [
    *exceptions_of(httpx),
    OSError,
    TimeoutError,
    ValueError,
    UnicodeError,
    RecursionError,
    MemoryError,
    KeyError,
]


@pytest.mark.anyio
@pytest.mark.parametrize("kind", FETCHING, ids=lambda kind: kind.__name__)
async def test_every_exception_of_a_fetch(kind: type[Exception]) -> None:
    """Whatever httpx and its like raise becomes KEYS_UNAVAILABLE, and one bounded line of state."""

    class Broken(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:  # noqa: ARG002
            raise example(kind)

    async with httpx.AsyncClient(transport=Broken()) as client:
        found = Keys([POOL], client=client, timing=Timing(limit=1))
        with pytest.raises(Unavailable):
            await found.get(jws.parse(mint()))
        error = found.state()[0]["last_error"]
        assert error
        assert error.isprintable()
        assert len(error) <= 300
        await found.aclose()


@pytest.mark.parametrize("kind", exceptions_of(itsdangerous.exc), ids=lambda kind: kind.__name__)
def test_every_exception_of_a_cookie(kind: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever itsdangerous raises becomes a refusal of this module's own."""
    monkeypatch.setattr(itsdangerous.URLSafeTimedSerializer, "loads", raising(example(kind)))
    with pytest.raises(Unauthenticated) as caught:
        session_cookie.verify("cookie", [SECRET], max_age=60, now=NOW)
    assert "library" not in caught.value.message


def test_itsdangerous_has_one_root() -> None:
    """Every exception of itsdangerous is under the one class that is caught."""
    for kind in exceptions_of(itsdangerous.exc):
        assert issubclass(kind, itsdangerous.BadData), kind


SIGNATURES = [b"", b"\0", b"\0" * 255, b"\0" * 256, b"\xff" * 256, b"\0" * 257, b"\1" * 12_000]


@pytest.mark.parametrize(
    "signature", SIGNATURES, ids=lambda signature: f"{len(signature)}x{signature[:1].hex()}"
)
@pytest.mark.parametrize("signing_input", [b"", b"a.b", b"\xff" * 10_000])
def test_every_exception_of_a_signature(signature: bytes, signing_input: bytes) -> None:
    """Of PyJWT only the RS256 operation is used, and it says yes or no: none of its exceptions can occur."""
    with pytest.raises(Unauthenticated):
        jws.verify(Jws("kid", b"{}", signing_input, signature), key().private.public_key())


def test_what_is_used_of_pyjwt() -> None:
    """No function of PyJWT that raises PyJWTError is called: claims, headers and keys are read here."""
    used = {
        name
        for module in (jws, cognito_claims, keys, session_cookie)
        for name, value in vars(module).items()
        if is_jwt(value)
    }
    assert used == {"RSAAlgorithm", "_RS256"}
    source = inspect.getsource(jws._RS256.verify)
    assert "except InvalidSignature" in source
    assert not any(kind.__name__ in source for kind in exceptions_of(jwt.exceptions))
    assert exceptions_of(cryptography.exceptions)


def is_jwt(value: object) -> bool:
    """Whether an object comes from PyJWT."""
    module = getattr(value, "__module__", None) or getattr(type(value), "__module__", "")
    return str(module).split(".")[0] == "jwt"


BAD_TOKENS = {
    "expired": mint("access", {"exp": NOW - 900}),
    "foreign": mint("access", {"iss": "https://mallory.example"}),
    "client": mint("access", {"client_id": "other"}),
    "token_use": mint("access", {"token_use": "x"}),
    "aud": mint("access", {"aud": "https://other.example"}),
    "groups": mint("access", {"cognito:groups": "x"}),
    "exp": mint("access", {"exp": "soon"}),
    "signature": mint("access", signer=key("mallory"), header={"kid": key().kid}),
    "alg": mint("access", header={"alg": "HS256"}),
    "jwk": mint("access", header={"jwk": {}}),
    "payload": token(b"[1]"),
    "header": token(b"{}", header=b"{"),
    "parts": mint() + ".x",
    "padding": mint() + "=",
    "long": mint() * 30,
    "good": mint("access"),
}


@pytest.mark.parametrize("name", BAD_TOKENS)
def test_no_token_in_a_text(name: str) -> None:
    """No part of a token is in a refusal, its causes, or the nouns that carry a token."""
    raw = BAD_TOKENS[name]
    texts = [repr(model.BearerToken(raw))]
    try:
        parsed = jws.parse(raw)
        texts.append(repr(parsed))
        cognito_claims.verify(jws.verify(parsed, key().private.public_key()), POOL, RULES, now=NOW)
    except Refusal as refusal:
        assert name != "good"
        texts += [str(refusal), repr(refusal), *map(repr, refusal.args), repr(refusal.__cause__)]
    for part in raw.split("."):
        assert not any(part[start : start + 16] in text for text in texts for start in range(len(part) - 15))


@pytest.mark.parametrize("max_age", [60, -1])
def test_no_cookie_in_a_text(max_age: int) -> None:
    """No part of a cookie, nor its key, is in a refusal or in the noun that carries it."""
    cookie = session_cookie.mint(session_cookie.Session("ada", ("readers",), "sid"), [SECRET], now=NOW)
    texts = [repr(model.SessionCookie(cookie))]
    with pytest.raises(Unauthenticated) as caught:
        session_cookie.verify(cookie if max_age < 0 else cookie[:-1], [SECRET], max_age=max_age, now=NOW)
    texts += [repr(caught.value), repr(caught.value.__cause__)]
    assert not any(part in text for text in texts for part in [*cookie.split("."), SECRET])


@pytest.mark.anyio
async def test_no_token_in_the_log_of_the_keys(caplog: pytest.LogCaptureFixture) -> None:
    """A failing fetch is logged without the token that asked for it."""
    with caplog.at_level(logging.DEBUG, "auth_server"):
        found = Keys([POOL])
        raw = mint()
        with pytest.raises(Unavailable) as caught:
            await found.get(jws.parse(raw))
        await found.aclose()
        await asyncio.sleep(0)
    assert caplog.records
    texts = [str(vars(record)) for record in caplog.records] + [repr(caught.value)]
    assert not any(part in text for text in texts for part in [*raw.split("."), key().kid])
