"""Streams end with what they stand on."""

from __future__ import annotations

import pytest

from auth_server.errors import ErrorCode, Unauthenticated, Unavailable
from auth_server.model import AuthMethod, Identity
from auth_server.relay.streams import OpenStream, ends_at, over

ADA = Identity(AuthMethod.JWT, 1000, username="ada")
BOB = Identity(AuthMethod.JWT, 2000, username="bob")


@pytest.mark.parametrize(("max_age", "end"), [(None, 1000), (10, 510), (600, 1000)])
def test_when_a_stream_ends_at_the_latest(max_age: int | None, end: float) -> None:
    """With its credential, or before where STREAM_MAX_AGE says so."""
    assert ends_at(ADA, max_age=max_age, now=500) == end


def test_which_are_over() -> None:
    """Those whose time has come, and those whose credential no longer counts or cannot be judged."""
    streams = [OpenStream(ADA, 1000, lambda: None), OpenStream(BOB, 2000, lambda: None)]

    def check(refused: Identity | None, error: Exception) -> list[OpenStream]:
        def judge(identity: Identity) -> None:
            if identity is refused:
                raise error

        return over(streams, judge, now=999)

    revoked = Unauthenticated(ErrorCode.REVOKED, "")
    assert check(None, revoked) == []
    assert check(BOB, revoked) == [streams[1]]
    assert check(ADA, Unavailable(ErrorCode.AUTH_UNAVAILABLE, "")) == [streams[0]]
    assert over(streams, lambda _: None, now=1000) == [streams[0]]
