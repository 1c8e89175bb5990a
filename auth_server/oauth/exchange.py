"""One HTTP exchange, bounded in time and size: what this package asks of servers, beside their keys."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

TIMEOUT = 10.0  # seconds for one exchange, from the connection to the last byte
MAX_BODY = 256 * 1024


class ExchangeError(Exception):
    """There is no answer; the text names the address and the remedy, and holds nothing that was sent."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered."""

    status: int
    body: bytes = field(repr=False)


async def exchange(  # noqa: PLR0913 - what a request is made of
    method: str,
    url: str,
    *,
    form: Mapping[str, str] | None = None,
    json: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT,  # noqa: ASYNC109 - of the whole, which callers choose
) -> Answer:
    """Send one request and return the whole answer; raises ExchangeError. Redirects are not followed."""
    # As for the keys: what is plain http is near, and no proxy may come between.
    trust_env = url.startswith("https:")
    given = {"Accept": "application/json"} | dict(headers or {})
    try:
        async with (
            asyncio.timeout(timeout),
            httpx.AsyncClient(
                timeout=timeout, trust_env=trust_env, follow_redirects=False, verify=certificates()
            ) as client,
            client.stream(method, url, data=form, json=json, headers=given) as response,
        ):
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_BODY:
                    raise ExchangeError(f"{url} answered with more than {MAX_BODY} bytes")
    except TimeoutError:
        raise ExchangeError(f"{url} did not answer within {timeout:.0f} s; is the network up?") from None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        # The type alone: texts of the HTTP library may repeat the request.
        raise ExchangeError(
            f"{url} cannot be reached ({type(error).__name__}); check the address and the network"
        ) from None
    return Answer(response.status_code, bytes(body))


@cache
def certificates() -> ssl.SSLContext:
    """Return whom this machine trusts: reading it takes 40 ms, in which nobody else is answered."""
    return httpx.create_ssl_context()
