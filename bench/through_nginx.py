"""Figures through nginx: this gateway beside bare nginx and Envoy."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING

from bench import constant_rate, load, messages, policies
from bench.credentials import cookie
from bench.results import Measured, Share, Spread, Table, difference, ratio
from bench.rounds import MANY, Contender, costs, per_core, rates, warm

if TYPE_CHECKING:
    from bench.rounds import Bench

RATE = 2000


def proxies(bench: Bench) -> None:
    """Compare this gateway with bare nginx and with Envoy."""
    shop = bench.workshop
    post = bench.posts()
    body = messages.tools_call(130)
    token = messages.bearer(bench.credentials.tokens[0])
    other_tool = messages.tools_call(130, tool=policies.FORBIDDEN_TOOL)
    with contextlib.ExitStack() as stack:
        bare = stack.enter_context(shop.bare())
        logging = stack.enter_context(shop.bare(access_log="/dev/null"))
        hot = stack.enter_context(shop.gateway("gateway"))
        off = stack.enter_context(shop.gateway("gateway-uncached", DECISION_TTL="0"))
        envoy = stack.enter_context(shop.envoy("envoy", cache=False))
        envoy_cache = stack.enter_context(shop.envoy("envoy-cache", cache=True))
        envoy_lua = stack.enter_context(shop.envoy("envoy-lua", cache=True, tool_check=True))
        with_cookie = bench.requests([messages.post(messages.session(cookie()), body)])
        refused = bench.requests([messages.post(token, other_tool)], status=403)
        load.probe(envoy_lua, bench.requests([messages.post(token, other_tool)], status=403))
        runs = bench.alternate(
            [
                Contender("bare nginx", bare, post),
                Contender("bare nginx, with its access log", logging, post),
                Contender("gateway, hot decision", hot, post),
                Contender("gateway, decision cache off", off, post),
                Contender("gateway, hot decision, cookie", hot, with_cookie),
                Contender("gateway, refusals (403)", hot, refused),
                Contender("Envoy jwt_authn", envoy, post),
                Contender("Envoy jwt_authn, jwt_cache", envoy_cache, post),
                Contender("Envoy jwt_authn, jwt_cache, tool check in Lua", envoy_lua, post),
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
    ours, unkept = "gateway, hot decision", "gateway, decision cache off"
    cached, lua = "Envoy jwt_authn, jwt_cache", "Envoy jwt_authn, jwt_cache, tool check in Lua"

    def measured(over: str, under: str) -> Measured:
        return Measured(ratio(at[over], at[under]), ratio(costs(runs[under]), costs(runs[over])))

    bench.results.measured |= {
        "hot": measured(ours, "bare nginx"),
        "hot-envoy": measured(ours, cached),
        "uncached": measured(unkept, "bare nginx"),
    }
    refusals = runs["gateway, refusals (403)"]
    bench.results.sizing |= {
        "nginx, decision known: one core": per_core(runs[ours], "nginx"),
        "nginx, decision asked for: one core": per_core(runs[unkept], "nginx"),
        "nginx, refusals: one core": per_core(refusals, "nginx"),
        "sidecar, the same question again: one core": per_core(runs[unkept], "python"),
        "sidecar, refusals: one core": per_core(refusals, "python"),
    }
    bench.results.tables.append(
        Table(
            "The same question asked of both",
            "Both verify the token, read the JSON body and look for the tool in a grant.",
            ("", "ratio (least-most)"),
            [("gateway, hot decision ÷ Envoy with jwt_cache and Lua", ratio(at[ours], at[lua]).show(2))],
        )
    )


def payloads(bench: Bench) -> None:
    """Compare bodies of 10 kB and 1 MB."""
    shop = bench.workshop
    with contextlib.ExitStack() as stack:
        bare = stack.enter_context(shop.bare())
        hot = stack.enter_context(shop.gateway("gateway"))
        envoy_lua = stack.enter_context(shop.envoy("envoy-lua", cache=True, tool_check=True))
        for size, said in ((10_000, "10 kB"), (1_000_000, "1 MB")):
            escaped, plain = bench.posts(size=size), bench.posts(size=size, escapes=False)
            runs = bench.alternate(
                [
                    Contender("bare nginx", bare, escaped),
                    Contender("gateway, text with escapes", hot, escaped),
                    Contender("gateway, text without", hot, plain),
                    Contender("Envoy jwt_cache, Lua, text with escapes", envoy_lua, escaped),
                ]
            )
            bench.tell(
                f"Bodies of {said}",
                'The arguments carry a text; with escapes, every line ends in \\n and holds two \\".',
                runs,
            )
    bare_runs, own = runs["bare nginx"], runs["gateway, text with escapes"]
    figure, by_cpu = ratio(rates(own), rates(bare_runs)), ratio(costs(bare_runs), costs(own))
    bench.results.measured["1-mb"] = Measured(figure, by_cpu)


def many_tokens(bench: Bench) -> None:
    """Compare 1, 100 and 10,000 distinct tokens in turn."""
    shop = bench.workshop
    with contextlib.ExitStack() as stack:
        bare = stack.enter_context(shop.bare())
        hot = stack.enter_context(shop.gateway("gateway"))
        envoy_cache = stack.enter_context(shop.envoy("envoy-cache", cache=True))
        contenders = [Contender("bare nginx", bare, bench.posts())]
        for count in (1, 100, MANY):
            posts = bench.posts(count)
            contenders.append(Contender(f"gateway, {count:,} tokens", hot, posts))
            contenders.append(Contender(f"Envoy jwt_cache, {count:,} tokens", envoy_cache, posts))
        runs = bench.alternate(contenders)
    note = "Tokens take turns. A decision is kept for 5 s, so with 10,000 tokens most are asked for again."
    bench.tell("Distinct tokens", note, runs)


def latency(bench: Bench) -> None:
    """Compare latencies at a constant rate."""
    shop = bench.workshop
    post = bench.posts()
    found: dict[str, list[constant_rate.Latency]] = {}
    with contextlib.ExitStack() as stack:
        contenders = [
            Contender("bare nginx", stack.enter_context(shop.bare()), post),
            Contender("gateway, hot decision", stack.enter_context(shop.gateway("gateway")), post),
            Contender(
                "gateway, decision cache off",
                stack.enter_context(shop.gateway("gateway-uncached", DECISION_TTL="0")),
                post,
            ),
            Contender(
                "Envoy jwt_authn, jwt_cache", stack.enter_context(shop.envoy("envoy-cache", cache=True)), post
            ),
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
    hot = "gateway, hot decision"
    milliseconds = [Spread(tuple(v * 1e3 for v in added[hot].values)) for added in (added50, added99)]
    for key, added in zip(("p50", "p99"), milliseconds, strict=True):
        bench.results.measured[key] = Measured(added)
