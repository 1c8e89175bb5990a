"""What a single request costs is measured on the real processes, and held to bounds."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import costs, credentials, hostile, load, messages, processes, servers
from bench.costs import Cost
from bench.hostile import Request
from bench.processes import Server
from bench.rounds import until_it_answers

SMALL = messages.tools_call(130)


@pytest.fixture(scope="module")
def signed() -> credentials.Credentials:
    return credentials.sign(20, int(time.time()) + 3600)


@pytest.fixture(scope="module")
def bearer(signed: credentials.Credentials) -> str:
    return messages.bearer(signed.tokens[0])


@pytest.fixture(scope="module")
def gateway(signed: credentials.Credentials, bearer: str) -> Iterator[Server]:
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        servers.workshop(Path(folder), signed.jwks) as shop,
        shop.gateway("gateway") as started,
    ):
        until_it_answers(started, load.write(shop.folder, [messages.post(bearer, SMALL)]))
        yield started


def request(name: str) -> Request:
    """Return the request of that name."""
    return next(one for one in hostile.REQUESTS if one.name == name)


def cost(**changes: object) -> Cost:
    """Return what costs nothing, but for these changes."""
    nothing = {"cpu": {"nginx": 0.0}, "memory": {"nginx": 0}, "status": "200", "took": 0.0, "others": 0.0}
    return Cost(**{**nothing, **changes})  # type: ignore[arg-type]  # as the caller gives them


def test_a_call_of_four_megabytes_is_seen_in_both_processes(gateway: Server, bearer: str) -> None:
    """It goes through nginx and the sidecar, which hold it for a moment; without a credential neither does."""
    small = messages.post(bearer, SMALL)
    granted = costs.measure(gateway, request("a call of 4 MB"), bearer, small)
    assert granted.status == "200"
    assert all(grown > 4_000_000 for grown in granted.memory.values())
    assert all(used > 0 for used in granted.cpu.values())
    refused = costs.measure(gateway, request("a call of 4 MB"), "X-No: credential", small)
    assert refused.status == "401"
    assert all(grown < 1_000_000 for grown in refused.memory.values())
    assert not granted.beyond()
    assert not refused.beyond()


def test_each_bound_that_is_broken_is_named() -> None:
    """At the bound nothing is said, beyond it what, and a request that may last is not held to its time."""
    assert cost(cpu={"nginx": 0.25}, took=12.0, others=0.5).beyond() == []
    assert cost(cpu={"nginx": 0.1, "sidecar": 0.26}).beyond() == ["sidecar's time"]
    assert cost(memory={"nginx": 65 * 2**20}).beyond() == ["nginx's memory"]
    assert cost(took=12.1, others=0.51).beyond() == ["time", "others"]
    assert cost(took=12.1).beyond(lasts=True) == []


def test_no_request_of_the_table_is_larger_than_what_is_let_in() -> None:
    """Each is about what it is named for, and none is refused for its size alone."""
    for one in hostile.REQUESTS:
        whole = b"".join(one.pieces("X-No: credential"))
        if b"Transfer-Encoding: chunked" not in whole[:1000]:
            assert len(whole.partition(b"\r\n\r\n")[2]) <= hostile.LARGE, one.name


def test_the_peak_of_a_process_can_be_taken_anew(gateway: Server) -> None:
    """What it held before the request is not the request's."""
    (worker,) = gateway.processes("nginx: worker")
    processes.forget_peak(worker)
    assert processes.peak(worker) - processes.resident(worker) < 1_000_000
