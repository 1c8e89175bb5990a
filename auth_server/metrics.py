"""What /metrics says, in the text format of Prometheus: the state of /readyz as numbers.

Each worker answers for itself; a scrape reaches one of them. How each call was decided stands in nginx's
access log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_OF_KEYS = {
    "keys": "Keys of the pool that can verify tokens now.",
    "age_seconds": "Seconds since the pool's keys were fetched.",
    "fetches": "Fetches of the pool's keys.",
    "unknown_kids": "Tokens whose key the pool does not have.",
}


def exposition(state: Mapping[str, Any]) -> bytes:
    """Return the metrics of a worker whose /readyz says `state`."""
    registry = CollectorRegistry()
    registry.register(_Collector(state))
    return generate_latest(registry)


class _Collector:
    def __init__(self, state: Mapping[str, Any]) -> None:
        self._state = state

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield each metric; one without a value yet is left out."""
        yield _gauge("ready", "Whether calls can be decided.", self._state["status"] == "ready")
        yield from _of_keys(self._state["keys"])
        policy = self._state["policy"]
        yield _gauge("policy_loaded_timestamp_seconds", "When the policy was loaded.", policy["loaded_at"])
        yield _gauge(
            "policy_stale", "Whether scopes.yml cannot be used as it is now.", bool(policy["last_error"])
        )
        yield from _of_revocations(self._state["revocations"])


def _of_keys(pools: list[dict[str, Any]]) -> Iterator[GaugeMetricFamily]:
    for name, meaning in _OF_KEYS.items():
        family = _family(f"keys_{name}" if name != "keys" else "keys", meaning, labels=["pool"])
        for pool in pools:
            if pool[name] is not None:
                family.add_metric([pool["pool"]], pool[name])
        yield family
    failing = _family("keys_failing", "Whether the last fetch of the pool's keys failed.", labels=["pool"])
    for pool in pools:
        failing.add_metric([pool["pool"]], bool(pool["last_error"]))
    yield failing


def _of_revocations(found: dict[str, Any]) -> Iterator[GaugeMetricFamily]:
    yield _gauge("revocations_reachable", "Whether the revocation store answers.", found["reachable"])
    yield _gauge("revocations_entries", "Revocations that are in force.", found["entries"])
    if found["behind_seconds"] is not None:
        meaning = "Seconds since the revocation store was last read."
        yield _gauge("revocations_behind_seconds", meaning, found["behind_seconds"])


def _gauge(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    family = _family(name, meaning)
    family.add_metric([], value)
    return family


def _family(name: str, meaning: str, labels: list[str] | None = None) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"auth_server_{name}", meaning, labels=labels)
