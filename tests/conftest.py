from __future__ import annotations

import pytest
from coverage import Coverage
from support import coverage_bars

_REPORT = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--coverage-bars", action="store_true", help="fail where the coverage bars are missed")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Judge coverage inside the run, so that its result is part of pytest's own."""
    running = Coverage.current()
    if not session.config.getoption("--coverage-bars") or running is None:
        return
    running.stop()
    running.save()
    met, session.config.stash[_REPORT] = coverage_bars.judge()
    if not met and exitstatus == 0:
        session.exitstatus = 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if report := config.stash.get(_REPORT, ""):
        terminalreporter.section("coverage")
        terminalreporter.write_line(report)
