"""Every figure by its name, in the order in which a run makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import alone, njs, profile, resident, through_nginx

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.rounds import Bench

FIGURES: dict[str, Callable[[Bench], None]] = {
    "proxies": through_nginx.proxies,
    "sidecar": alone.sidecar,
    "first-seen": alone.first_seen,
    "latency": through_nginx.latency,
    "payloads": through_nginx.payloads,
    "tokens": through_nginx.many_tokens,
    "memory": resident.memory,
    "start": alone.start,
    "script": njs.script,
    "profile": profile.profile,
}
