"""A store as several processes have it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from auth_server.stores import open_store
from auth_server.stores.revocation_list import Revocation, RevocationKind

if TYPE_CHECKING:
    from auth_server.stores import Store

FAR = 4e9


@dataclass
class Place:
    """Where a store is; each `open` is what another process would have."""

    url: str
    opened: list[Store] = field(default_factory=list)

    def open(self, *, create: bool = True) -> Store:
        self.opened.append(open_store(self.url, create=create))
        return self.opened[-1]


def session(value: str, at: float = 1, until: float = FAR) -> Revocation:
    return Revocation(RevocationKind.SESSION, value, at, until)


async def new_names(store: Store, position: str | None) -> tuple[list[str], str]:
    page = await store.read(position)
    return [r.value for r in page.revocations], page.position
