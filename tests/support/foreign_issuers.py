"""Issuers that nobody here wrote: ministack and moto, each asked as AWS's API is asked."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from support.repository import ROOT
from support.shared_machine import free_port
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BIN = ROOT / ".state" / "issuers" / "bin"
PASSWORD = "Correct-horse-9"
REGION = "us-east-1"
_SIGNED = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/cognito-idp/aws4_request, SignedHeaders=host"


@dataclass(frozen=True, slots=True)
class Issuer:
    """One of them, running, with a pool in it."""

    base: str
    pool: str
    client: str

    @property
    def settings(self) -> dict[str, str]:
        """What the gateway is told about it."""
        return {
            "COGNITO_USER_POOL_ID": self.pool,
            "COGNITO_ISSUER": f"https://cognito-idp.{REGION}.amazonaws.com/{{pool}}",
            "COGNITO_JWKS_URL": f"{self.base}/{self.pool}/.well-known/jwks.json",
            "COGNITO_CLIENT_ID": self.client,
        }

    def ask(self, action: str, **parameters: Any) -> dict[str, Any]:
        """Call AWS's API."""
        return _ask(self.base, action, UserPoolId=self.pool, **parameters)

    def add_user(self, username: str, *groups: str) -> None:
        """Make a user with a password, in these groups."""
        self.ask("AdminCreateUser", Username=username, MessageAction="SUPPRESS")
        self.ask("AdminSetUserPassword", Username=username, Password=PASSWORD, Permanent=True)
        for group in groups:
            self.ask("CreateGroup", GroupName=group)
            self.ask("AdminAddUserToGroup", Username=username, GroupName=group)

    def sign_in(self, username: str) -> dict[str, str]:
        """Return the tokens that a password brings."""
        answer = _ask(
            self.base,
            "InitiateAuth",
            ClientId=self.client,
            AuthFlow="USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": username, "PASSWORD": PASSWORD},
        )
        found: dict[str, str] = answer["AuthenticationResult"]
        return found

    def add_agent(self, *scopes: str) -> tuple[str, str]:
        """Make an app client for client credentials, and return its id and secret."""
        for identifier in {scope.partition("/")[0] for scope in scopes}:
            names = [scope.partition("/")[2] for scope in scopes if scope.startswith(f"{identifier}/")]
            described = [{"ScopeName": name, "ScopeDescription": name} for name in names]
            self.ask("CreateResourceServer", Identifier=identifier, Name=identifier, Scopes=described)
        answer = self.ask(
            "CreateUserPoolClient",
            ClientName="agent",
            GenerateSecret=True,
            AllowedOAuthFlows=["client_credentials"],
            AllowedOAuthFlowsUserPoolClient=True,
            AllowedOAuthScopes=list(scopes),
        )
        client = answer["UserPoolClient"]
        return client["ClientId"], client["ClientSecret"]

    def add_web_client(self, gateway_url: str) -> tuple[str, str]:
        """Make an app client that signs people in at this gateway, and return its id and secret."""
        answer = self.ask(
            "CreateUserPoolClient",
            ClientName="web",
            GenerateSecret=True,
            AllowedOAuthFlows=["code"],
            AllowedOAuthFlowsUserPoolClient=True,
            AllowedOAuthScopes=["openid", "email"],
            SupportedIdentityProviders=["COGNITO"],
            CallbackURLs=[f"{gateway_url}/oauth2/callback/cognito"],
            LogoutURLs=[f"{gateway_url}/"],
        )
        client = answer["UserPoolClient"]
        return client["ClientId"], client["ClientSecret"]


@contextlib.contextmanager
def ministack() -> Iterator[Issuer]:
    """Run ministack's Cognito, with a pool."""
    port = free_port()
    environ = {"SERVICES": "cognito-idp", "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port)}
    environ |= {"IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0"}
    with _running([str(BIN / "ministack")], environ, port) as issuer:
        yield issuer


@contextlib.contextmanager
def moto() -> Iterator[Issuer]:
    """Run moto's server, with a pool whose id is as short as AWS's."""
    port = free_port()
    argv = [str(BIN / "moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    with _running(argv, {}, port) as issuer:
        yield issuer


@contextlib.contextmanager
def _running(argv: list[str], environ: Mapping[str, str], port: int) -> Iterator[Issuer]:
    assert Path(argv[0]).exists(), (
        f"{argv[0]} is not installed: run `make {BIN.parent.relative_to(ROOT)}/.installed`"
    )
    with tempfile.TemporaryFile() as log:
        given = {"PATH": os.environ["PATH"], "HOME": tempfile.gettempdir(), **environ}
        process = subprocess.Popen(argv, env=given, stdout=log, stderr=log, cwd=tempfile.gettempdir())
        try:
            base = f"http://127.0.0.1:{port}"
            until(lambda: _answers(process, base), f"{argv[0]} answers", seconds=60)
            pool = _ask(base, "CreateUserPool", PoolName="tests")["UserPool"]["Id"]
            made = _ask(
                base,
                "CreateUserPoolClient",
                UserPoolId=pool,
                ClientName="web",
                ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
            )
            yield Issuer(base, pool, made["UserPoolClient"]["ClientId"])
        finally:
            process.kill()
            process.wait(10)


def _answers(process: subprocess.Popen[bytes], base: str) -> bool:
    assert process.poll() is None, "the issuer ended by itself"
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(base, trust_env=False).status_code > 0
    return False


def _ask(base: str, action: str, **parameters: Any) -> dict[str, Any]:
    headers = {
        "Authorization": f"{_SIGNED}, Signature=none",
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": f"AWSCognitoIdentityProviderService.{action}",
    }
    answer = httpx.post(base, json=parameters, headers=headers, trust_env=False, timeout=30)
    assert answer.status_code == 200, (action, answer.text)
    found: dict[str, Any] = answer.json()
    return found
