"""Vectors that others made (C2SP Wycheproof), through the signature level and an RS256 key set."""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from auth_server.errors import Unauthenticated
from auth_server.identity import jws
from auth_server.identity.jwks import KeySetError, usable_keys

# The vectors that are valid and RS256. All others name another algorithm, another key, or are forged.
ACCEPTED_SIGNATURES = {33, *range(259, 264), 345, 349}
# 5 is the one good RS256 token of the key file. 7 is signed with a key that has the ROCA weakness, which
# Cognito's keys cannot have: that it is not looked for is a documented exclusion.
ACCEPTED_KEYS = {5, 7}


@cache
def groups(name: str) -> list[dict[str, Any]]:
    """Return the groups of a file of vectors. Where it is absent, CI fails and a person is told."""
    default = Path(__file__).parents[3] / "shared" / "vectors"
    file = Path(os.environ.get("VECTORS_DIR", default)) / name
    if not file.is_file():
        said = f"{file} is absent: get C2SP Wycheproof's testvectors_v1 and name its folder in VECTORS_DIR"
        if os.environ.get("CI") or "VECTORS_DIR" in os.environ:
            pytest.fail(said)
        pytest.skip(said)  # the vectors are not part of this project, so a clone alone cannot have them
    found: list[dict[str, Any]] = json.loads(file.read_text())["testGroups"]
    return found


def is_accepted(document: object, raw: object) -> bool:
    """Whether the token passes with this key set. Any exception but the verifier's own fails the test."""
    if not isinstance(raw, str):
        raw = json.dumps(raw)  # a JWS in JSON serialization, as someone might send it
    try:
        keys, _ = usable_keys(document)
        token = jws.parse(raw)
        return token.kid in keys and jws.verify(token, keys[token.kid]) is not None
    except (KeySetError, Unauthenticated):
        return False


def test_signatures() -> None:
    """Of the signature vectors exactly the valid RS256 ones are accepted, each with its group's key."""
    accepted = set()
    count = 0
    for group in groups("json_web_signature_test.json"):
        document = {"keys": [group.get("public") or group.get("private")]}
        for vector in group["tests"]:
            count += 1
            if is_accepted(document, vector["jws"]):
                accepted.add(vector["tcId"])
    assert accepted == ACCEPTED_SIGNATURES
    assert count > 300


def test_keys() -> None:
    """Of the key vectors, those with keys that are weak, of another use or not unique are refused."""
    accepted = set()
    for group in groups("json_web_key_test.json"):
        document = group.get("public") or group.get("private")
        accepted |= {vector["tcId"] for vector in group["tests"] if is_accepted(document, vector["jws"])}
    assert accepted == ACCEPTED_KEYS


@pytest.mark.parametrize("tc_id", [353, 355])
def test_what_stock_pyjwt_lets_through(tc_id: int) -> None:
    """A key for encryption, by use or by key_ops, verifies nothing."""
    for group in groups("json_web_signature_test.json"):
        for vector in group["tests"]:
            if vector["tcId"] == tc_id:
                with pytest.raises(KeySetError, match=r"use is not sig|key_ops lacks verify"):
                    usable_keys({"keys": [group["public"]]})
                return
    pytest.fail(f"vector {tc_id} is gone")
