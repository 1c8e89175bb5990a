from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator

import pytest
from coverage import Coverage
from coverage.exceptions import CoverageWarning
from hypothesis import HealthCheck, settings
from support import composed, coverage_bars
from support.compose import Stack

# How long an example takes is the machine's: in a fresh clone the first also builds a table of Unicode.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", settings.get_profile("untimed"), max_examples=20)  # for `make check`
settings.load_profile("untimed")

_REPORT = pytest.StashKey[str]()
_STATE = pytest.StashKey["tempfile.TemporaryDirectory[str]"]()


def pytest_configure(config: pytest.Config) -> None:
    """Keep whatever a test starts out of the user's own state folder."""
    config.stash[_STATE] = tempfile.TemporaryDirectory(prefix="mcp-auth-server-tests-")
    os.environ["STATE_DIRECTORY"] = config.stash[_STATE].name


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[_STATE].cleanup()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--coverage-bars", action="store_true", help="fail where the coverage bars are missed")


@pytest.hookimpl(trylast=True)  # when the processes that run tests side by side have ended
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Judge coverage inside the run, so that its result is part of pytest's own."""
    running = Coverage.current()
    if not session.config.getoption("--coverage-bars") or running is None:
        return
    running.stop()
    with warnings.catch_warnings():
        # Where other processes run the tests, this one has nothing of its own.
        warnings.simplefilter("ignore", CoverageWarning)
        running.save()
    if hasattr(session.config, "workerinput"):
        return
    met, session.config.stash[_REPORT] = coverage_bars.judge()
    if not met and exitstatus == 0:
        session.exitstatus = 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if report := config.stash.get(_REPORT, ""):
        terminalreporter.section("coverage")
        terminalreporter.write_line(report)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run tests that are coroutines on asyncio, as the sidecar does."""
    return "asyncio"


@pytest.fixture
def short_waits_for_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up on a SQLite file that somebody holds after a tenth of the time that the product waits."""
    monkeypatch.setattr("auth_server.stores.sqlite._BUSY_SECONDS", 0.3)


@pytest.fixture(scope="session")
def demo_stack() -> Iterator[Stack]:
    """What a fresh clone runs with `docker compose --profile demo up`: needs a container engine, and no test stops it."""
    with composed.running_demo_stack() as stack:
        yield stack
