"""What the endpoints share: the directory, the keys, the books, the clock and the addresses."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request

from auth_server.demo.cognito.directory import Directory, Pool
from auth_server.demo.cognito.keys import KeyRing
from auth_server.demo.cognito.ledger import Ledger


@dataclass(slots=True)
class Service:
    """One stand-in; `app.state.service`. Its directory may be replaced by another of the same pools."""

    directory: Directory
    keys: KeyRing
    ledgers: Mapping[str, Ledger]
    clock: Callable[[], float]
    issuer_base: str
    public_base: str

    def issuer(self, pool: Pool) -> str:
        """Return the `iss` of the pool's tokens."""
        return pool.issuer or f"{self.issuer_base}/{pool.id}"


def service_of(request: Request) -> Service:
    """Return the stand-in that serves this request."""
    service = request.app.state.service
    assert isinstance(service, Service)  # noqa: S101 - tells the type checker what app.py put there
    return service


def pool_of(request: Request) -> Pool:
    """Return the pool that the path names, or answer 404."""
    pool = service_of(request).directory.pool(request.path_params["pool_id"])
    if pool is None:
        raise HTTPException(404, "no such user pool")
    return pool
