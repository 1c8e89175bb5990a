"""From a credential to an identity: what is remembered of one never outlives what it stood on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.cognito import AGENT, CLIENT, NOW, POOL, key, mint
from support.offline import OfflineSidecar
from support.sidecar import SECRET_KEY

from auth_server.errors import ErrorCode, Refusal, Unauthenticated
from auth_server.headers import Headers
from auth_server.identity import identify, session_cookie
from auth_server.identity.identify import Identifier
from auth_server.identity.jws import verify
from auth_server.identity.revocations import RevocationKind, Revocations
from auth_server.model import BearerToken, Identity, SessionCookie
from auth_server.stores import open_store

if TYPE_CHECKING:
    from pathlib import Path

    from auth_server.model import Credential

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def sidecar(tmp_path: Path) -> OfflineSidecar:
    return OfflineSidecar(tmp_path)


async def who(sidecar: OfflineSidecar, offered: Credential, *, now: float = NOW, **headers: str) -> Identity:
    """Return who the credential stands for; `headers` have underscores for dashes."""
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return await sidecar.identifier.identify(offered, Headers(named), now=now)


async def code(
    sidecar: OfflineSidecar, offered: Credential, *, now: float = NOW, **headers: str
) -> ErrorCode:
    """Return why the credential stands for nobody."""
    with pytest.raises(Refusal) as caught:
        await who(sidecar, offered, now=now, **headers)
    return caught.value.code


def token(kind: str = "agent", **changes: object) -> BearerToken:
    return BearerToken(mint(kind, changes))


def session(*, age: int = 0) -> SessionCookie:
    made = session_cookie.Session("ada", ("readers",), "sid-1", "ada@example.com")
    return SessionCookie(session_cookie.mint(made, [SECRET_KEY], now=NOW - age))


async def test_a_token_stands_for_its_client(sidecar: OfflineSidecar) -> None:
    """An agent is its app client, and no user."""
    found = await who(sidecar, token())
    assert (found.client_id, found.username, found.scopes) == (AGENT, "", ("mcp/read", "mcp/run"))


async def test_a_session_stands_for_its_user(sidecar: OfflineSidecar) -> None:
    """A person is their name and groups, and no app client."""
    found = await who(sidecar, session())
    assert (found.username, found.groups, found.client_id) == ("ada", ("readers",), "")


async def test_a_token_ends_in_memory_too(sidecar: OfflineSidecar) -> None:
    """A remembered token is refused once it is over, and no second before."""
    agent = token()
    for at in (0, 3599, 3629):
        assert (await who(sidecar, agent, now=NOW + at)).client_id == AGENT
    assert await code(sidecar, agent, now=NOW + 3631) is ErrorCode.TOKEN_EXPIRED


async def test_a_session_ends_in_memory_too(sidecar: OfflineSidecar) -> None:
    """A remembered cookie is refused once it is over."""
    cookie = session()
    assert (await who(sidecar, cookie)).username == "ada"
    assert await code(sidecar, cookie, now=NOW + 28_801) is ErrorCode.SESSION_EXPIRED


async def test_sign_in_age_ends_the_memory(tmp_path: Path) -> None:
    """With MAX_AUTH_AGE a remembered token ends with its sign-in, not with its exp."""
    sidecar = OfflineSidecar(tmp_path, max_auth_age=600)
    agent = token()
    assert (await who(sidecar, agent)).client_id == AGENT
    assert await code(sidecar, agent, now=NOW + 640) is ErrorCode.TOKEN_EXPIRED


async def test_a_credential_counts_only_where_it_belongs(sidecar: OfflineSidecar) -> None:
    """A token is no session and a session no token, also when either is remembered."""
    agent, cookie = token(), session()
    await who(sidecar, agent)
    await who(sidecar, cookie)
    assert await code(sidecar, SessionCookie(agent.raw)) is ErrorCode.SESSION_INVALID
    assert await code(sidecar, BearerToken(cookie.raw)) is ErrorCode.TOKEN_MALFORMED


async def test_a_key_that_left_the_set_vouches_for_nothing(sidecar: OfflineSidecar) -> None:
    """Remembered tokens of a removed key are refused, those of a key that stayed are not."""
    agent, user = token(), token("id")
    assert (await who(sidecar, agent)).client_id == AGENT
    assert (await who(sidecar, user)).username == "ada"
    sidecar.publish("id", "next")
    assert await code(sidecar, agent) is not ErrorCode.TOKEN_EXPIRED
    assert (await who(sidecar, user)).username == "ada"
    await sidecar.keys.aclose()


async def test_another_key_under_the_same_kid(sidecar: OfflineSidecar) -> None:
    """What counts is the key, not its name."""
    agent = token()
    await who(sidecar, agent)
    sidecar.publish_set({"keys": [key("other").jwk(kid=key("access").kid)]})
    assert await code(sidecar, agent) is ErrorCode.INVALID_SIGNATURE


async def test_a_signature_is_computed_once(sidecar: OfflineSidecar, monkeypatch: pytest.MonkeyPatch) -> None:
    """A known token costs no signature, also after a refresh that brought the same keys."""
    computed = []

    def noted(*arguments: object) -> bytes:
        computed.append(arguments)
        return verify(*arguments)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr("auth_server.identity.jws.verify", noted)
    agent = token()
    first = await who(sidecar, agent)
    sidecar.publish("access", "id")
    assert await who(sidecar, agent) is first
    assert len(computed) == 1


async def test_a_refusal_is_not_remembered(sidecar: OfflineSidecar) -> None:
    """A token that came too early counts when its time has come."""
    early = token(nbf=NOW + 60)
    assert await code(sidecar, early) is ErrorCode.TOKEN_NOT_YET_VALID
    assert (await who(sidecar, early, now=NOW + 60)).client_id == AGENT


@pytest.mark.parametrize("named", ["x_user_pool_id", "x_region"])
async def test_naming_a_pool_chooses_and_never_adds(sidecar: OfflineSidecar, named: str) -> None:
    """X-User-Pool-Id and X-Region must agree with a token, known or not; empty, they say nothing."""
    right = {"x_user_pool_id": POOL.id, "x_region": POOL.region}[named]
    for _ in range(2):
        assert await code(sidecar, token(), **{named: "us-east-1"}) is ErrorCode.INVALID_ISSUER
        for good in (right, ""):
            assert (await who(sidecar, token(), **{named: good})).client_id == AGENT
    assert (await who(sidecar, session(), **{named: "us-east-1"})).username == "ada"


async def test_without_a_secret_key_no_session_counts(tmp_path: Path) -> None:
    """No SECRET_KEY: sessions are off, tokens go on."""
    sidecar = OfflineSidecar(tmp_path, secret_keys=())
    with pytest.raises(Unauthenticated, match="SECRET_KEY is not set"):
        await who(sidecar, session())
    assert (await who(sidecar, token())).client_id == AGENT


async def test_what_is_remembered_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens that are never shown again push each other out."""
    monkeypatch.setattr(identify, "CACHE_BYTES", 10_000)
    sidecar = OfflineSidecar(tmp_path)
    for number in range(20):
        await who(sidecar, token(jti=f"jti-{number}"))
    assert 0 < len(sidecar.identifier._known) < 10


async def test_a_revocation_counts_for_what_is_remembered(tmp_path: Path) -> None:
    """Who is known is asked about at each use, so that a revocation takes effect at once."""
    sidecar = OfflineSidecar(tmp_path)
    store = open_store(f"sqlite://{tmp_path}/revocations.sqlite")
    store.prepare()
    revocations = Revocations(store)
    await revocations.look()
    identifier = Identifier(sidecar.settings, sidecar.tokens, revocations)
    user = token("access", username="ada")
    assert (await identifier.identify(user, Headers([]), now=NOW)).client_id == CLIENT
    await revocations.revoke(RevocationKind.USER, "ada", now=NOW)
    with pytest.raises(Unauthenticated) as caught:
        await identifier.identify(user, Headers([]), now=NOW)
    assert caught.value.code is ErrorCode.REVOKED
    await revocations.aclose()
