"""What the benchmark says of the figures that it found."""

from pathlib import Path

import pytest

from bench import report
from bench.bars import BARS, Bar
from bench.results import Measured, Results, Spread, difference, ratio


def bar(key: str) -> Bar:
    """Return one of the bars."""
    return next(bar for bar in BARS if bar.key == key)


def verdicts(results: Results) -> dict[str, str]:
    """Return what the report says of each bar."""
    return {row[0]: row[-1] for row in report.bars(results).rows}


@pytest.mark.parametrize(
    ("key", "value", "verdict"),
    [
        ("hot", 0.70, "pass"),
        ("hot", 0.699, "falls short"),
        ("hot-envoy", 1.09, "falls short"),
        ("first-seen", 1.6, "pass"),
        ("first-seen", 1.61, "falls short"),
        ("memory", 80.1, "falls short"),
        ("start", 0.3, "pass"),
    ],
)
def test_a_bar_is_reached_at_its_limit_and_not_a_step_before(key: str, value: float, verdict: str) -> None:
    """Some are least values, some are most values; the limit itself counts as reached."""
    assert bar(key).verdict(Spread((value,))) == verdict


def test_the_median_decides_not_the_best_round() -> None:
    """One good round out of three proves nothing, one bad one spoils nothing."""
    assert bar("hot").verdict(Spread((0.5, 0.6, 0.9))) == "falls short"
    assert bar("hot").verdict(Spread((0.1, 0.8, 0.9))) == "pass"


def test_what_was_not_measured_does_not_pass() -> None:
    """A figure that failed, or was left out, is said so beside the others."""
    results = Results(measured={"start": Measured(Spread((0.3,)))})
    said = verdicts(results)
    assert len(said) == len(BARS)
    assert said.pop(bar("start").what) == "pass"
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
    disturbed = Results(measured={"start": Measured(Spread((0.3,)))}, disturbance=[0.02, 0.3, 0.4])
    assert "too much" in report.disturbance(disturbed)
    assert verdicts(disturbed)[bar("start").what] == "pass, disturbed"
    assert report.disturbance(Results(disturbance=[0.0, 0.02, 0.3])).endswith("while it was measured.")
    assert not report.disturbance(Results())


def test_the_report_has_the_bar_the_figure_and_the_verdict_in_one_row() -> None:
    """bench/results.md is read by people: bar, median with its spread, by processor time, verdict."""
    measured = Measured(Spread((0.6, 0.5, 0.7)), Spread((0.55,)))
    text = report.markdown(Results(measured={"hot": measured}), ["about"])
    row = "| gateway, hot decision ÷ bare nginx | ≥ 0.70 | 0.60 (0.50-0.70) | 0.55 | falls short |"
    assert row in text.splitlines()


def test_the_committed_results_are_of_the_bars_as_they_are() -> None:
    """Whoever changes a bar measures again: the table in bench/results.md names each, with its limit."""
    lines = (Path(__file__).parents[2] / "bench" / "results.md").read_text().splitlines()
    for one in BARS:
        assert any(line.startswith(f"| {one.what} | {one.said} |") for line in lines), one.what
