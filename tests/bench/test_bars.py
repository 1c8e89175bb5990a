"""What the benchmark says of the figures that it found."""

from pathlib import Path

import pytest

from bench import report
from bench.bars import BARS, Bar
from bench.results import Measured, Results, Spread, difference, ratio


def bar(key: str) -> Bar:
    """Return one of the bars."""
    return next(bar for bar in BARS if bar.key == key)


def reached(results: Results) -> dict[str, str]:
    """Return what the report says of each bar."""
    return {row[0]: row[-1] for row in report.bars(results).rows}


@pytest.mark.parametrize(
    ("key", "value", "verdict"),
    [
        ("gateway", 0.45, "aim"),
        ("gateway", 0.449, "least"),
        ("gateway", 0.38, "least"),
        ("gateway", 0.379, "falls short"),
        ("first-seen", 1.6, "aim"),
        ("first-seen", 2.0, "least"),
        ("first-seen", 2.01, "falls short"),
        ("lines", 401, "falls short"),
    ],
)
def test_a_bar_is_reached_at_its_limit_and_not_a_step_before(key: str, value: float, verdict: str) -> None:
    """Some are least values, some are most values; the limit itself counts as reached."""
    assert bar(key).verdict(Measured(Spread((value,)))) == verdict


def test_the_median_decides_not_the_best_round() -> None:
    """One good round out of three proves nothing, one bad one spoils nothing."""
    assert bar("gateway").verdict(Measured(Spread((0.2, 0.3, 0.9)))) == "falls short"
    assert bar("gateway").verdict(Measured(Spread((0.1, 0.5, 0.6)))) == "aim"


def test_a_bar_of_processor_time_is_not_met_by_throughput() -> None:
    """nginx's share of the work shows in its processor time alone; each bar says which of both it is about."""
    assert bar("nginx").by_cpu
    assert bar("nginx").verdict(Measured(Spread((1.0,)), Spread((1.7,)))) == "least"
    with pytest.raises(ValueError, match="not by what its bar is about"):
        bar("nginx").verdict(Measured(Spread((1.0,))))


def test_what_was_not_measured_is_not_reached() -> None:
    """A figure that failed, or was left out, is said so beside the others."""
    results = Results(measured={"lines": Measured(Spread((250,)))})
    said = reached(results)
    assert len(said) == len(BARS)
    assert said.pop(bar("lines").what) == "aim"
    assert set(said.values()) == {"not measured"}


def test_ratios_are_of_the_same_round() -> None:
    """A slow moment of the machine is in both, so it must not be in the ratio."""
    fast, slow = Spread((100.0, 50.0, 10.0)), Spread((50.0, 25.0, 5.0))
    assert ratio(slow, fast).values == (0.5, 0.5, 0.5)
    assert difference(fast, slow).values == (50.0, 25.0, 5.0)
    with pytest.raises(ValueError, match="shorter"):
        ratio(fast, Spread((1.0,)))


def test_a_disturbed_run_says_so() -> None:
    """Figures of a machine that others use are not taken for its own; a quiet run has no such words."""
    disturbed = Results(measured={"lines": Measured(Spread((250,)))}, disturbance=[0.02, 0.3, 0.4])
    assert "too much" in report.disturbance(disturbed)
    assert reached(disturbed)[bar("lines").what] == "aim, disturbed"
    assert report.disturbance(Results(disturbance=[0.0, 0.02, 0.3])).endswith("while it was measured.")
    assert not report.disturbance(Results())


def test_the_report_has_both_limits_both_figures_and_the_verdict_in_one_row() -> None:
    """bench/results.md is read by people; the figure that counts stands with its spread."""
    measured = Measured(Spread((0.4, 0.3, 0.5)), Spread((0.35,)))
    text = report.markdown(Results(measured={"gateway": measured}), ["about"])
    row = "| gateway ÷ bare nginx | ≥ 0.38 | ≥ 0.45 | 0.40 (0.30-0.50) | 0.35 | least |"
    assert row in text.splitlines()


def test_the_committed_results_are_of_the_bars_as_they_are() -> None:
    """Whoever changes a bar measures again: the table in bench/results.md names each, with its limits."""
    lines = (Path(__file__).parents[2] / "bench" / "results.md").read_text().splitlines()
    for one in BARS:
        row = f"| {one.what} | {one.said(one.least)} | {one.said(one.aim)} |"
        assert any(line.startswith(row) for line in lines), one.what
