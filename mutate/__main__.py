"""`python -m mutate [FILE ...]`: names each change of the core and of the border that no test notices.

Each change is made alone, in a copy of the package, and the tests of that file are run there until one fails.
FILE is a path below auth_server/ or nginx/; without any, all of TESTS. Exit 1 where a change survived that is
not in mutate/equivalent.py.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import hypothesis
import pytest

from mutate import Mutant, nginx_conf, python_source
from mutate.equivalent import EQUIVALENT

ROOT = Path(__file__).parent.parent
COPIES = ROOT / ".state" / "mutate"
JOBS = 2

# The tests of each file, those first that are its own.
GENERATED = "gateway/test_generated.py"
ANSWERS = "gateway/test_answers.py"
THROUGH_NGINX = (
    "gateway/test_headers.py",
    "gateway/test_refusals.py",
    "gateway/test_targets.py",
    "gateway/test_who_first.py",
    ANSWERS,
)
TESTS: dict[str, tuple[str, ...]] = {
    "auth_server/contract.py": (
        "test_contract.py",
        "validate/test_request.py",
        "validate/test_responses.py",
        "identity/test_credentials.py",
        GENERATED,
        "gateway/test_headers.py",
    ),
    "auth_server/headers.py": ("test_headers.py", "validate/test_request.py", "identity/test_credentials.py"),
    "auth_server/model.py": (
        "policy/test_grants.py",
        "validate/test_message.py",
        "identity/test_credentials.py",
    ),
    "auth_server/errors.py": ("test_errors.py", "validate/test_responses.py"),
    "auth_server/validate/browser.py": ("validate/test_browser.py",),
    "auth_server/validate/request.py": ("validate/test_request.py",),
    "auth_server/validate/message.py": ("validate/test_message.py", "validate/test_message_readings.py"),
    "auth_server/validate/responses.py": ("validate/test_responses.py", GENERATED),
    "auth_server/validate/sessions.py": ("validate/test_sessions.py",),
    "auth_server/validate/way.py": ("validate/test_way.py",),
    "auth_server/relay/answers.py": ("relay/test_answers.py",),
    "auth_server/relay/endpoint.py": ("relay/test_endpoint.py",),
    "auth_server/relay/events.py": ("relay/test_events.py", "relay/test_answers.py"),
    "auth_server/relay/lists.py": ("relay/test_lists.py",),
    "auth_server/relay/streams.py": ("relay/test_streams.py",),
    "auth_server/validate/validate.py": ("validate/test_validate.py", "validate/test_senders.py"),
    "auth_server/identity/credentials.py": ("identity/test_credentials.py",),
    "auth_server/identity/identify.py": ("identity/test_identify.py", "identity/test_groups.py"),
    "auth_server/identity/tokens.py": ("identity/test_tokens.py", "identity/test_identify.py"),
    "auth_server/identity/cognito_claims.py": (
        "identity/test_cognito_claims.py",
        "identity/test_tokens.py",
        "identity/test_sign_in_tokens.py",
    ),
    "auth_server/identity/session_cookie.py": ("identity/test_session_cookie.py",),
    "auth_server/stores/revocation_list.py": ("stores/test_revocation_list.py",),
    "auth_server/policy/grants.py": ("policy/test_grants.py", "policy/test_oracle.py"),
    "auth_server/policy/patterns.py": ("policy/test_patterns.py",),
    "auth_server/policy/uri_templates.py": ("policy/test_uri_templates.py",),
    "auth_server/policy/dot_segments.py": ("policy/test_dot_segments.py",),
    "auth_server/config/settings.py": ("config/test_settings.py",),
    "nginx/answer.conf": (ANSWERS,),
    "nginx/generated/answer.conf": (GENERATED,),
    "nginx/generated/backend.conf": (GENERATED,),
    "nginx/generated/inner.conf": (GENERATED,),
    "nginx/generated/server.conf": (GENERATED,),
    "nginx/generated/sidecar.conf": (GENERATED,),
    "nginx/http.conf": THROUGH_NGINX,
    "nginx/mcp.conf": THROUGH_NGINX,
    "nginx/page.conf": ("gateway/test_mcp_authorization.py", "gateway/test_web.py"),
    "nginx/server.conf": THROUGH_NGINX,
    "nginx/sidecar.conf": THROUGH_NGINX,
    "nginx/upstream.conf": THROUGH_NGINX,
}
# What nginx/generated/ is made from.
GENERATING = ("auth_server/contract.py", "auth_server/errors.py", "auth_server/validate/responses.py")

# Imported once, for all the processes that are forked from this one: most of a short run is imports.
PRELOADED = (
    *("anyio.pytest_plugin", "cryptography.x509", "httpx", "itsdangerous", "jwt", "mcp.types", "msgspec"),
    *("pydantic", "starlette.applications", "starlette.testclient", "uvicorn", "xdist.plugin", "yaml"),
)


def mutants(file: str) -> list[Mutant]:
    """Return the mutants of one file."""
    of = nginx_conf.mutants if file.startswith("nginx/") else python_source.mutants
    return list(of(file, (ROOT / file).read_bytes()))


def survives(mutant: Mutant) -> tuple[Mutant, bool]:
    """Make that change in a copy, run its tests there, and tell whether all of them pass."""
    with tempfile.TemporaryDirectory(dir=COPIES) as name:
        folder = Path(name)
        _copy(folder)
        path = folder / mutant.file
        source = path.read_bytes()
        path.unlink()
        path.write_bytes(source[: mutant.start] + mutant.after.encode() + source[mutant.end :])
        _mute()
        return mutant, _generated(folder, mutant.file) and passes(folder, TESTS[mutant.file])


def passes(folder: Path, tests: tuple[str, ...]) -> bool:
    """Run these tests of the repository in that folder; tell whether all of them pass."""
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    options = ["-x", "-q", "--assert=plain", "-p", "no:randomly", "-p", "no:cacheprovider", "--timeout=60"]
    return pytest.main([*options, "--hypothesis-profile=mutate", *(f"tests/{one}" for one in tests)]) == 0


def _copy(folder: Path) -> None:
    for name in ("auth_server", "tests"):  # links: nothing writes there but survives()
        shutil.copytree(ROOT / name, folder / name, copy_function=os.link)
    shutil.copytree(ROOT / "nginx", folder / "nginx")
    for name in ("pyproject.toml", "scopes.yml"):
        shutil.copy(ROOT / name, folder)
    (folder / ".state").symlink_to(ROOT / ".state")


def _generated(folder: Path, file: str) -> bool:
    """Make nginx/generated/ anew where it is made from that file: who changed it had done so."""
    command = [sys.executable, "-m", "auth_server.gateway.generated"]
    return file not in GENERATING or not subprocess.run(command, cwd=folder, check=False).returncode


def _mute() -> None:
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)


def main() -> int:
    """Judge the tests of the files that the command line names."""
    files = [f"auth_server/{one}" if one.endswith(".py") else one for one in sys.argv[1:]] or list(TESTS)
    COPIES.mkdir(parents=True, exist_ok=True)
    for name in PRELOADED:
        importlib.import_module(name)
    # A found example is enough: nobody reads the smallest.
    phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
    hypothesis.settings.register_profile("mutate", phases=phases, deadline=None, database=None)
    survivors = 0
    with multiprocessing.get_context("fork").Pool(JOBS, maxtasksperchild=1) as pool:
        if not pool.apply(passes, (ROOT, tuple({test: None for file in files for test in TESTS[file]}))):
            print("the tests fail without any change")
            return 1
        for file in files:
            start = time.monotonic()
            found = mutants(file)
            alive = [one for one, survived in pool.imap_unordered(survives, found) if survived]
            known = EQUIVALENT.get(file, {})
            unknown = sorted(one for one in alive if one.change not in known and one.said not in known)
            seconds = time.monotonic() - start
            print(f"{file}: {len(found)} changes, {len(unknown)} unnoticed, {seconds:.0f} s")
            print(*unknown, sep="\n", end="\n" if unknown else "", flush=True)
            survivors += len(unknown)
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
