"""The stand-in Cognito as a process: `python -m auth_server.demo.stand_in`."""

from __future__ import annotations

import argparse
import json
import os
from typing import TYPE_CHECKING

import uvicorn

from auth_server.demo.cognito import create_app
from auth_server.demo.directory import demo_directory

if TYPE_CHECKING:
    from collections.abc import Sequence

SECRETS = "DEMO_SECRETS"
"""The environment variable with a JSON object: client secrets by client id, passwords by user name."""


def main(argv: Sequence[str] | None = None) -> None:
    """Serve the demo's pool until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m auth_server.demo.stand_in", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--gateway-url", default="http://localhost:8080", help="where people come back to")
    parser.add_argument("--issuer-base", default="", help="its own URL as programs see it")
    parser.add_argument("--public-base", default="", help="its own URL as browsers see it")
    given = parser.parse_args(argv)
    base = given.issuer_base or f"http://{given.host}:{given.port}"
    directory = demo_directory(given.gateway_url, secrets=json.loads(os.environ.get(SECRETS, "{}")))
    app = create_app(directory, issuer_base=base, public_base=given.public_base or None)
    # No access log: authorization codes travel in query strings.
    uvicorn.run(app, host=given.host, port=given.port, access_log=False, log_level="warning", ws="none")


if __name__ == "__main__":
    main()
