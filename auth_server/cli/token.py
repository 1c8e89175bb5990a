"""`auth-server token`: an access token for an agent, by the client credentials grant."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from auth_server.cli.errors import CommandError, WrongUseError
from auth_server.cli.output import complain, say, say_json
from auth_server.client.credentials import CognitoClientCredentials, Held, agent_settings
from auth_server.client.errors import CognitoAuthenticationError
from auth_server.config import values
from auth_server.config.settings import environment
from auth_server.errors import ConfigurationError, Mistake
from auth_server.oauth import cognito

if TYPE_CHECKING:
    import argparse

    from auth_server.config.settings import Settings

_OPTIONS = {
    "client_id": ("--client-id", "COGNITO_CLIENT_ID"),
    "client_secret_file": ("--client-secret-file", "COGNITO_CLIENT_SECRET_FILE"),
    "domain": ("--domain", "COGNITO_DOMAIN"),
}
_REMEDIES = {
    "invalid_client": "the client id or its secret is wrong; compare both with the app client in Cognito",
    "unauthorized_client": "the app client may not use client credentials; allow that grant in its settings",
    "invalid_scope": "a scope does not exist or the app client may not ask for it; "
    "scopes read RESOURCE-SERVER/NAME and are allowed in the app client's settings",
    "invalid_grant": "the app client has no scope for this grant; allow it one of a resource server",
    "unsupported_grant_type": "this endpoint gives no client credentials; is it the pool's /oauth2/token?",
    "invalid_request": "the endpoint did not understand the request; is it the pool's /oauth2/token?",
}


def run(arguments: argparse.Namespace) -> int:
    """Get a token and print it; nothing but the token goes to standard output."""
    settings = _settings(arguments)
    if not settings.client_id:
        raise CommandError(
            "COGNITO_CLIENT_ID is not set; give --client-id, or set it in the environment or .env"
        )
    if not settings.client_secret:
        raise CommandError(
            "COGNITO_CLIENT_SECRET is not set; give --client-secret-file, or set it; "
            "client credentials need an app client with a secret"
        )
    try:
        token = _get(arguments, settings)
    except (cognito.CognitoError, CognitoAuthenticationError) as error:
        remedy = _REMEDIES.get(error.code, "")
        raise CommandError(f"{error}{f'; {remedy}' if remedy else ''}") from None
    if arguments.json:
        say_json({"access_token": token.access_token, "token_type": "Bearer", "expires_in": token.expires_in})
    else:
        say(f"Authorization: Bearer {token.access_token}" if arguments.header else token.access_token)
    return 0


def _settings(arguments: argparse.Namespace) -> Settings:
    """Read what this command needs, options before the environment. Mistakes name what the reader wrote."""
    environ = environment()
    names = {}
    for option, (flag, name) in _OPTIONS.items():
        if (value := getattr(arguments, option)) is not None:
            if not value:
                raise WrongUseError(f"{flag} is empty")
            base = name.removesuffix("_FILE")
            environ.pop(base, None)
            environ.pop(f"{base}_FILE", None)
            environ[name] = value
            names[name] = names[base] = flag
    needs_pool = arguments.token_url is None and not _is_host(environ.get("COGNITO_DOMAIN", ""))
    if needs_pool and not {"COGNITO_USER_POOL_ID", "COGNITO_USER_POOL_ID_FILE"} & environ.keys():
        raise CommandError(
            "where is the token endpoint? Set COGNITO_USER_POOL_ID, or give --domain or --token-url"
        )
    try:
        return agent_settings(environ, token_url=arguments.token_url)
    except ConfigurationError as error:
        raise ConfigurationError(
            [Mistake(names.get(found.place, found.place), found.message) for found in error.mistakes]
        ) from None


def _is_host(domain: str) -> bool:
    return "." in domain or "://" in domain


def _get(arguments: argparse.Namespace, settings: Settings) -> Held:
    if arguments.token_url is not None:
        try:
            url = values.url(arguments.token_url)
        except ValueError as error:
            raise WrongUseError(f"--token-url: {error}") from None
    elif settings.domain:
        url = f"{settings.domain}/oauth2/token"
    else:
        url = asyncio.run(cognito.discover_token_endpoint(settings.pools[0].issuers))
    if values.is_exposed(url):
        complain(f"warning: {url} is http on another machine: the secret travels in clear text; use https")
    # The class would say it in the log.
    logging.getLogger("auth_server").addHandler(logging.NullHandler())
    scopes = [scope for given in arguments.scope for scope in given.split()]
    return CognitoClientCredentials(
        settings.client_id, settings.client_secret, token_url=url, scopes=scopes
    ).token()
