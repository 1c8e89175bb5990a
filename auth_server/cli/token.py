"""`auth-server token`: an access token for an agent, by the client credentials grant."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from auth_server.cli.errors import CommandError, WrongUseError
from auth_server.cli.output import complain, hush_logs, say, say_json
from auth_server.cli.overrides import Overrides
from auth_server.client.credentials import CognitoClientCredentials, Held, agent_settings
from auth_server.client.errors import CognitoAuthenticationError
from auth_server.config import values
from auth_server.oauth import cognito

if TYPE_CHECKING:
    import argparse

    from auth_server.config.settings import Settings

_REMEDIES = {
    "invalid_client": "the client id or its secret is wrong; compare both with the app client in Cognito",
    "unauthorized_client": "the app client may not use client credentials; allow that grant in its settings",
    "invalid_scope": "a scope does not exist or the app client may not ask for it; "
    "scopes read RESOURCE-SERVER/NAME and are allowed in the app client's settings",
    "invalid_grant": "the app client has no scope for this grant; allow it one of a resource server",
    "unsupported_grant_type": "this endpoint gives no client credentials; is it the pool's /oauth2/token?",
    "invalid_request": "the endpoint did not understand the request; is it the pool's /oauth2/token?",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.description = (
        "Get an access token for an agent. What is not given comes from the environment or .env: "
        "COGNITO_CLIENT_ID, COGNITO_CLIENT_SECRET (or COGNITO_CLIENT_SECRET_FILE), COGNITO_DOMAIN, "
        "COGNITO_USER_POOL_ID. The secret is never an option: others could see it in the list of processes."
    )
    parser.add_argument("--client-id", metavar="ID", help="the agent's app client")
    parser.add_argument("--client-secret-file", metavar="PATH", help="a file that holds its secret")
    parser.add_argument(
        "--scope",
        action="append",
        default=[],
        help="a scope to ask for, as RESOURCE-SERVER/NAME; may be repeated; none asks for all",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--domain", metavar="DOMAIN", help="the hosted UI's prefix or URL")
    where.add_argument("--token-url", metavar="URL", help="the token endpoint itself")
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--header", action="store_true", help='print it for curl -H "$(auth-server token --header)"'
    )
    form.add_argument(
        "--json", action="store_true", help="answer in JSON, with the seconds that the token lasts"
    )


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
    """Read what this command needs."""
    overrides = Overrides()
    overrides.put("--client-id", "COGNITO_CLIENT_ID", arguments.client_id)
    overrides.put("--client-secret-file", "COGNITO_CLIENT_SECRET_FILE", arguments.client_secret_file)
    overrides.put("--domain", "COGNITO_DOMAIN", arguments.domain)
    knows_endpoint = arguments.token_url is not None or overrides.has_domain_of_its_own()
    if not knows_endpoint and not overrides.has("COGNITO_USER_POOL_ID"):
        raise CommandError(
            "where is the token endpoint? Set COGNITO_USER_POOL_ID, or give --domain or --token-url"
        )
    with overrides.named():
        return agent_settings(overrides.environ, token_url=arguments.token_url)


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
    hush_logs()
    scopes = [scope for given in arguments.scope for scope in given.split()]
    return CognitoClientCredentials(
        settings.client_id, settings.client_secret, token_url=url, scopes=scopes
    ).token()
