"""An agent's own identity: tokens by the client credentials grant, as an auth plug-in."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from auth_server.client.errors import CognitoAuthenticationError
from auth_server.client.plug import Auth
from auth_server.config import values
from auth_server.config.settings import environment, some_settings
from auth_server.errors import ConfigurationError, Mistake
from auth_server.oauth import cognito

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
    from typing import Self

    from auth_server.config.settings import Settings

MARGIN = 60.0  # seconds before its end that a token is replaced; a tenth of its life, where that is less
UNKNOWN_LIFE = 300  # seconds that a token counts where Cognito does not say; the shortest it can be set to
PATIENCE = 60.0  # seconds in which a second refusal in a row fetches no third token: each one is billed

_UNAUTHORIZED = 401

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Held:
    """A token in use; `replaces` tells that it was fetched because another had been refused."""

    access_token: str = field(repr=False)
    expires_in: int
    fetched_at: float
    replaces: bool

    @property
    def _life(self) -> float:
        return self.expires_in or UNKNOWN_LIFE

    @property
    def ends_at(self) -> float:
        """When it stops to count, by the clock that `fetched_at` is of."""
        return self.fetched_at + self._life

    @property
    def renew_at(self) -> float:
        """When it is time for the next one."""
        return self.ends_at - min(MARGIN, self._life / 10)


class CognitoClientCredentials(Auth):
    """Sends an agent's access token with each request (RFC 6749, section 4.4; RFC 6750, section 2.1).

    The token is fetched when it is first needed, once for all who wait for it, be they threads or tasks of
    any event loop; it is kept in memory until shortly before its end. After a 401 a new one is fetched and
    the request sent again, once. Requests fail with CognitoAuthenticationError where there is no token.

    The token endpoint is `token_url`, else what the discovery document of the pool says; `issuers` are the
    forms of the pool's issuer. Without `scopes`, a token has all that the app client may have. The secret
    goes into the form, percent-encoded, where every character has one reading; `client_secret_basic` puts it
    into HTTP Basic, encoded as RFC 6749 (section 2.3.1) has it.
    """

    def __init__(  # noqa: PLR0913 - the parts of the grant
        self,
        client_id: str,
        client_secret: str,
        *,
        token_url: str = "",
        issuers: Sequence[str] = (),
        scopes: Sequence[str] = (),
        auth_method: cognito.AuthMethod = "client_secret_post",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not (client_id and client_secret and (token_url or issuers)):
            raise ValueError("needs a client id, its secret, and a token_url or issuers")
        self.client_id = client_id
        self._secret = client_secret
        self._url = token_url
        self._issuers = tuple(issuers)
        self._scopes = tuple(scopes)
        self._auth_method = auth_method
        self._clock = clock
        self._lock = threading.Lock()  # of the next three; held for assignments alone
        self._held: Held | None = None
        self._accepted: Held | None = None
        self._fetching: Future[Held | cognito.CognitoError] | None = None

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None, *, scopes: Sequence[str] = ()) -> Self:
        """Make one from the settings that `auth-server token` reads; by default, environment and .env.

        Raises ConfigurationError.
        """
        environ = environment() if environ is None else environ
        settings = agent_settings(environ)
        missing = [
            Mistake(name, f"is not set; {remedy}")
            for name, value, remedy in (
                ("COGNITO_CLIENT_ID", settings.client_id, "give the agent's app client"),
                ("COGNITO_CLIENT_SECRET", settings.client_secret, "client credentials need one"),
            )
            if not value
        ]
        if missing:
            raise ConfigurationError(missing)
        return cls(
            settings.client_id,
            settings.client_secret,
            token_url=f"{settings.domain}/oauth2/token" if settings.domain else "",
            issuers=settings.pools[0].issuers,
            scopes=scopes,
        )

    def __repr__(self) -> str:
        where = self._url or self._issuers[0]
        return f"{type(self).__name__}({self.client_id!r}, {where!r})"

    def token(self) -> Held:
        """Return a token that counts now; raises CognitoAuthenticationError."""
        return self._wait(self._ask())

    async def atoken(self) -> Held:
        """Return a token that counts now, without blocking the event loop; as `token` otherwise."""
        return await self._await(self._ask())

    def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        """Send one request of a sync client."""
        request.read()  # kept, so that it can be sent again
        held = self._wait(self._ask())
        response = yield _signed(request, held)
        if self._is_refused(held, response.status_code):
            held = self._wait(self._ask(refused=held))
            response = yield _signed(request, held)
            self._is_refused(held, response.status_code)

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        """Send one request of an asyncio client."""
        await request.aread()
        held = await self._await(self._ask())
        response = yield _signed(request, held)
        if self._is_refused(held, response.status_code):
            held = await self._await(self._ask(refused=held))
            response = yield _signed(request, held)
            self._is_refused(held, response.status_code)

    def _is_refused(self, held: Held, status: int) -> bool:
        """Remember how it went, and tell whether another token should be tried."""
        with self._lock:
            if status != _UNAUTHORIZED:
                self._accepted = held
                return False
            return (
                held is not self._held  # somebody else was refused first, and there is a new one already
                or not held.replaces
                or held is self._accepted
                or self._clock() >= held.fetched_at + PATIENCE
            )

    def _ask(self, refused: Held | None = None) -> Held | Future[Held | cognito.CognitoError]:
        """Return the token in use, or the fetch that all wait for."""
        with self._lock:
            held = self._held
            if held is not None and held is not refused and self._clock() < held.renew_at:
                return held
            if self._fetching is None:
                fetching: Future[Held | cognito.CognitoError] = Future()
                fetching.set_running_or_notify_cancel()  # from here on, who stops waiting cancels nothing
                # A thread with an event loop of its own: whoever waits may be in any loop, or in none.
                threading.Thread(
                    target=self._fetch, args=(fetching, refused is not None), daemon=True
                ).start()
                self._fetching = fetching
            return self._fetching

    def _fetch(self, fetching: Future[Held | cognito.CognitoError], replaces: bool) -> None:  # noqa: FBT001
        outcome: Held | cognito.CognitoError | BaseException
        try:
            outcome = asyncio.run(self._get(replaces=replaces))
        except BaseException as error:  # noqa: BLE001 - nobody else would tell those who wait
            outcome = error
        with self._lock:
            self._fetching = None
            if isinstance(outcome, Held):
                self._held = outcome
            elif not replaces and self._held is not None and self._clock() < self._held.ends_at:
                outcome = self._held  # renewed before its time, and it still counts
        if isinstance(outcome, Held | cognito.CognitoError):
            fetching.set_result(outcome)
        else:
            fetching.set_exception(outcome)

    async def _get(self, *, replaces: bool) -> Held:
        if not self._url:
            self._url = await cognito.discover_token_endpoint(self._issuers)
        if values.is_exposed(self._url):
            log.warning("%s is http on another machine: the secret travels in clear text", self._url)
        started = self._clock()
        got = await cognito.client_credentials(
            self._url, self.client_id, self._secret, self._scopes, self._auth_method
        )
        return Held(got.access_token, got.expires_in, started, replaces)

    def _wait(self, asked: Held | Future[Held | cognito.CognitoError]) -> Held:
        return asked if isinstance(asked, Held) else _opened(asked.result())

    async def _await(self, asked: Held | Future[Held | cognito.CognitoError]) -> Held:
        return asked if isinstance(asked, Held) else _opened(await asyncio.wrap_future(asked))


def agent_settings(environ: Mapping[str, str], *, token_url: str | None = None) -> Settings:
    """Return what getting a token needs, so that mistakes in other settings do not matter.

    Raises ConfigurationError, also where neither a pool nor a domain says where the token endpoint is.
    """
    wanted = ["COGNITO_CLIENT_ID", "COGNITO_CLIENT_SECRET"]
    if token_url is None:
        wanted += ["COGNITO_DOMAIN"]
        domain = environ.get("COGNITO_DOMAIN", "")
        if "." not in domain and "://" not in domain:
            # Cognito's own domains hold the pool's region, and the discovery document is the pool's.
            wanted += ["COGNITO_USER_POOL_ID", "AWS_REGION", "COGNITO_ISSUER"]
            if not {"COGNITO_USER_POOL_ID", "COGNITO_USER_POOL_ID_FILE"} & environ.keys():
                message = "is not set, and nothing else says where the token endpoint is; set it"
                raise ConfigurationError([Mistake("COGNITO_USER_POOL_ID", message)])
    return some_settings(environ, *wanted)


def _opened(outcome: Held | cognito.CognitoError) -> Held:
    """Return the token, or raise: an error of its own for each who waits, since tracebacks grow."""
    if isinstance(outcome, Held):
        return outcome
    raise CognitoAuthenticationError(str(outcome), code=outcome.code) from None


def _signed(request: Any, held: Held) -> Any:
    request.headers["Authorization"] = f"Bearer {held.access_token}"
    return request
