"""What a revocation ends, and what it does not."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_server.errors import ErrorCode, Unauthenticated
from auth_server.model import AuthMethod, Identity
from auth_server.stores.revocation_list import Revocation, RevocationKind, RevocationList

# Few names and times, so that they meet; the empty one is what an identity has where it has none.
NAMES = st.sampled_from(["", "a", "b"])
TIMES = st.integers(0, 5).map(float)
REVOCATIONS = st.builds(
    Revocation, st.sampled_from(RevocationKind), st.sampled_from(["a", "b"]), TIMES, TIMES
)
IDENTITIES = st.builds(
    Identity,
    method=st.sampled_from(AuthMethod),
    expires_at=st.just(100.0),
    username=NAMES,
    client_id=NAMES,
    session_id=NAMES,
    issued_at=TIMES,
)


@dataclass
class Oracle:
    """The same by going through everything that ever came."""

    seen: list[Revocation] = field(default_factory=list)

    def ends(self, identity: Identity) -> bool:
        for one in self.seen:
            if one.kind is RevocationKind.SESSION and one.value == identity.session_id:
                return True
            name = identity.username if one.kind is RevocationKind.USER else identity.client_id
            is_about = one.kind is not RevocationKind.SESSION and one.value == name
            if is_about and identity.issued_at <= one.revoked_at:
                return True
        return False


def ends(revoked: RevocationList, identity: Identity) -> bool:
    """Tell whether the check refuses."""
    try:
        revoked.check(identity)
    except Unauthenticated as refusal:
        return refusal.code is ErrorCode.REVOKED
    return False


def test_what_a_revocation_ends_has_a_name_in_stores_and_commands() -> None:
    """What was written by one version is read by the next."""
    assert list(RevocationKind) == ["session", "user", "client"]


@given(st.lists(REVOCATIONS), IDENTITIES)
def test_the_check_is_what_the_list_says(revocations: list[Revocation], identity: Identity) -> None:
    """Three look-ups find what reading the whole list would find, in whatever order it came."""
    assert ends(RevocationList(revocations), identity) == Oracle(revocations).ends(identity)


@given(st.lists(REVOCATIONS), IDENTITIES, TIMES)
def test_forgetting_goes_by_the_latest_end(
    revocations: list[Revocation], identity: Identity, now: float
) -> None:
    """What is over is forgotten, and nothing that still lasts."""
    revoked = RevocationList(revocations)
    revoked.forget(now)
    latest = {(r.kind, r.value): 0.0 for r in revocations}
    for r in revocations:
        latest[r.kind, r.value] = max(latest[r.kind, r.value], r.expires_at)
    lasting = [r for r in revocations if latest[r.kind, r.value] > now]
    assert ends(revoked, identity) == Oracle(lasting).ends(identity)
    assert {(r.kind, r.value) for r in revoked} == {(r.kind, r.value) for r in lasting}
    assert len(revoked) == len(list(revoked))


@given(st.lists(REVOCATIONS), REVOCATIONS, IDENTITIES)
def test_what_is_covered_changes_nothing(
    revocations: list[Revocation], new: Revocation, identity: Identity
) -> None:
    """A revocation that is covered may be left out; one that was added is covered."""
    before, after = RevocationList(revocations), RevocationList([*revocations, new])
    assert after.covers(new)
    if before.covers(new):
        assert list(before) == list(after)
        assert ends(before, identity) == ends(after, identity)


@given(st.lists(REVOCATIONS), st.randoms())
def test_order_and_repetition_do_not_matter(revocations: list[Revocation], random: Random) -> None:
    """Workers that read the same in another order, or twice, judge the same."""
    shuffled = [*revocations, *revocations]
    random.shuffle(shuffled)
    assert set(RevocationList(revocations)) == set(RevocationList(shuffled))


@pytest.mark.parametrize("value", ["", "\ud800"])
def test_a_revocation_names_somebody(value: str) -> None:
    """One of nobody would be one of everybody who has no name; a lone surrogate fits in no store."""
    with pytest.raises(ValueError, match=r"names the session|surrogates"):
        Revocation(RevocationKind.SESSION, value, 1, 2)


@pytest.mark.parametrize("times", [(math.nan, 1), (1, math.inf), (-math.inf, 1)])
def test_a_revocation_has_a_time_and_an_end(times: tuple[float, float]) -> None:
    """Without, it would end nothing, or stay for good."""
    with pytest.raises(ValueError, match="a time and an end"):
        Revocation(RevocationKind.USER, "uma", *times)


def test_what_is_said_of_each_kind() -> None:
    """The answer says what to do about it, and names nobody."""
    said = []
    for kind in RevocationKind:
        revoked = RevocationList([Revocation(kind, "x", 5, 9)])
        with pytest.raises(Unauthenticated) as caught:
            revoked.check(Identity(AuthMethod.JWT, 100, "x", client_id="x", session_id="x", issued_at=5))
        said.append(caught.value.message)
    assert len(set(said)) == 3
    assert all("x" not in message.split() for message in said)
