"""`auth-server nginx-conf`: nginx's part of the settings, as `gateway` writes it for itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from auth_server.cli.output import say
from auth_server.config.settings import environment, some_settings
from auth_server.gateway.nginx import SETTINGS, Listener, gateway_conf

if TYPE_CHECKING:
    import argparse


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("--listen", default="8080", help="where nginx listens (default %(default)s)")
    parser.add_argument(
        "--sidecar",
        action="append",
        required=True,
        metavar="ADDRESS",
        help="where a sidecar listens, as nginx writes it: unix:/path or host:port; may be repeated",
    )
    parser.add_argument(
        "--inner",
        required=True,
        metavar="ADDRESS",
        help="where the sidecars' relays come back to nginx: unix:/path, in a folder that they alone reach",
    )
    parser.add_argument(
        "--ca-file",
        default="/etc/ssl/certs/ca-certificates.crt",
        help="certificates that nginx trusts upstream (default %(default)s)",
    )
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help="write this file, whole, instead of printing"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the configuration, or put it in its place."""
    settings = some_settings(environment(), *SETTINGS)
    listener = Listener(arguments.listen, tuple(arguments.sidecar), arguments.inner, arguments.ca_file)
    text = gateway_conf(listener, settings)
    if arguments.write is None:
        say(text.rstrip("\n"))
        return 0
    draft = arguments.write.with_name(f"{arguments.write.name}.draft")
    draft.write_text(text)
    draft.chmod(0o644)
    draft.replace(arguments.write)
    return 0
