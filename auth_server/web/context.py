"""What the endpoints share; one request as it came, with the cookies that its answer will set."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from auth_server import contract
from auth_server.errors import ErrorCode, Forbidden, InvalidRequest, TooLarge, Unauthenticated
from auth_server.identity.credentials import cookies, credential
from auth_server.validate.responses import About

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from auth_server.config.settings import Settings
    from auth_server.headers import Headers
    from auth_server.identity.groups import SessionGroups
    from auth_server.identity.identify import Identifier
    from auth_server.identity.revocations import Revocations
    from auth_server.identity.tokens import Tokens
    from auth_server.model import Identity
    from auth_server.oauth.provider import Provider
    from auth_server.policy.watcher import PolicyFile

MAX_BODY = 64 * 1024


@dataclass(frozen=True, slots=True)
class Web:
    """What the endpoints work with."""

    settings: Settings
    tokens: Tokens
    identifier: Identifier
    policy_file: PolicyFile
    provider: Provider
    revocations: Revocations
    groups: SessionGroups | None = None

    @property
    def can_sign_in(self) -> bool:
        """Whether people can sign in: there is an app client for it, and a key that signs their cookie."""
        return bool(self.settings.client_id and self.settings.secret_keys)

    @property
    def is_secure(self) -> bool:
        """Whether browsers come over https."""
        return self.settings.gateway_url.startswith("https:")

    @property
    def host(self) -> str:
        """The gateway as people know it: its public address without the scheme."""
        return urlsplit(self.settings.gateway_url).netloc

    @property
    def session_cookie(self) -> str:
        """The name under which browsers get the session."""
        return contract.HOST_SESSION_COOKIE if self.is_secure else contract.SESSION_COOKIE


@dataclass(frozen=True, slots=True)
class WebRequest:
    """One request, read with care, at one moment."""

    web: Web
    starlette: Request
    now: float
    headers: Headers
    _set: list[tuple[str, str, int, str]] = field(default_factory=list, repr=False)

    @property
    def method(self) -> str:
        """GET, POST or DELETE."""
        return str(self.starlette.method)

    @property
    def is_person(self) -> bool:
        """Whether somebody is looking at this through a browser: programs get JSON."""
        return "text/html" in ",".join(self.headers.every(contract.ACCEPT)).lower()

    @property
    def about(self) -> About:
        """What an error answer says of this request."""
        issuer = self.web.settings.pools[0].issuers[0]
        request_id = "".join(self.headers.every(contract.REQUEST_ID)[:1])[:128]
        return About(contract.encode(request_id), "", f"{issuer}/.well-known/openid-configuration")

    def query(self) -> dict[str, str]:
        """Return the query's parameters; raises InvalidRequest where one comes twice."""
        try:
            pairs = parse_qsl(self.starlette.url.query, keep_blank_values=True, max_num_fields=50)
        except ValueError:
            raise InvalidRequest("the query holds too much to be read") from None
        values = dict(pairs)
        if len(values) < len(pairs):
            raise InvalidRequest("a parameter of the query was sent twice; send it once")
        return values

    def cookies(self) -> list[tuple[str, str]]:
        """Return all cookies, as they came."""
        return cookies(self.headers.every(contract.COOKIE))

    async def body(self) -> bytes:
        """Return the body; raises TooLarge."""
        body = bytearray()
        async for chunk in self.starlette.stream():
            body += chunk
            if len(body) > MAX_BODY:
                raise TooLarge(f"the body is larger than {MAX_BODY} bytes")
        return bytes(body)

    async def who(self) -> Identity:
        """Return who is asking, by token or cookie, as `/validate` would; raises a Refusal."""
        return await self.web.identifier.identify(credential(self.headers), self.headers, now=self.now)

    async def signed_in(self) -> Identity | None:
        """Return who is signed in in this browser; None where nobody is."""
        try:
            return await self.who()
        except (Unauthenticated, InvalidRequest):
            return None

    def check_origin(self) -> None:
        """Refuse what another site's page sends in this browser's name (before anything changes).

        A page cannot leave out or choose `Origin` and `Sec-Fetch-Site`; programs send neither.
        """
        origin = self.headers.get(contract.ORIGIN)
        site = self.headers.get(contract.SEC_FETCH_SITE)
        if origin not in {None, self.web.settings.gateway_url} or (
            origin is None and site not in {None, "same-origin", "none"}
        ):
            raise Forbidden(ErrorCode.ORIGIN_MISMATCH, "this is not accepted from pages of other origins")

    @property
    def elsewhere(self) -> bool:
        """Whether the browser came by another name of the gateway's host than the one Cognito returns to."""
        host = self.headers.get(contract.HOST)
        own = urlsplit(self.web.settings.gateway_url)
        return bool(host) and urlsplit(f"{own.scheme}://{host}").netloc.lower() != own.netloc

    def keep_cookie(self, name: str, value: str, *, max_age: float, path: str = "/") -> None:
        """Set a cookie with the answer, whatever that will be."""
        self._set.append((name, value, math.floor(max_age), path))

    def drop_cookie(self, name: str, *, path: str = "/") -> None:
        """Take a cookie away with the answer."""
        self._set.append((name, "", 0, path))

    def drop_session(self) -> None:
        """Take the session's cookie away, under each name that this browser has it by."""
        names = {name for name, _ in self.cookies()} & {contract.SESSION_COOKIE, contract.HOST_SESSION_COOKIE}
        for name in sorted(names):
            self.drop_cookie(name)

    def finish(self, response: Response) -> Response:
        """Put the cookies on the answer."""
        for name, value, max_age, path in self._set:
            response.set_cookie(
                name,
                value,
                max_age=max_age,
                path=path,
                secure=self.web.is_secure,
                httponly=True,
                samesite="lax",
            )
        return response
