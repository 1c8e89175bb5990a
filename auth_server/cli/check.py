"""`auth-server check`: everything that is wrong with the settings and with scopes.yml, at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auth_server.cli.arguments import add_json
from auth_server.cli.output import complain, say, say_json
from auth_server.config.settings import Settings, environment, some_settings
from auth_server.errors import ConfigurationError, Mistake
from auth_server.policy import scopes_file
from auth_server.stores import open_store

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from auth_server.policy.grants import Policy


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Report every mistake; return 1 if there is any."""
    mistakes: list[Mistake] = []
    settings = policy = None
    place = ""
    try:
        environ = environment()
    except ConfigurationError as error:
        mistakes += error.mistakes
        environ = {}
    else:
        settings, policy = _read(environ, mistakes)
        place = _store(settings, mistakes) if settings else ""
    warnings = [*(settings.warnings if settings else ()), *(policy.warnings if policy else ())]
    summary = _summary(settings, policy, place) if settings and policy and not mistakes else {}
    if arguments.json:
        say_json({"ok": not mistakes, "mistakes": _plain(mistakes), "warnings": _plain(warnings), **summary})
        return 1 if mistakes else 0
    for mistake in mistakes:
        complain(str(mistake))
    for warning in warnings:
        complain(f"warning: {warning}")
    for name, value in summary.items():
        say(f"{name + ':':<9} {', '.join(value) if isinstance(value, list) else value}")
    return 1 if mistakes else 0


def _read(environ: Mapping[str, str], mistakes: list[Mistake]) -> tuple[Settings | None, Policy | None]:
    """Return what can be read; a mistake in the settings does not hide those in scopes.yml."""
    settings = policy = None
    try:
        settings = Settings.from_environ(environ)
    except ConfigurationError as error:
        mistakes += error.mistakes
    try:
        path = (settings or some_settings(environ, "SCOPES_FILE")).scopes_file
        policy = scopes_file.load(path)
    except ConfigurationError as error:
        mistakes += (mistake for mistake in error.mistakes if mistake not in mistakes)
    return settings, policy


def _store(settings: Settings, mistakes: list[Mistake]) -> str:
    """Return where revocations are kept. The file is not made here: it has to be the gateway's own."""
    try:
        store = open_store(settings.revocation_url, create=False)
        store.prepare()
    except ConfigurationError as error:
        mistakes += error.mistakes
        return ""
    reach = "this machine alone; several share a redis://" if store.kind == "sqlite" else "every machine"
    return f"{store.kind} {store.place}, for {reach}"


def _summary(settings: Settings, policy: Policy, place: str) -> dict[str, str | list[str]]:
    clients = settings.allowed_client_ids
    return {
        "pools": [pool.id for pool in settings.pools],
        "clients": "every client of the pool"
        if clients is None
        else sorted(clients) or "none: no token is accepted",
        "sessions": "accepted" if settings.secret_keys else "none: SECRET_KEY is not set",
        "store": place,
        "policy": str(settings.scopes_file),
        "scopes": list(policy.scopes),
        "groups": list(policy.groups),
        "servers": policy.servers.sources(),
    }


def _plain(mistakes: list[Mistake]) -> list[dict[str, str]]:
    return [{"place": mistake.place, "message": mistake.message} for mistake in mistakes]
