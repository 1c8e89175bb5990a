"""`auth-server login`: sign a person in, and keep the gateway's cookie for their agents."""

from __future__ import annotations

import asyncio
import getpass
import secrets
import sys
import threading
import time
import webbrowser
from typing import TYPE_CHECKING

from auth_server.cli import saved_session
from auth_server.cli.arguments import add_json, given, number_in
from auth_server.cli.errors import CommandError
from auth_server.cli.loopback import Loopback, callback_url
from auth_server.cli.output import complain, say, say_json
from auth_server.cli.overrides import Overrides
from auth_server.client.cookie import save_cookie
from auth_server.client.errors import SessionCookieError
from auth_server.client.gateway import GatewayError, Session, open_session
from auth_server.config import values
from auth_server.config.settings import Settings, some_settings
from auth_server.oauth import cognito, sign_in
from auth_server.oauth.provider import Provider

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

_PORTS = range(1, 65536)
_TIMEOUTS = range(1, 3601)
_MAX_PASSWORD = 1024
_REMEDIES = {
    "access_denied": "the sign-in was cancelled, or this person may not use the app client",
    "challenge": "sign in with a browser: leave --username out",
    "invalid_client": "the client id or its secret is wrong; compare both with the app client in Cognito",
    "invalid_grant": "the code was used before, or is too old; run auth-server login again",
    "invalid_scope": f"allow the app client the scope {sign_in.SCOPE}",
    "unauthorized_client": "allow the app client the authorization code grant",
    "InvalidParameterException": "allow the app client ALLOW_USER_PASSWORD_AUTH, or sign in with a browser",
    "NotAuthorizedException": "check user name and password, and the app client's secret if it has one",
    "PasswordResetRequiredException": "set a new password first: sign in with a browser",
    "ResourceNotFoundException": "the client id is wrong; compare it with the app client in Cognito",
    "UserNotConfirmedException": "confirm the account first: sign in with a browser",
    "UserNotFoundException": "check user name and password",
    "INVALID_AUDIENCE": "the gateway does not know this app client; add it to its COGNITO_ALLOWED_CLIENT_IDS",
    "INVALID_ISSUER": "the gateway trusts another user pool; compare COGNITO_USER_POOL_ID on both sides",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.description = (
        "Sign in at Cognito with a browser of this machine; the gateway's cookie is kept. "
        "What is not given comes from the environment or .env: COGNITO_USER_POOL_ID, COGNITO_CLIENT_ID, "
        "COGNITO_CLIENT_SECRET (or COGNITO_CLIENT_SECRET_FILE; none for a public client), COGNITO_DOMAIN, "
        "GATEWAY_URL. The gateway makes the cookie; its signing key never leaves it. No token is kept."
    )
    parser.add_argument("--client-id", metavar="ID", help="the app client that signs you in")
    parser.add_argument("--client-secret-file", metavar="PATH", help="a file that holds its secret, if any")
    parser.add_argument(
        "--username",
        metavar="NAME",
        type=given,
        help="sign in without a browser; the password is asked for, or read from standard input",
    )
    parser.add_argument(
        "--no-browser", dest="browser", action="store_false", help="print the address instead of opening it"
    )
    parser.add_argument(
        "--port",
        type=number_in(_PORTS),
        default=9090,
        help="where the browser comes back to; the app client lists http://localhost:PORT/callback "
        "(default %(default)s)",
    )
    parser.add_argument(
        "--timeout",
        type=number_in(_TIMEOUTS),
        default=300,
        metavar="SECONDS",
        help="how long to wait for the browser (default %(default)s)",
    )
    saved_session.add_options(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Sign in and save the cookie; the tokens are forgotten."""
    settings = _settings(arguments)
    path = saved_session.cookie_file(arguments)
    _warn(settings)
    try:
        if arguments.username is None:
            session = asyncio.run(_by_browser(arguments, settings, path))
        else:
            password = _password(arguments.username)
            session = asyncio.run(_by_password(arguments.username, password, settings, path))
    except (cognito.CognitoError, GatewayError) as error:
        remedy = _REMEDIES.get(error.code, "")
        raise CommandError(f"{error}{f'; {remedy}' if remedy else ''}") from None
    except SessionCookieError as error:
        raise CommandError(str(error)) from None
    if arguments.json:
        until = session.expires_at.isoformat().replace("+00:00", "Z")
        say_json({"username": session.username, "expires_at": until, "cookie_file": str(path)})
    else:
        say(f"signed in as {session.username} until {session.expires_at:%Y-%m-%d %H:%M:%S} UTC")
        say(f"the session cookie is in {path}, for agents that act for you")
    return 0


async def _by_browser(arguments: argparse.Namespace, settings: Settings, path: Path) -> Session:
    provider = Provider(settings)
    endpoints = await provider.endpoints()
    back = callback_url(arguments.port)
    asked = sign_in.Pending.begin(secrets.token_bytes(96), back, now=time.time())
    async with Loopback(asked.state, arguments.port) as loopback:
        _show(asked.address(endpoints.authorize, settings.client_id, back), browser=arguments.browser)
        redirect = await loopback.redirect(timeout=arguments.timeout)
        signed_in = False
        try:
            if redirect.error or not redirect.code:
                raise _refused(redirect.error or "no code", redirect.description)
            tokens = await provider.exchange(redirect.code, verifier=asked.verifier, redirect_uri=back)
            session = await _keep(settings.gateway_url, tokens.id_token, path)
            signed_in = True
        finally:
            await redirect.answer(signed_in=signed_in)
    return session


async def _by_password(username: str, password: str, settings: Settings, path: Path) -> Session:
    tokens = await Provider(settings).by_password(username, password)
    return await _keep(settings.gateway_url, tokens.id_token, path)


async def _keep(gateway: str, id_token: str, path: Path) -> Session:
    """Let the gateway verify the token and make the cookie: the key that signs it never leaves the server."""
    session = await open_session(gateway, id_token)
    save_cookie(path, session.cookie)
    return session


def _show(url: str, *, browser: bool) -> None:
    """Take the person to the sign-in page, or tell them where it is."""
    if not browser:
        complain("open this address in a browser on this machine:")
        say(url)
        sys.stdout.flush()
        return
    complain("opening the browser; if it does not show the sign-in page, open this address on this machine:")
    complain(url)
    # Not waited for: some browsers hold on to who opened them until they are closed.
    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()


def _refused(error: str, description: str) -> cognito.CognitoError:
    said = f" ({values.shown(description)})" if description else ""
    return cognito.CognitoError(f"Cognito refused with {values.shown(error)}{said}", code=error)


def _password(username: str) -> str:
    """Ask for the password; where standard input is no terminal, its first line is it."""
    if sys.stdin.isatty():
        password = getpass.getpass(f"Password of {username}: ")
    else:
        line = sys.stdin.buffer.readline(_MAX_PASSWORD)
        try:
            password = line.decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise CommandError("standard input: the password is not UTF-8 text") from None
    if not password:
        raise CommandError("no password was given; type it, or put it on standard input in one line")
    return password


def _settings(arguments: argparse.Namespace) -> Settings:
    """Read what signing in needs."""
    overrides = Overrides()
    own_id = overrides.environ.get("COGNITO_CLIENT_ID")
    if arguments.client_id is not None and own_id and own_id != arguments.client_id:
        overrides.drop("COGNITO_CLIENT_SECRET")  # it is the other client's
    overrides.put("--client-id", "COGNITO_CLIENT_ID", arguments.client_id)
    overrides.put("--client-secret-file", "COGNITO_CLIENT_SECRET_FILE", arguments.client_secret_file)
    overrides.put_gateway(arguments.gateway)
    if not overrides.has("COGNITO_CLIENT_ID"):
        raise CommandError(
            "COGNITO_CLIENT_ID is not set; give --client-id, or set it in the environment or .env"
        )
    return _read(overrides, needs_pool=arguments.username is not None)


def _read(overrides: Overrides, *, needs_pool: bool) -> Settings:
    wanted = ["COGNITO_CLIENT_ID", "COGNITO_CLIENT_SECRET", "COGNITO_DOMAIN", "GATEWAY_URL", "REGISTRY_URL"]
    if needs_pool or not overrides.has_domain_of_its_own():
        wanted += ["COGNITO_USER_POOL_ID", "AWS_REGION", "COGNITO_ISSUER"]
        if not overrides.has("COGNITO_USER_POOL_ID"):
            remedy = "" if needs_pool else ", or COGNITO_DOMAIN to the hosted UI's URL"
            raise CommandError(f"where to sign in? Set COGNITO_USER_POOL_ID to the user pool's id{remedy}")
    with overrides.named():
        return some_settings(overrides.environ, *wanted)


def _warn(settings: Settings) -> None:
    for url in dict.fromkeys((settings.gateway_url, settings.domain, settings.pools[0].issuers[0])):
        if values.is_exposed(url):
            complain(f"warning: {url} is http on another machine: what signs you in travels in clear text")
