"""The environment of the test run, without what it must not lend to what is under test."""

from __future__ import annotations

import os

_OURS = (
    *("COGNITO_", "AWS_", "SECRET_KEY", "SCOPES_FILE", "GATEWAY_URL", "REGISTRY_URL", "ALLOWED_HOSTS"),
    *("SESSION_", "DECISION_", "REVOCATION_", "LOG_", "JWKS_", "MAX_", "STATE_DIRECTORY"),
    *("BROWSER", "DISPLAY"),
)


def clean_environment() -> dict[str, str]:
    """Return it without any setting of the gateway, and without a browser."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
