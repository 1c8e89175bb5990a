"""The keys of the trusted pools: fetched and refreshed beside the requests, so that none waits for a network.

Each pool has a key set of its own, with its own fetches, back-off and state. What a fetch brings replaces the
old keys only if it holds a usable one; otherwise the last good set stays in force until `max_stale`.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from auth_server import strict_json
from auth_server.errors import ErrorCode, Unauthenticated, Unavailable
from auth_server.identity import cognito_claims
from auth_server.identity.jwks import usable_keys
from auth_server.oauth.exchange import certificates

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from auth_server.identity.jws import Jws, PublicKey
    from auth_server.model import Pool

log = logging.getLogger("auth_server")

MAX_BODY = 256 * 1024
MAX_REMEMBERED = 1024
FIRST_RETRY = 1.0
LAST_RETRY = 60.0


class FetchError(Exception):
    """The endpoint answered, but with no key set that could be read."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The times of a key set, in seconds, and the clock that they are measured with."""

    refresh: float = 300  # a set younger than this is not asked for again
    max_stale: float = 86400  # a set older than this is not used
    limit: float = 3  # for one fetch, from the connection to the last byte
    cooldown: float = 10  # between two fetches that unknown kids may cause
    first_retry: float = FIRST_RETRY
    last_retry: float = LAST_RETRY
    clock: Callable[[], float] = time.monotonic

    def until_refresh(self) -> float:
        """Return when to ask again after a success; spread, so that workers do not ask in step."""
        return self.refresh * random.uniform(0.9, 1)  # noqa: S311 - spread, not secrecy

    def until_retry(self, failures: int) -> float:
        """Return when to ask again after that many failures in a row: doubling, bounded, spread."""
        doubled = self.first_retry * 2.0 ** min(failures - 1, 16)
        spread = min(doubled, self.last_retry) * random.uniform(0.8, 1.2)  # noqa: S311 - spread, not secrecy
        return min(max(spread, self.first_retry), self.last_retry)


class Keys:
    """The key sets of all trusted pools."""

    def __init__(
        self,
        pools: Sequence[Pool],
        *,
        refresh: float = 300,
        max_stale: float = 86400,
        timing: Timing | None = None,
        client: httpx.AsyncClient | None = None,
    ) -> None:
        """Take the pools; nothing is fetched before `run` or the first `get`.

        `timing` overrides `refresh` and `max_stale`. A `client` that is given is the caller's to close.
        """
        timing = timing or Timing(refresh=refresh, max_stale=max_stale)
        self._sets = [KeySet(pool, timing, client) for pool in pools]
        self._by_issuer = {issuer: key_set for key_set in self._sets for issuer in key_set.pool.issuers}
        self._by_pool = {key_set.pool.id: key_set for key_set in self._sets}
        self._only = self._sets[0] if len(self._sets) == 1 else None

    async def run(self) -> None:
        """Fetch at once and keep fresh, until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for key_set in self._sets:
                    group.create_task(key_set.keep_fresh())
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """End fetches that are under way and close the connections."""
        for key_set in self._sets:
            await key_set.aclose()

    async def get(self, jws: Jws) -> tuple[PublicKey, Pool]:
        """Return the key that this token names, and the pool whose key it is; waits for one that is not here.

        The pool is the one that the token says issued it, if that is a trusted one: only then may an unknown
        kid cause a fetch. A key of a trusted pool under a foreign issuer is returned with that key's pool, so
        that the claim is judged after the signature. Raises Unauthenticated (UNKNOWN_KEY) where there is no
        such key, Unavailable (KEYS_UNAVAILABLE) where no keys of that pool are known.
        """
        found = self.known(jws)
        if found is None:
            named = self._by_issuer[cognito_claims.unverified_issuer(jws.payload) or ""]
            found = await named.search(jws.kid), named.pool
        return found

    def known(self, jws: Jws) -> tuple[PublicKey, Pool] | None:
        """Return what `get` does, None where it would wait; raises Unauthenticated as it does."""
        if self._only is not None and (key := self._only.key(jws.kid)) is not None:
            return key, self._only.pool
        named = self._by_issuer.get(cognito_claims.unverified_issuer(jws.payload) or "")
        if named is None:
            return self._of_any(jws.kid)
        key = named.key(jws.kid)
        return None if key is None else (key, named.pool)

    def holds(self, pool: Pool, kid: str, key: PublicKey | None) -> bool:
        """Tell whether this very key is still in that pool's set, and the set not too old to use."""
        key_set = self._by_pool.get(pool.id)
        return key_set is not None and key is not None and key_set.key(kid) is key

    def state(self) -> list[dict[str, Any]]:
        """Return what /readyz and the metrics say of each pool's keys."""
        return [key_set.state() for key_set in self._sets]

    @property
    def ready(self) -> bool:
        """Whether some pool's tokens can be verified. One pool that is down does not stop the others."""
        return any(key_set.has_keys for key_set in self._sets)

    def _of_any(self, kid: str) -> tuple[PublicKey, Pool]:
        for key_set in self._sets:
            key = key_set.key(kid)
            if key is not None:
                return key, key_set.pool
        raise Unauthenticated(ErrorCode.UNKNOWN_KEY, "the token is not from a trusted pool")


@dataclass(slots=True)
class _Counts:
    fetches: int = 0
    failures: int = 0  # in a row
    unknown_kids: int = 0
    last_error: str | None = None


@dataclass(slots=True)
class KeySet:
    """The keys of one pool, and everything that is known about fetching them."""

    pool: Pool
    timing: Timing
    client: httpx.AsyncClient | None
    _own_client: httpx.AsyncClient | None = None
    _keys: dict[str, PublicKey] = field(default_factory=dict)
    _fetched_at: float = -math.inf
    _next: float = -math.inf  # no fetch of its own accord before this
    _search_from: float = -math.inf  # no fetch for an unknown kid before this
    _fetch: asyncio.Task[None] | None = None
    _absent: OrderedDict[str, tuple[int, float]] = field(default_factory=OrderedDict)
    _skipped: list[str] = field(default_factory=list)
    _counts: _Counts = field(default_factory=_Counts)

    @property
    def has_keys(self) -> bool:
        """Whether there are keys that are not too old to use."""
        return self.timing.clock() - self._fetched_at <= self.timing.max_stale

    def key(self, kid: str) -> PublicKey | None:
        """Return the key of that id, None where it is unknown or too old. Never waits."""
        key = self._keys.get(kid)
        return key if key is not None and self.has_keys else None

    async def search(self, kid: str) -> PublicKey:
        """Look for a key that is not here: causes at most one fetch, and waits for at most the one under way.

        Raises Unauthenticated where it is not in the set, Unavailable where there is no set.
        """
        if self.has_keys:
            self._counts.unknown_kids += 1
            await self._search_new(kid)
        elif self._is_fetching or self.timing.clock() >= self._next:
            # Waiting helps at a start that is a moment old; in an outage, answer at once.
            first = self._counts.failures == 0
            fetch = self._start()
            if first:
                await asyncio.wait([fetch])
        key = self.key(kid)
        if key is not None:
            return key
        if self.has_keys:
            raise Unauthenticated(
                ErrorCode.UNKNOWN_KEY,
                f"the token is signed with a key that is not in the key set of the pool {self.pool.id}",
            )
        wait = min(max(self._next - self.timing.clock(), FIRST_RETRY), LAST_RETRY)
        raise Unavailable(
            ErrorCode.KEYS_UNAVAILABLE,
            f"the keys of the pool {self.pool.id} are not known yet; try again",
            retry_after=math.ceil(wait),
        )

    async def keep_fresh(self) -> None:
        """Fetch whenever it is time, until cancelled."""
        while True:
            if self.timing.clock() >= self._next:
                await asyncio.wait([self._start()])
            await asyncio.sleep(max(self._next - self.timing.clock(), 0.01))

    async def aclose(self) -> None:
        """End a fetch that is under way and close the connections."""
        if self._fetch is not None:
            self._fetch.cancel()
            await asyncio.wait([self._fetch])
            self._fetch = None
        if self._own_client is not None:
            await self._own_client.aclose()
            self._own_client = None

    def state(self) -> dict[str, Any]:
        """Return the set's state as plain values."""
        known = self._fetched_at > -math.inf
        return {
            "pool": self.pool.id,
            "keys": len(self._keys) if self.has_keys else 0,
            "age_seconds": round(self.timing.clock() - self._fetched_at, 1) if known else None,
            "last_error": self._counts.last_error,
            "fetches": self._counts.fetches,
            "unknown_kids": self._counts.unknown_kids,
        }

    @property
    def _is_fetching(self) -> bool:
        return self._fetch is not None and not self._fetch.done()

    async def _search_new(self, kid: str) -> None:
        now = self.timing.clock()
        misses, not_before = self._absent.get(kid, (0, -math.inf))
        if now < not_before:
            return
        if not self._is_fetching:
            if now < self._search_from:
                return
            self._search_from = now + self.timing.cooldown
        await asyncio.wait([self._start()])
        if self._counts.last_error is None and kid not in self._keys:
            self._remember(kid, misses + 1)

    def _remember(self, kid: str, misses: int) -> None:
        """Note that the set lacks this kid: one that keeps coming is looked for ever more rarely."""
        pause = min(self.timing.cooldown * 2.0 ** (misses - 1), self.timing.last_retry)
        self._absent[kid] = (misses, self.timing.clock() + pause)
        self._absent.move_to_end(kid)
        if len(self._absent) > MAX_REMEMBERED:
            self._absent.popitem(last=False)

    def _start(self) -> asyncio.Task[None]:
        """Start a fetch, or return the one under way: it is the set's, not a request's, and never fails."""
        if self._fetch is None or self._fetch.done():
            self._fetch = asyncio.create_task(self._update())
        return self._fetch

    async def _update(self) -> None:
        self._counts.fetches += 1
        try:
            keys, skipped = usable_keys(await self._document())
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the old keys stay and the next try comes
            self._failed(_reason(error, self.timing.limit))
        else:
            self._succeeded(keys, skipped)

    def _succeeded(self, keys: dict[str, PublicKey], skipped: list[str]) -> None:
        now = self.timing.clock()
        if self._counts.last_error is not None or keys.keys() != self._keys.keys():
            log.info("keys loaded", extra={"fields": {"pool": self.pool.id, "keys": len(keys)}})
        if skipped and skipped != self._skipped:
            log.warning("keys skipped", extra={"fields": {"pool": self.pool.id, "reasons": skipped}})
        # A key that stayed the same stays the same object: what it vouched for needs no new look.
        self._keys = {kid: old if (old := self._keys.get(kid)) == key else key for kid, key in keys.items()}
        self._skipped = skipped
        self._fetched_at = now
        self._counts.failures, self._counts.last_error = 0, None
        self._next = now + self.timing.until_refresh()

    def _failed(self, reason: str) -> None:
        self._counts.failures += 1
        self._counts.last_error = reason
        pause = self.timing.until_retry(self._counts.failures)
        self._next = self.timing.clock() + pause
        fields = {"pool": self.pool.id, "url": self.pool.jwks_url, "reason": reason, "retry_in": round(pause)}
        log.warning("keys not fetched", extra={"fields": fields})

    async def _document(self) -> dict[str, Any]:
        async with (
            asyncio.timeout(self.timing.limit),
            self._http().stream(
                "GET",
                self.pool.jwks_url,
                # Not compressed: the limit below is then one of memory too.
                headers={"Accept": "application/json", "Accept-Encoding": "identity"},
                follow_redirects=False,
            ) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise FetchError(f"the answer's status is {response.status_code}, not 200")
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise FetchError("the answer is compressed although plain was asked for")
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAX_BODY:
                    raise FetchError(f"the answer is longer than {MAX_BODY} bytes")
        try:
            return strict_json.parse_object(bytes(body))
        except ValueError as error:
            raise FetchError(f"the answer is {error}") from None

    def _http(self) -> httpx.AsyncClient:
        """Return the client.

        HTTPS_PROXY and SSL_CERT_FILE count for https, where a proxy cannot change the keys; a plain http URL
        is a stand-in or a mirror nearby, which no proxy may come between.
        """
        if self.client is not None:
            return self.client
        if self._own_client is None:
            trust_env = self.pool.jwks_url.startswith("https:")
            self._own_client = httpx.AsyncClient(
                timeout=self.timing.limit, trust_env=trust_env, verify=certificates()
            )
        return self._own_client


def _reason(error: Exception, limit: float) -> str:
    """Say in one bounded line why a fetch failed."""
    match error:
        case TimeoutError() | httpx.TimeoutException():
            return f"no whole answer within {limit:g} s"
        case FetchError() | ValueError():
            return " ".join(str(error).split())[:300]
        case _:
            return " ".join(f"{type(error).__name__}: {error}".split())[:300]
