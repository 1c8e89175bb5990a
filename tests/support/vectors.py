"""Vectors that others made; they lie beside the checkout, or where VECTORS_DIR says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

VECTORS = Path(os.environ.get("VECTORS_DIR", Path(__file__).parents[3] / "shared" / "vectors"))


def open_redirects() -> list[str]:
    """Return every line of oauth2-proxy's list. Where it is absent, CI fails and a person is told."""
    file = VECTORS / "openredirects.txt"
    if not file.is_file():
        said = (
            f"{file} is absent: get oauth2-proxy's testdata/openredirects.txt, name its folder in VECTORS_DIR"
        )
        if os.environ.get("CI") or "VECTORS_DIR" in os.environ:
            pytest.fail(said)
        pytest.skip(said)  # the list is not part of this project, so a clone alone cannot have it
    return file.read_text(encoding="utf-8", errors="surrogateescape").split("\n")
