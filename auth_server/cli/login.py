"""`auth-server login`: sign a person in, and keep the gateway's cookie for their agents."""

from __future__ import annotations

import asyncio
import getpass
import secrets
import sys
import threading
import time
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

from auth_server.cli.errors import CommandError, WrongUseError
from auth_server.cli.loopback import Loopback, callback_url
from auth_server.cli.output import complain, say, say_json
from auth_server.client.cookie import save_cookie
from auth_server.client.errors import SessionCookieError
from auth_server.client.gateway import GatewayError, Session, open_session
from auth_server.config import values
from auth_server.config.settings import Settings, environment, some_settings
from auth_server.errors import ConfigurationError, Mistake
from auth_server.oauth import cognito, sign_in
from auth_server.oauth.provider import Provider

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

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


def run(arguments: argparse.Namespace) -> int:
    """Sign in and save the cookie; the tokens are forgotten."""
    settings = _settings(arguments)
    path = Path(arguments.cookie_file).expanduser()
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
    """Read what signing in needs, options before the environment. Mistakes name what the reader wrote."""
    environ, names = environment(), {}
    own_id = environ.get("COGNITO_CLIENT_ID")
    if arguments.client_id is not None and own_id and own_id != arguments.client_id:
        _drop(environ, "COGNITO_CLIENT_SECRET")  # it is the other client's
    for flag, name, value in (
        ("--client-id", "COGNITO_CLIENT_ID", arguments.client_id),
        ("--client-secret-file", "COGNITO_CLIENT_SECRET_FILE", arguments.client_secret_file),
        ("--gateway", "GATEWAY_URL", arguments.gateway),
    ):
        if value is not None:
            if not value:
                raise WrongUseError(f"{flag} is empty")
            _drop(environ, name.removesuffix("_FILE"))
            environ[name] = value
            names[name] = flag
    if arguments.gateway is not None:
        _drop(environ, "REGISTRY_URL")
    if not {"COGNITO_CLIENT_ID", "COGNITO_CLIENT_ID_FILE"} & environ.keys():
        raise CommandError(
            "COGNITO_CLIENT_ID is not set; give --client-id, or set it in the environment or .env"
        )
    return _read(environ, names, needs_pool=arguments.username is not None)


def _read(environ: Mapping[str, str], names: Mapping[str, str], *, needs_pool: bool) -> Settings:
    wanted = ["COGNITO_CLIENT_ID", "COGNITO_CLIENT_SECRET", "COGNITO_DOMAIN", "GATEWAY_URL", "REGISTRY_URL"]
    domain = environ.get("COGNITO_DOMAIN", "")
    if needs_pool or ("." not in domain and "://" not in domain):
        wanted += ["COGNITO_USER_POOL_ID", "AWS_REGION", "COGNITO_ISSUER"]
        if not {"COGNITO_USER_POOL_ID", "COGNITO_USER_POOL_ID_FILE"} & environ.keys():
            remedy = "" if needs_pool else ", or COGNITO_DOMAIN to the hosted UI's URL"
            raise CommandError(f"where to sign in? Set COGNITO_USER_POOL_ID to the user pool's id{remedy}")
    try:
        return some_settings(environ, *wanted)
    except ConfigurationError as error:
        raise ConfigurationError(
            [Mistake(names.get(found.place, found.place), found.message) for found in error.mistakes]
        ) from None


def _drop(environ: dict[str, str], name: str) -> None:
    environ.pop(name, None)
    environ.pop(f"{name}_FILE", None)


def _warn(settings: Settings) -> None:
    for url in dict.fromkeys((settings.gateway_url, settings.domain, settings.pools[0].issuers[0])):
        if values.is_exposed(url):
            complain(f"warning: {url} is http on another machine: what signs you in travels in clear text")
