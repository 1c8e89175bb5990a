"""What a process does about those that it starts. That they end with it is shown in gateway/test_lifecycle.py."""

from __future__ import annotations

from auth_server.children import next_pause


def test_quick_deaths_in_a_row_are_waited_for_ever_longer() -> None:
    """From a tenth of a second to five, doubling."""
    pauses = [0.0]
    for _ in range(8):
        pauses.append(next_pause(pauses[-1], ran=1))
    assert pauses[1:] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5]


def test_a_good_run_makes_up_for_what_was_before() -> None:
    """Who dies once a day is there again at once, each day."""
    assert next_pause(5, ran=11) == next_pause(0, ran=11) == 0.1
