"""The demo in containers: `python -m auth_server.demo.composed`, the stand-in Cognito and its settings.

It listens on a Unix socket in a folder that the sidecar and nginx see as well, so that no network reaches it;
nginx publishes it under PUBLIC_PATH. Beside the socket it leaves the sidecar's settings, a `.env`.
"""

from __future__ import annotations

import argparse
import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from auth_server.demo.directory import POOL_ID, demo_directory, generate_client_secret, generate_password

if TYPE_CHECKING:
    from collections.abc import Sequence

PUBLIC_PATH = "/demo-cognito"  # as in nginx/demo.location
ISSUER_BASE = "http://127.0.0.1:9000"  # as in deploy/container-entrypoint, which leads there
SOCKET = "cognito.sock"
CONFIDENTIAL_CLIENTS = ("demo-agent", "demo-admin-agent", "demo-web")
PEOPLE = ("ada", "uma", "dev", "nobody")

_SETTINGS = """\
COGNITO_USER_POOL_ID={pool}
COGNITO_ISSUER={issuer}
COGNITO_CLIENT_ID=demo-web
COGNITO_CLIENT_SECRET={client_secret}
COGNITO_ALLOWED_CLIENT_IDS=demo-agent,demo-admin-agent,demo-cli
SECRET_KEY={secret_key}
SCOPES_FILE={scopes_file}
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Serve the demo's pool until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m auth_server.demo.composed", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("/run/demo"), help="shared with both")
    parser.add_argument("--gateway-url", default="http://localhost:8080", help="nginx, as browsers see it")
    parser.add_argument("--scopes-file", default="/config/scopes.yml", help="as the sidecar sees it")
    given = parser.parse_args(argv)
    gateway_url = given.gateway_url.rstrip("/")
    known = prepare(given.folder, given.scopes_file)
    # The sidecar waits for the settings: only now what takes a while.
    import uvicorn

    from auth_server.demo.cognito import create_app
    from auth_server.demo.runner import introduction

    public_base = gateway_url + PUBLIC_PATH
    directory = demo_directory(gateway_url, secrets=known)
    app = create_app(directory, issuer_base=ISSUER_BASE, public_base=public_base)
    issuer, ending = f"{public_base}/{POOL_ID}", "docker compose --profile demo down stops everything."
    print(introduction(gateway_url, issuer, known, "scopes.yml", ending=ending), flush=True)  # noqa: T201 - its output
    uvicorn.run(
        app,
        uds=str(given.folder / SOCKET),
        access_log=False,  # authorization codes travel in query strings
        log_level="warning",
        ws="none",
        timeout_graceful_shutdown=5,
    )


def prepare(folder: Path, scopes_file: str) -> dict[str, str]:
    """Write what the others read, and return the secrets: those of the run before, if it left any."""
    books = folder / "secrets.json"
    if books.is_file():
        known: dict[str, str] = json.loads(books.read_text())
    else:
        known = {name: generate_client_secret() for name in CONFIDENTIAL_CLIENTS}
        known |= {name: generate_password() for name in PEOPLE}
        known["SECRET_KEY"] = secrets.token_urlsafe(32)
        _write(books, json.dumps(known))
    settings = _SETTINGS.format(
        pool=POOL_ID,
        issuer=f"{ISSUER_BASE}/{POOL_ID}",
        client_secret=known["demo-web"],
        secret_key=known["SECRET_KEY"],
        scopes_file=scopes_file,
    )
    _write(folder / ".env", settings)
    return known


def _write(path: Path, text: str) -> None:
    """Put a secret file in its place whole: others are waiting for it."""
    draft = path.with_name(f"{path.name}.draft")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.replace(path)


if __name__ == "__main__":
    main()
