"""Figures through nginx: this gateway beside bare nginx and Envoy."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING

from auth_server.gateway.nginx import nginx_folder
from bench import constant_rate, load, messages, policies
from bench.credentials import cookie
from bench.results import Measured, Share, Spread, Table, difference, ratio
from bench.rounds import MANY, Contender, costs, costs_of, per_core, rates, warm

if TYPE_CHECKING:
    from bench.load import Run
    from bench.rounds import Bench

RATE = 2000
SIZES = {10_000: "10 kB", 1_000_000: "1 MB"}


def proxies(bench: Bench) -> None:
    """Compare this gateway with bare nginx and with Envoy."""
    shop = bench.workshop
    post = bench.posts()
    body = messages.tools_call(130)
    token = messages.bearer(bench.credentials.tokens[0])
    other_tool = messages.post(token, messages.tools_call(130, tool=policies.FORBIDDEN_TOOL))
    with contextlib.ExitStack() as stack:
        bare = stack.enter_context(shop.bare())
        logging = stack.enter_context(shop.bare(access_log="/dev/null"))
        gateway = stack.enter_context(shop.gateway("gateway"))
        envoy = stack.enter_context(shop.envoy("envoy", tool_check=False))
        envoy_lua = stack.enter_context(shop.envoy("envoy-lua", tool_check=True))
        with_cookie = bench.requests([messages.post(messages.session(cookie()), body)])
        refused = bench.requests([other_tool], status=403)
        load.probe(envoy_lua, refused)
        runs = bench.alternate(
            [
                Contender("bare nginx", bare, post),
                Contender("bare nginx, with its access log", logging, post),
                Contender("gateway", gateway, post),
                Contender("gateway, session cookie", gateway, with_cookie),
                Contender("gateway, 10,000 tokens in turn", gateway, bench.posts(MANY)),
                Contender("gateway, refusals (403)", gateway, refused),
                Contender("Envoy, JWT cache", envoy, post),
                Contender("Envoy, JWT cache, tool check in Lua", envoy_lua, post),
            ]
        )
    bench.tell(
        "Through the proxy",
        "POST tools/call of 130 bytes, one token. The gateway writes its access log (to /dev/null); bare "
        "nginx, as the bars have it, and Envoy write none. Envoy without Lua does not look at the tool.",
        runs,
    )
    at = {name: rates(own) for name, own in runs.items()}
    for name, figure in at.items():
        share = ratio(figure, at["bare nginx"])
        bench.results.shares.append(Share("÷ bare nginx", name, share, name.startswith("gateway")))
    ours, plain, refusals = runs["gateway"], runs["bare nginx"], runs["gateway, refusals (403)"]
    bench.results.measured |= {
        "gateway": _measured(ours, plain),
        "nginx": Measured(by_cpu=ratio(costs_of(ours, "nginx"), costs_of(plain, "nginx"))),
        "envoy": _measured(ours, runs["Envoy, JWT cache, tool check in Lua"]),
    }
    bench.results.sizing |= {
        "nginx: one core": per_core(ours, "nginx"),
        "nginx, refusals: one core": per_core(refusals, "nginx"),
        "sidecar, one known token: one core": per_core(ours, "python"),
        "sidecar, refusals: one core": per_core(refusals, "python"),
    }


def other_nginx(bench: Bench) -> None:
    """Compare the gateway with bare nginx on the nginx that BENCH_NGINX names, if it names one."""
    other = bench.workshop.other_nginx()
    if other is None:
        return
    with other.bare() as bare, other.gateway("gateway") as gateway:
        runs = bench.alternate(
            [
                Contender("bare nginx", bare, bench.posts()),
                Contender("gateway", gateway, bench.posts()),
                Contender("gateway, 1 MB", gateway, bench.posts(size=1_000_000)),
                Contender("bare nginx, 1 MB", bare, bench.posts(size=1_000_000)),
            ]
        )
    bench.tell(f"On {other.nginx_version()}", "As “Through the proxy”.", runs)
    ours, plain = runs["gateway"], runs["bare nginx"]
    large = _measured(runs["gateway, 1 MB"], runs["bare nginx, 1 MB"])
    rows = [
        _ratios("gateway ÷ bare nginx", _measured(ours, plain)),
        (
            "nginx's processor time ÷ bare nginx's",
            "",
            ratio(costs_of(ours, "nginx"), costs_of(plain, "nginx")).show(2),
        ),
        _ratios("messages of 1 MB, gateway ÷ bare nginx", large),
    ]
    columns = ("", "by throughput", "by processor time")
    bench.results.tables.append(
        Table(f"Ratios on {other.nginx_version()}", "No bar: for comparison.", columns, rows)
    )


def payloads(bench: Bench) -> None:
    """Compare messages of 10 kB and 1 MB."""
    shop = bench.workshop
    with (
        shop.bare() as bare,
        shop.gateway("gateway") as gateway,
        shop.envoy("envoy", tool_check=True) as envoy,
    ):
        for size, said in SIZES.items():
            post = bench.posts(size=size)
            runs = bench.alternate(
                [
                    Contender("bare nginx", bare, post),
                    Contender("gateway", gateway, post),
                    Contender("Envoy, JWT cache, tool check in Lua", envoy, post),
                ]
            )
            note = 'The arguments carry a text in which every line ends in \\n and holds two \\".'
            bench.tell(f"Messages of {said}", note, runs)
    bench.results.measured["1-mb"] = _measured(runs["gateway"], runs["bare nginx"])


def latency(bench: Bench) -> None:
    """Compare latencies at a constant rate."""
    shop = bench.workshop
    post = bench.posts()
    found: dict[str, list[constant_rate.Latency]] = {}
    with contextlib.ExitStack() as stack:
        contenders = [
            Contender("bare nginx", stack.enter_context(shop.bare()), post),
            Contender("gateway", stack.enter_context(shop.gateway("gateway")), post),
            Contender("Envoy, JWT cache", stack.enter_context(shop.envoy("envoy", tool_check=False)), post),
        ]
        for contender in contenders:
            warm(contender)
        for number in range(bench.rounds):
            for one in contenders if number % 2 == 0 else reversed(contenders):
                send = partial(constant_rate.measure, one.server, post, rate=RATE, seconds=bench.seconds)
                measured = bench.quietest(send)
                found.setdefault(one.name, []).append(measured)
    names = [contender.name for contender in contenders]
    p50 = {name: Spread(tuple(one.p50 for one in found[name])) for name in names}
    p99 = {name: Spread(tuple(one.p99 for one in found[name])) for name in names}
    late = Spread(tuple(one.own_delay_p99 for name in names for one in found[name]))
    added50 = {name: difference(p50[name], p50["bare nginx"]) for name in names}
    added99 = {name: difference(p99[name], p99["bare nginx"]) for name in names}
    rows = [
        (
            name,
            p50[name].show(3, " ms", 1e3),
            p99[name].show(3, " ms", 1e3),
            f"{added50[name].median * 1e3:.3f} ms",
            f"{added99[name].median * 1e3:.3f} ms",
        )
        for name in names
    ]
    note = (
        f"At {RATE:,} requests a second, each timed from the moment it was due. The generator itself was "
        f"at most {late.median * 1e3:.3f} ms late for 99 % of them (median of the runs)."
    )
    columns = ("", "p50 (least-most)", "p99 (least-most)", "added p50", "added p99")
    bench.results.tables.append(Table("Latency", note, columns, rows))
    for key, added in (("p50", added50), ("p99", added99)):
        milliseconds = Spread(tuple(seconds * 1e3 for seconds in added["gateway"].values))
        bench.results.measured[key] = Measured(milliseconds)


def lines(bench: Bench) -> None:
    """Count the lines of nginx's files."""
    files = [file for file in nginx_folder().rglob("*") if file.is_file()]
    count = sum(len(file.read_text().splitlines()) for file in files)
    bench.results.measured["lines"] = Measured(Spread((count,)))


def _measured(over: list[Run], under: list[Run]) -> Measured:
    return Measured(ratio(rates(over), rates(under)), ratio(costs(under), costs(over)))


def _ratios(name: str, measured: Measured) -> tuple[str, ...]:
    shown = (figure.show(2) if figure else "" for figure in (measured.by_time, measured.by_cpu))
    return (name, *shown)
