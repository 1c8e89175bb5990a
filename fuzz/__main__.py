"""`python -m fuzz SURFACE [libFuzzer's options]`: atheris searches one place where strangers' bytes come in.

The searches of tests/test_fuzz.py without their bounds: coverage of the gateway's code guides this one. A
finding is a traceback, and the bytes in a file.
"""

import logging
import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

with atheris.instrument_imports(include=["auth_server", "jwt", "itsdangerous"]):
    from support import surfaces


def main() -> None:
    """Search one surface, from what is let through there."""
    surface, options = sys.argv[1], sys.argv[2:]
    logging.disable()
    knock, seeds = surfaces.seeds()[surface]
    corpus = Path(".state", "fuzz", surface)
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    atheris.Setup([sys.argv[0], str(corpus), *options], knock)
    atheris.Fuzz()


main()
