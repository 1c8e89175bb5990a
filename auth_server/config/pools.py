"""The user pools that are trusted: their ids, the issuers their tokens name, and where their keys are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from auth_server.config import values
from auth_server.model import Pool

if TYPE_CHECKING:
    from auth_server.config.variables import Variables

_POOL_ID = re.compile(r"[\w-]+_[0-9a-zA-Z]+", re.ASCII)
_POOL_ID_LENGTH = 55
_REGION = re.compile(r"[a-z]{2,4}(?:-[a-z]+)+-[0-9]{1,2}")
_JWKS_PATH = "/.well-known/jwks.json"

_Urls = tuple[tuple[str, ...], ...]


def read_pools(variables: Variables) -> tuple[Pool, ...]:
    """Return the trusted pools; what is wrong is noted in the variables."""
    ids: tuple[str, ...] | None = variables.value("COGNITO_USER_POOL_ID", _pool_ids, None)
    region: str | None = variables.value("AWS_REGION", _region, None)
    if ids is None:
        if not variables.has_mistake("COGNITO_USER_POOL_ID"):
            variables.mistake(
                "COGNITO_USER_POOL_ID", "is not set; give the pool's id, such as us-east-1_AbCdEfGhI"
            )
        return ()
    for pool in ids:
        if region not in {None, region_of(pool)}:
            message = f"is {region}, but the pool {pool} is in {region_of(pool)}; correct or remove it"
            variables.mistake("AWS_REGION", message)
    issuers = _issuers(variables, ids)
    jwks_urls = _jwks_urls(variables, ids, issuers)
    return tuple(map(Pool, ids, map(region_of, ids), issuers, jwks_urls))


def region_of(pool: str) -> str:
    """Return the region that a pool's id starts with."""
    return pool.rpartition("_")[0]


def _issuers(variables: Variables, ids: tuple[str, ...]) -> _Urls:
    given: _Urls | None = variables.value("COGNITO_ISSUER", lambda text: _per_pool(text, ids), None)
    if given is None:
        for pool in ids:
            if not _REGION.fullmatch(region_of(pool)) and not variables.has_mistake("COGNITO_ISSUER"):
                message = f"{region_of(pool)} in {pool} is no AWS region; expected us-east-1_… or the like"
                variables.mistake("COGNITO_USER_POOL_ID", message)
        return tuple(map(_aws_issuers, ids))
    every = [issuer for of_pool in given for issuer in of_pool]
    if len(set(every)) < len(every):
        message = "names one issuer for two pools: a token would not tell them apart; give each its own"
        variables.mistake("COGNITO_ISSUER", message)
    return given


def _jwks_urls(variables: Variables, ids: tuple[str, ...], issuers: _Urls) -> list[str]:
    given: _Urls | None = variables.value("COGNITO_JWKS_URL", lambda text: _per_pool(text, ids), None)
    name = "COGNITO_JWKS_URL" if given else "COGNITO_ISSUER"
    if given and any(len(of_pool) > 1 for of_pool in given):
        variables.mistake(name, "more than one URL for a pool; give one, or one with {pool}")
    urls = (
        [of_pool[0] for of_pool in given]
        if given
        else [of_pool[0].rstrip("/") + _JWKS_PATH for of_pool in issuers]
    )
    for url in filter(values.is_exposed, dict.fromkeys(urls)):
        message = f"keys come in clear text from {url}: whoever changes them forges tokens; use https"
        variables.warn(name, message)
    return urls


def _pool_ids(text: str) -> tuple[str, ...]:
    ids = values.items(text)
    for pool in ids:
        if not _POOL_ID.fullmatch(pool) or len(pool) > _POOL_ID_LENGTH:
            example = "expected the region, _ and letters or digits: us-east-1_AbCdEfGhI"
            raise ValueError(f"{values.shown(pool)} is no user pool id; {example}")
    return ids


def _region(text: str) -> str:
    if not re.fullmatch(r"[\w-]+", text, re.ASCII):
        raise ValueError(f"{values.shown(text)} is no AWS region; expected one such as us-east-1")
    return text


def _aws_issuers(pool: str) -> tuple[str, ...]:
    """Return the two forms of `iss` that AWS documents for a pool."""
    region = region_of(pool)
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return tuple(
        f"https://{service}.{region}.{suffix}/{pool}" for service in ("cognito-idp", "issuer-cognito-idp")
    )


def _per_pool(text: str, pools: tuple[str, ...]) -> _Urls:
    """Return the URLs for each pool: all for a single one, else templates with {pool}, else one each."""
    given = values.items(text)
    templates = ["{pool}" in url for url in given]
    if len(pools) == 1 or all(templates):
        return tuple(tuple(values.url(_filled(url, pool)) for url in given) for pool in pools)
    if any(templates) or len(given) != len(pools):
        message = (
            f"{len(given)} for {len(pools)} pools; give one for each, in their order, or one with {{pool}}"
        )
        raise ValueError(message)
    return tuple((values.url(_filled(url, pool)),) for url, pool in zip(given, pools, strict=True))


def _filled(url: str, pool: str) -> str:
    return url.replace("{pool}", pool).replace("{region}", region_of(pool))
