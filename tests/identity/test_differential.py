"""The same tokens through this verifier and AWS's own (npm aws-jwt-verify, offline): the same verdicts.

Where the verdicts differ, this one refuses, and the case is listed as stricter with the reason.
"""

import fcntl
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jwt
import pytest
from starlette.testclient import TestClient
from support.cognito import (
    ABSENT,
    AGENT,
    CLIENT,
    GATEWAY,
    ISSUER,
    OTHER_ISSUER,
    POOL,
    UPDATED_ISSUER,
    SigningKey,
    base64url,
    claims,
    jwks,
    key,
    mint,
    token,
    verify,
)

from auth_server.demo.cognito.app import create_app
from auth_server.demo.cognito.keys import KeyRing
from auth_server.demo.directory import POOL_ID, demo_directory
from auth_server.errors import Unauthenticated
from auth_server.identity.cognito_claims import Rules
from auth_server.model import Pool

VERSION = "5.2.1"
HOME = Path(__file__).parents[2] / ".state" / f"aws-jwt-verify-{VERSION}"
KINDS = ("agent", "access", "id")

SCRIPT = """
import { createInterface } from "node:readline";
import { CognitoJwtVerifier } from "aws-jwt-verify";
const { userPoolId, clientId, jwks } = JSON.parse(process.argv[2]);
const verifier = CognitoJwtVerifier.create({ userPoolId, clientId, tokenUse: null, graceSeconds: 30 });
verifier.cacheJwks(jwks);
for await (const line of createInterface({ input: process.stdin })) {
  const { name, token } = JSON.parse(line);
  let verdict = "";
  try { verifier.verifySync(token); } catch (error) { verdict = `${error.name}: ${error.message}`; }
  console.log(JSON.stringify([name, verdict]));
}
"""


@cache
def home() -> Path:
    """Return the folder in which node finds the package; installs it with npm, once per checkout."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.fail("node and npm are needed to compare with aws-jwt-verify: install Node.js 18 or newer")
    HOME.mkdir(parents=True, exist_ok=True)
    with (HOME / "lock").open("w") as lock:  # tests run side by side
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (HOME / "node_modules" / "aws-jwt-verify" / "package.json").is_file():
            (HOME / "package.json").write_text('{"private": true, "type": "module"}')
            subprocess.run(
                [
                    "npm",
                    "install",
                    "--no-audit",
                    "--no-fund",
                    "--ignore-scripts",
                    f"aws-jwt-verify@{VERSION}",
                ],
                cwd=HOME,
                check=True,
                capture_output=True,
                timeout=100,
            )
        (HOME / "verify.mjs").write_text(SCRIPT)
    return HOME


def ask_aws(tokens: dict[str, str], **other: Any) -> dict[str, str]:
    """Return what aws-jwt-verify says of each token: why it is refused, or empty."""
    setup = {"userPoolId": POOL.id, "clientId": [CLIENT, AGENT], "jwks": jwks()} | other
    lines = "".join(json.dumps({"name": name, "token": raw}) + "\n" for name, raw in tokens.items())
    done = subprocess.run(
        ["node", "verify.mjs", json.dumps(setup)],
        cwd=home(),
        input=lines,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return dict(json.loads(line) for line in done.stdout.splitlines())


def faults(now: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield single faults of the claims, and changes that are none; for those in STRICTER see there."""
    for name in ("iss", "token_use", "exp", "iat", "jti", "sub", "auth_time"):
        yield f"no {name}", {name: ABSENT}
    for value in (OTHER_ISSUER, ISSUER + "/", ISSUER.upper(), ""):
        yield f"iss {value}", {"iss": value}
    yield "iss in the updated form", {"iss": UPDATED_ISSUER}
    for value in ("refresh", "", "ACCESS"):
        yield f"token_use {value}", {"token_use": value}
    yield "expired", {"exp": now - 600}
    yield "expired within the grace", {"exp": now - 15}
    yield "nbf past", {"nbf": now - 60}
    yield "nbf ahead", {"nbf": now + 600}
    yield "nbf within the grace", {"nbf": now + 15}
    yield "iat ahead", {"iat": now + 600}
    for name in ("exp", "nbf", "iat"):
        for wrong in (str(now + 600), None, True, [now + 600]):
            yield f"{name} {wrong!r:.9}", {name: wrong}
    yield "exp a fraction", {"exp": now + 600.5}
    yield "exp 1e300", {"exp": 1e300}
    for name in ("iss", "sub", "scope", "jti", "token_use", "client_id"):
        yield f"{name} a number", {name: 12}
    yield "aud a number", {"aud": 12}
    yield "aud with a number", {"aud": [12]}
    yield "aud an object", {"aud": {}}
    yield "custom claims", {"custom:team": "blue", "nested": {"a": [1, None, 1.5]}}
    yield "scope empty", {"scope": ""}
    yield "groups a string", {"cognito:groups": "admins"}
    yield "username a number", {"username": 12, "cognito:username": 12}
    yield "letters", {"username": "Zoë 名", "custom:x": "\U0001f600"}


def tokens_to_compare(now: int) -> dict[str, str]:
    """Return tokens of every kind: good, and with each single fault of a claim, the header or the form."""
    found: dict[str, str] = {}
    for kind in KINDS:
        found[f"{kind}: good"] = good = mint(kind, now=now)
        signer = key("id" if kind == "id" else "access")
        for name, changes in faults(now):
            found[f"{kind}: {name}"] = mint(kind, changes, now=now)
        for name, header in HEADERS.items():
            found[f"{kind}: header {name}"] = mint(kind, header=header, now=now)
        found[f"{kind}: other key"] = mint(kind, signer=key("mallory"), header={"kid": signer.kid}, now=now)
        found[f"{kind}: unknown key"] = mint(kind, signer=key("mallory"), now=now)
        head, payload, signature = good.split(".")
        found |= {
            f"{kind}: no signature": f"{head}.{payload}.",
            f"{kind}: two parts": f"{head}.{payload}",
            f"{kind}: four parts": f"{good}.{signature}",
            f"{kind}: other payload": f"{head}.{base64url(json.dumps(claims(now=now)).encode())}.{signature}",
            f"{kind}: padding": f"{good}==",
            f"{kind}: a dot before": f".{good}",
            f"{kind}: a space after": f"{good} ",
            f"{kind}: payload no JSON": token(b"nonsense", signer=signer),
            f"{kind}: payload an array": token(b"[]", signer=signer),
            f"{kind}: header no JSON": token(json.dumps(claims(kind, now=now)).encode(), header=b"nonsense"),
        }
    for name in ("client_id", "aud"):
        for value in (ABSENT, "", "other"):
            found[f"access: {name} {value}"] = mint("access", {name: value}, now=now)
            found[f"id: {name} {value}"] = mint("id", {name: value}, now=now)
    found["id: aud an array"] = mint("id", {"aud": [CLIENT]}, now=now)
    found["access: aud this gateway"] = mint("access", {"aud": GATEWAY + "/time/mcp"}, now=now)
    duplicate = json.dumps(claims("access", now=now))[:-1] + f', "client_id": "{CLIENT}"}}'
    found["access: a claim twice"] = token(duplicate.encode())
    return found


HEADERS: dict[str, dict[str, Any]] = {
    "typ JWT": {"typ": "JWT"},
    "no alg": {"alg": ABSENT},
    "alg none": {"alg": "none"},
    "alg HS256": {"alg": "HS256"},
    "alg RS512": {"alg": "RS512"},
    "alg ES256": {"alg": "ES256"},
    "alg a number": {"alg": 256},
    "no kid": {"kid": ABSENT},
    "kid a number": {"kid": 1},
    "kid empty": {"kid": ""},
    "crit": {"crit": ["exp"]},
    "jwk": {"jwk": key("mallory").jwk()},
    "jku": {"jku": "https://mallory.example/jwks.json"},
}

# Accepted by aws-jwt-verify and refused here; for every kind, where none is named.
STRICTER = {
    "no exp": "a token without end",
    "iat ahead": "issued in the future",
    "exp a fraction": "Cognito writes whole seconds",
    "exp 1e300": "no number of seconds that has one reading",
    "client_id a number": "a text is a string, also where it decides nothing",
    "groups a string": "groups are an array of strings",
    "username a number": "a text is a string",
    "header crit": "an extension that must be understood",
    "header jwk": "brings its own key",
    "header jku": "names its own keys",
    "padding": "a token has one spelling",
    "access: aud other": "bound to another resource",
    "access: aud ": "bound to no resource",
    "access: a claim twice": "two readings",
}


def test_the_same_verdicts_as_aws_jwt_verify() -> None:
    """What aws-jwt-verify refuses is refused here; what it accepts is accepted, save what is listed."""
    now = int(time.time())
    compared = tokens_to_compare(now)
    theirs = ask_aws(compared)
    assert theirs.keys() == compared.keys()
    weaker, unlisted, listed = [], [], set()
    for name, raw in compared.items():
        try:
            verify(raw, now=time.time())
            ours = ""
        except (Unauthenticated, KeyError) as error:  # KeyError: the kid is not in the set
            ours = repr(error)
        if theirs[name] and not ours:
            weaker.append((name, theirs[name]))
        elif ours and not theirs[name]:
            listed |= {name, name.partition(": ")[2]} & STRICTER.keys()
            if not {name, name.partition(": ")[2]} & STRICTER.keys():
                unlisted.append((name, ours))
    assert weaker == []
    assert unlisted == []
    assert [name for name in STRICTER if name not in listed] == []
    assert sum(not verdict for verdict in theirs.values()) > 20


class StandIn:
    """The demo's pool: its own tokens, and what its keys would sign if something were wrong."""

    issuer = f"https://cognito-idp.us-east-1.amazonaws.com/{POOL_ID}"
    clients = ("demo-agent", "demo-cli")

    def __init__(self) -> None:
        secrets = {"demo-agent": "an agent's secret", "uma": "uma's password"}
        directory = demo_directory("http://localhost:8080", secrets=secrets, issuer=self.issuer)
        self.keys = KeyRing.generate([POOL_ID])
        web = TestClient(create_app(directory, issuer_base="http://pool", keys=self.keys))
        form = {"grant_type": "client_credentials", "client_id": "demo-agent"}
        form |= {"client_secret": secrets["demo-agent"]}
        machine = web.post(f"/{POOL_ID}/oauth2/token", data=form).json()
        signed_in = web.post(
            "/",
            json={
                "AuthFlow": "USER_PASSWORD_AUTH",
                "ClientId": "demo-cli",
                "AuthParameters": {"USERNAME": "uma", "PASSWORD": secrets["uma"]},
            },
            headers={
                "Content-Type": "application/x-amz-json-1.1",
                "X-Amz-Target": "AWSCognitoIdentityProviderService.InitiateAuth",
            },
        ).json()["AuthenticationResult"]
        self.tokens = {
            "agent": machine["access_token"],
            "access": signed_in["AccessToken"],
            "id": signed_in["IdToken"],
        }

    def compared(self, now: int) -> dict[str, str]:
        """Return its tokens: as they are, and each with every single fault of a claim or the header."""
        found = {}
        for kind, good in self.tokens.items():
            found[f"{kind}: good"] = good
            claimed = jwt.decode(good, options={"verify_signature": False})
            own = self.keys.current(POOL_ID)
            signing = own.id if kind == "id" else own.access
            signer = SigningKey(signing.kid, signing.private)
            for name, changes in faults(now):
                changed = {
                    claim: value for claim, value in (claimed | changes).items() if value is not ABSENT
                }
                found[f"{kind}: {name}"] = token(changed, signer=signer)
            for name, header in HEADERS.items():
                found[f"{kind}: header {name}"] = token(claimed, signer=signer, header=header)
        return found

    def verify(self, raw: str) -> None:
        """Judge one as the gateway does; raises Unauthenticated, or KeyError where the kid is unknown."""
        pool = Pool(POOL_ID, "us-east-1", (self.issuer,), "")
        rules = Rules(frozenset(self.clients))
        verify(raw, rules=rules, document=self.keys.jwks(POOL_ID), pool=pool, now=time.time())


def test_the_same_verdicts_on_the_stand_in_s_tokens() -> None:
    """What the demo's pool signs counts for aws-jwt-verify too; each fault is judged alike, save the listed."""
    now, stand_in = int(time.time()), StandIn()
    compared = stand_in.compared(now)
    setup = {"userPoolId": POOL_ID, "clientId": list(stand_in.clients), "jwks": stand_in.keys.jwks(POOL_ID)}
    theirs = ask_aws(compared, **setup)
    differ = {}
    for name, raw in compared.items():
        try:
            stand_in.verify(raw)
            ours = ""
        except (Unauthenticated, KeyError) as error:
            ours = repr(error)
        if bool(ours) != bool(theirs[name]):
            differ[name] = (ours, theirs[name])
    assert [name for name, (ours, _) in differ.items() if not ours] == []
    unlisted = [name for name in differ if not {name, name.partition(": ")[2]} & STRICTER.keys()]
    assert unlisted == []
    assert [theirs[f"{kind}: good"] for kind in KINDS] == ["", "", ""]
