"""Where revocations outlive a process: SQLite for one machine, Redis or Valkey for several."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from auth_server.errors import ConfigurationError, Mistake
from auth_server.stores.base import Page, Store, StoreError
from auth_server.stores.sqlite import SqliteStore

if TYPE_CHECKING:
    from auth_server.stores.redis import RedisStore

__all__ = ["Page", "Store", "StoreError", "open_store"]


def open_store(url: str, *, create: bool = True) -> Store:
    """Return the store that REVOCATION_URL names; nothing is opened before it is used.

    Without `create`, a SQLite file that does not exist is an error of every use, instead of a new file.
    Raises ConfigurationError.
    """
    if not url:
        message = (
            "there is no folder to keep revocations in: HOME is not set; name sqlite:///path or redis://…"
        )
        raise ConfigurationError([Mistake("REVOCATION_URL", message)])
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite":
        return SqliteStore(Path("/", unquote(rest).lstrip("/")), create=create)
    return _redis(url)


def _redis(url: str) -> RedisStore:
    try:
        from auth_server.stores.redis import RedisStore
    except ImportError:
        message = "names a Redis, and the package for it is missing; pip install 'mcp-auth-server[cluster]'"
        raise ConfigurationError([Mistake("REVOCATION_URL", message)]) from None
    return RedisStore(url)
