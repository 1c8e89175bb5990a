"""A validator as one writes it in an afternoon: FastAPI, requests, PyJWT, nothing kept but the key set."""

import functools
import logging
import os
from pathlib import Path
from typing import Annotated, Any

import jwt
import requests
import yaml
from fastapi import FastAPI, Header, HTTPException
from fastapi.responses import JSONResponse

logging.basicConfig(filename=os.devnull, level=logging.INFO)
log = logging.getLogger("naive")

SCOPES: dict[str, list[dict[str, Any]]] = yaml.safe_load(Path(os.environ["SCOPES_FILE"]).read_text())
ISSUER = os.environ["BENCH_ISSUER"]

app = FastAPI()


@functools.cache
def key_set() -> jwt.PyJWKSet:
    """Fetch the pool's keys once."""
    document = requests.get(os.environ["COGNITO_JWKS_URL"], timeout=5).json()
    return jwt.PyJWKSet.from_dict(document)


@app.post("/validate")
def validate(
    message: dict[str, Any], authorization: Annotated[str, Header()], x_mcp_server: Annotated[str, Header()]
) -> JSONResponse:
    """Verify the token and look for a grant."""
    token = authorization.removeprefix("Bearer ")
    method, tool = message["method"], message["params"]["name"]
    log.info("validate %s %s %s", x_mcp_server, method, tool)
    try:
        key = key_set()[jwt.get_unverified_header(token)["kid"]]
        claims = jwt.decode(token, key, algorithms=["RS256"], issuer=ISSUER)
    except (jwt.PyJWTError, KeyError) as error:
        raise HTTPException(401, "invalid token") from error
    scopes = claims.get("scope", "").split()
    for scope in scopes:
        for grant in SCOPES.get(scope, []):
            if grant["server"] == x_mcp_server and method in grant["methods"] and tool in grant["tools"]:
                log.info("allowed %s by %s", claims["client_id"], scope)
                identity = {"X-Client-Id": claims["client_id"], "X-Scopes": " ".join(scopes)}
                return JSONResponse({"valid": True, "client_id": claims["client_id"]}, headers=identity)
    raise HTTPException(403, "access denied")
