"""Hold each part of the package to its own bar: every branch of the core, nearly all of the rest."""

from __future__ import annotations

import io
import warnings

from coverage import Coverage
from coverage.exceptions import CoverageWarning

CORE = (
    "contract",
    "errors",
    "headers",
    "identity/cognito_claims",
    "identity/credentials",
    "identity/jwks",
    "identity/jws",
    "identity/renewal",
    "identity/session_cookie",
    "model",
    "policy/decision",
    "policy/dot_segments",
    "policy/grants",
    "policy/overview",
    "policy/patterns",
    "policy/uri_templates",
    "relay/answers",
    "relay/endpoint",
    "relay/events",
    "relay/lists",
    "relay/streams",
    "stores/revocation_list",
    "strict_json",
    "validate/browser",
    "validate/message",
    "validate/request",
    "validate/responses",
    "validate/sessions",
    "validate/way",
)
BARS = {
    "the core": (100.0, [f"auth_server/{name}.py" for name in CORE]),
    "the package": (90.0, ["auth_server/*"]),
}


def judge() -> tuple[bool, str]:
    """Combine what all processes of this run measured; return whether every bar is met, and the report."""
    coverage = Coverage()
    with warnings.catch_warnings():
        # A process that a test killed leaves half a file behind.
        warnings.simplefilter("ignore", CoverageWarning)
        coverage.combine()
    met, lines = True, []
    for title, (bar, include) in BARS.items():
        report = io.StringIO()
        percent = coverage.report(include=include, file=report, show_missing=True, skip_covered=True)
        lines.append(f"coverage of {title}: {percent:.1f} % of lines and branches (bar {bar:.0f} %)")
        if percent < bar:
            met = False
            lines.append(report.getvalue())
    return met, "\n".join(lines)
