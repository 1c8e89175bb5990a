"""Every figure by its name, in the order in which a run makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import memory, profile, sidecar_alone, through_nginx

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.rounds import Bench

FIGURES: dict[str, Callable[[Bench], None]] = {
    "proxies": through_nginx.proxies,
    "sidecar": sidecar_alone.sidecar,
    "workers": sidecar_alone.workers,
    "first-seen": sidecar_alone.first_seen,
    "latency": through_nginx.latency,
    "payloads": through_nginx.payloads,
    "other-nginx": through_nginx.other_nginx,
    "memory": memory.memory,
    "lines": through_nginx.lines,
    "profile": profile.profile,
}
