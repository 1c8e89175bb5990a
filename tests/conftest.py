from __future__ import annotations

import contextlib
import importlib
import os
import pkgutil
import signal
import sys
import tempfile
import warnings
from collections.abc import Generator, Iterator

import pytest
from coverage import Coverage
from coverage.exceptions import CoverageWarning
from hypothesis import HealthCheck, settings
from support import composed, coverage_bars
from support.compose import Stack

import auth_server

# How long an example takes is the machine's: in a fresh clone the first also builds a table of Unicode.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", settings.get_profile("untimed"), max_examples=20)  # for `make check`
settings.load_profile("untimed")

_REPORT = pytest.StashKey[str]()
_STATE = pytest.StashKey["tempfile.TemporaryDirectory[str]"]()


def pytest_configure(config: pytest.Config) -> None:
    """Keep whatever a test starts out of the user's own state folder, and within reach of Ctrl-C."""
    config.stash[_STATE] = tempfile.TemporaryDirectory(prefix="mcp-auth-server-tests-")
    os.environ["STATE_DIRECTORY"] = config.stash[_STATE].name
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell has it ignored by what it starts in its background, and so would all that tests start.
        signal.signal(signal.SIGINT, signal.default_int_handler)


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


@contextlib.contextmanager
def _untraced() -> Iterator[None]:
    """Do without the tracer that measures coverage: what is done in Python takes three times as long with it."""
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(tracer)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect untraced, in each of the processes that run tests side by side, what was imported traced."""
    if Coverage.current() is not None:
        for module in pkgutil.walk_packages(auth_server.__path__, "auth_server."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    with _untraced():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Leave a search that is marked so out of the coverage."""
    with _untraced() if item.get_closest_marker("untraced") else contextlib.nullcontext():
        return (yield)


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
