"""What is measured, and against what. Everything that is compared runs in turn, within the same seconds."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import jwt

from bench import constant_rate, load, messages, njs, policies, processes, servers, streams
from bench.credentials import ISSUER, cookie
from bench.results import Bar, Results, Share, Spread, Table, difference, ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.credentials import Credentials
    from bench.load import Requests, Run
    from bench.processes import Server
    from bench.servers import Workshop

RATE = 2000
STREAMS = 500
MANY = 10_000

_LOAD_COLUMNS = ("", "requests/s (least-most)", "÷ first row", "processor µs per request", "of which")


@dataclass(frozen=True, slots=True)
class Contender:
    """A server, and what it is sent."""

    name: str
    server: Server
    requests: Requests


@dataclass(frozen=True, slots=True)
class Bench:
    """How long to measure, and with what."""

    workshop: Workshop
    credentials: Credentials
    results: Results
    rounds: int
    seconds: float

    def requests(self, made: Sequence[bytes], *, status: int = 200) -> Requests:
        """Write requests for wrk."""
        return load.write(self.workshop.folder, made, status=status)

    def posts(self, tokens: int = 1, size: int = 130, *, escapes: bool = True) -> Requests:
        """Return calls of a tool through a proxy, with so many distinct tokens."""
        body = messages.tools_call(size, escapes=escapes)
        return self.requests(
            [messages.post(messages.bearer(token), body) for token in self.credentials.tokens[:tokens]]
        )

    def questions(self, tokens: int = 1) -> Requests:
        """Return what nginx asks the sidecar, with so many distinct tokens."""
        own = self.credentials.tokens[:tokens]
        return self.requests([messages.validate(messages.bearer(token)) for token in own])

    def alternate(self, contenders: Sequence[Contender]) -> dict[str, list[Run]]:
        """Load each in turn, in one order and then in the other, for all rounds."""
        for contender in contenders:
            _warm(contender)
        runs: dict[str, list[Run]] = {contender.name: [] for contender in contenders}
        for number in range(self.rounds):
            for contender in contenders if number % 2 == 0 else reversed(contenders):
                runs[contender.name].append(load.run(contender.server, contender.requests, self.seconds))
        return runs

    def tell(self, title: str, note: str, runs: dict[str, list[Run]]) -> None:
        """Add a table of throughputs."""
        first = rates(next(iter(runs.values())))
        rows = [
            (
                name,
                rates(own).show(0),
                f"{ratio(rates(own), first).median:.2f}",
                f"{costs(own).median * 1e6:.0f}",
                _programs(own),
            )
            for name, own in runs.items()
        ]
        self.results.tables.append(Table(title, note, _LOAD_COLUMNS, rows))


def rates(runs: Sequence[Run]) -> Spread:
    """Return the throughputs."""
    return Spread(tuple(run.rate for run in runs))


def costs(runs: Sequence[Run]) -> Spread:
    """Return the processor times of one request."""
    return Spread(tuple(run.cpu_each for run in runs))


def proxies(bench: Bench) -> None:
    """Compare this gateway with bare nginx and with Envoy."""
    shop = bench.workshop
    post = bench.posts()
    body = messages.tools_call(130)
    token = messages.bearer(bench.credentials.tokens[0])
    other_tool = messages.tools_call(130, tool=policies.FORBIDDEN_TOOL)
    with contextlib.ExitStack() as stack:
        bare = stack.enter_context(shop.bare())
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
        "POST tools/call of 130 bytes, one token. Envoy without Lua does not look at the tool.",
        runs,
    )
    at = {name: rates(own) for name, own in runs.items()}
    for name, figure in at.items():
        share = ratio(figure, at["bare nginx"])
        bench.results.shares.append(Share("÷ bare nginx", name, share, name.startswith("gateway")))
    hot_rate = at["gateway, hot decision"]
    envoy_rate = at["Envoy jwt_authn, jwt_cache"]
    lua_rate = at["Envoy jwt_authn, jwt_cache, tool check in Lua"]
    uncached = at["gateway, decision cache off"]
    bench.results.bars += [
        Bar("gateway, hot decision ÷ bare nginx", ratio(hot_rate, at["bare nginx"]), 0.70, at_least=True),
        Bar("gateway, hot decision ÷ Envoy jwt_authn with its cache", ratio(hot_rate, envoy_rate), 1.10, at_least=True),
        Bar("gateway, decision cache off ÷ bare nginx", ratio(uncached, at["bare nginx"]), 0.45, at_least=True),
    ]
    bench.results.tables.append(
        Table(
            "The same question asked of both",
            "Both verify the token, read the JSON body and look for the tool in a grant.",
            ("", "ratio (least-most)"),
            [("gateway, hot decision ÷ Envoy with jwt_cache and Lua", ratio(hot_rate, lua_rate).show(2))],
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
                "The arguments carry a text; with escapes, every line ends in \\n and holds two \\\".",
                runs,
            )
    figure = ratio(rates(runs["gateway, text with escapes"]), rates(runs["bare nginx"]))
    bench.results.bars.append(Bar("1 MB bodies, gateway ÷ bare nginx", figure, 0.50, at_least=True))


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


def sidecar(bench: Bench) -> None:
    """Compare /validate with a Starlette application that only greets, and with a naive validator."""
    shop = bench.workshop
    one, many = bench.questions(), bench.questions(MANY)
    with contextlib.ExitStack() as stack:
        hello = stack.enter_context(shop.uvicorn("hello"))
        small = stack.enter_context(shop.sidecar("sidecar"))
        large = stack.enter_context(shop.sidecar("sidecar-large", SCOPES_FILE=str(shop.large_policy)))
        naive = stack.enter_context(shop.uvicorn("naive"))
        runs = bench.alternate(
            [
                Contender("Starlette hello world", hello, one),
                Contender("/validate, credential cached", small, one),
                Contender("/validate, policy of 1,000 servers", large, one),
                Contender("/validate, 10,000 tokens in turn", small, many),
                Contender("/validate, 10,000 tokens, policy of 1,000 servers", large, many),
                Contender("FastAPI + requests + PyJWT", naive, one),
            ]
        )
    note = "Over TCP, without nginx, one worker each. With 10,000 tokens each answer is worked out anew."
    bench.tell("The sidecar alone", note, runs)
    at = {name: rates(own) for name, own in runs.items()}
    hello_rate = at["Starlette hello world"]
    for name, figure in at.items():
        share = ratio(figure, hello_rate)
        bench.results.shares.append(Share("÷ Starlette hello world", name, share, name.startswith("/")))
    cached = at["/validate, credential cached"]
    same = ratio(at["/validate, policy of 1,000 servers"], cached)
    anew = ratio(
        at["/validate, 10,000 tokens, policy of 1,000 servers"], at["/validate, 10,000 tokens in turn"]
    )
    worse = min(same, anew, key=lambda spread: spread.median)
    bench.results.bars += [
        Bar("/validate, credential cached ÷ Starlette hello world", ratio(cached, hello_rate), 0.92, at_least=True),
        Bar("/validate, policy 1,000 × 50 × 200 ÷ policy of 5 (the worse of two)", worse, 0.95, at_least=True),
    ]


def first_seen(bench: Bench) -> None:
    """Compare tokens that nobody has seen with PyJWT's decode of the same tokens."""
    shop = bench.workshop
    questions = bench.questions(len(bench.credentials.tokens))
    posts = bench.posts(len(bench.credentials.tokens))
    alone: list[float] = []
    asked: list[Run] = []
    through: list[Run] = []
    for _ in range(bench.rounds):
        alone.append(_decode(bench.credentials))
        with shop.sidecar("sidecar") as server:  # a new one: it has seen nothing
            _until_it_answers(server, questions)
            asked.append(load.run(server, questions, 1, once=True))
        with shop.gateway("gateway") as server:
            _until_it_answers(server, posts)
            through.append(load.run(server, posts, 1, once=True))
        alone.append(_decode(bench.credentials))
    # PyJWT ran before and after each pair of runs: the mean of the two stands beside it.
    decode = Spread(tuple((a + b) / 2 for a, b in zip(alone[::2], alone[1::2], strict=True)))
    wall = Spread(tuple(1 / run.rate for run in asked))
    rows = [
        ("PyJWT decode alone, in process", decode.show(1, " µs", 1e6), "1.00"),
        ("/validate, time of one", wall.show(1, " µs", 1e6), f"{ratio(wall, decode).median:.2f}"),
        (
            "/validate, processor time of one",
            costs(asked).show(1, " µs", 1e6),
            f"{ratio(costs(asked), decode).median:.2f}",
        ),
        ("through the gateway, requests/s", rates(through).show(0), ""),
    ]
    note = "Every token is sent once, to a sidecar that has just started."
    bench.results.tables.append(Table("First-seen tokens", note, ("", "median (least-most)", "÷ PyJWT"), rows))
    what = "/validate, first-seen tokens: time ÷ PyJWT decode alone"
    bench.results.bars.append(Bar(what, ratio(wall, decode), 1.6, at_least=False))


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
            _warm(contender)
        for number in range(bench.rounds):
            for one in contenders if number % 2 == 0 else reversed(contenders):
                measured = constant_rate.measure(one.server, post, rate=RATE, seconds=bench.seconds)
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
        f"At {RATE:,} requests a second, each timed from the moment it was due. The generator itself was at most "
        f"{late.median * 1e3:.3f} ms late for 99 % of them (median of the runs)."
    )
    columns = ("", "p50 (least-most)", "p99 (least-most)", "added p50", "added p99")
    bench.results.tables.append(Table("Latency", note, columns, rows))
    hot = "gateway, hot decision"
    milliseconds = [Spread(tuple(v * 1e3 for v in added[hot].values)) for added in (added50, added99)]
    bench.results.bars += [
        Bar(f"added latency at {RATE:,}/s, hot: p50", milliseconds[0], 0.10, at_least=False, digits=3, unit=" ms"),
        Bar(f"added latency at {RATE:,}/s, hot: p99", milliseconds[1], 0.5, at_least=False, digits=3, unit=" ms"),
    ]


def memory(bench: Bench) -> None:
    """Measure what a worker holds with 10,000 tokens, and what an open stream costs."""
    shop = bench.workshop
    tokens = bench.questions(MANY)
    empty, full = [], []
    for _ in range(3):
        with shop.sidecar("sidecar") as server:
            _until_it_answers(server, bench.questions())
            empty.append(server.memory() / 1e6)
            while load.run(server, tokens, 3).requests < MANY:
                pass  # a slow machine needs another go until each was seen
            full.append(server.memory() / 1e6)
    rows = [
        ("worker of the sidecar, just started", Spread(tuple(empty)).show(1, " MB")),
        (f"worker of the sidecar, {MANY:,} cached tokens", Spread(tuple(full)).show(1, " MB")),
    ]
    rows += _stream_rows(bench)
    bench.results.tables.append(
        Table("Memory", "Resident (VmRSS), as /proc tells it.", ("", "median (least-most)"), rows)
    )
    what = f"memory per worker, {MANY:,} cached tokens (RSS)"
    bench.results.bars.append(Bar(what, Spread(tuple(full)), 80, at_least=False, digits=1, unit=" MB"))


def _stream_rows(bench: Bench) -> list[tuple[str, str]]:
    shop = bench.workshop
    token = messages.bearer(bench.credentials.tokens[0])
    rows = []
    for server_of, name in ((shop.bare, "bare nginx"), (lambda: shop.gateway("gateway"), "gateway")):
        nginx, python = [], []
        for _ in range(3):
            with server_of() as server:
                _until_it_answers(server, bench.posts())
                with streams.opened(server.port, messages.stream(token), 20):
                    pass
                parts = ("nginx: worker", "auth_server serve")
                before = [server.memory(part) for part in parts]
                with streams.opened(server.port, messages.stream(token), STREAMS):
                    after = [server.memory(part) for part in parts]
                each = [(b - a) / STREAMS / 1e3 for a, b in zip(before, after, strict=True)]
                nginx.append(each[0])
                python.append(each[1])
        rows.append((f"{name}: each of {STREAMS} open streams, nginx", Spread(tuple(nginx)).show(1, " kB")))
        if name == "gateway":
            rows.append((f"{name}: each of {STREAMS} open streams, sidecar", Spread(tuple(python)).show(1, " kB")))
    return rows


def start(bench: Bench) -> None:
    """Measure from the start of `serve` to its first 200."""
    shop = bench.workshop
    question = bench.questions()
    times = []
    for _ in range(max(5, bench.rounds)):
        port = processes.free_port()
        began = time.perf_counter()
        with processes.started(
            "serve", servers.serve(port), port, shop.folder, environ=shop.settings(), ready=lambda _: True
        ) as server:
            _until_it_answers(server, question)
            times.append(time.perf_counter() - began)
    figure = Spread(tuple(times))
    what = "start to first 200 of `serve`"
    bench.results.bars.append(Bar(what, figure, 0.8, at_least=False, unit=" s"))


def script(bench: Bench) -> None:
    """Measure what mcp.js costs: nginx's processor time with inspect(), less that of a handler that does nothing."""
    token = messages.bearer(bench.credentials.tokens[0])
    cases = {
        "tools/call, 130 bytes": messages.tools_call(130),
        "10 kB, text with escapes": messages.tools_call(10_000),
        "10 kB, text without": messages.tools_call(10_000, escapes=False),
        "1 MB, text with escapes": messages.tools_call(1_000_000),
        "1 MB, text without": messages.tools_call(1_000_000, escapes=False),
    }
    rows = []
    with njs.server(bench.workshop.folder) as server:
        for name, body in cases.items():
            whole = messages.post(token, body)
            inspected = bench.requests([whole], status=204)
            nothing = bench.requests([whole.replace(b" /bench/mcp ", b" /nothing ", 1)], status=204)
            runs = bench.alternate([Contender("with", server, inspected), Contender("without", server, nothing)])
            cost = difference(costs(runs["with"]), costs(runs["without"]))
            rows.append((name, costs(runs["without"]).show(1, " µs", 1e6), cost.show(1, " µs", 1e6)))
    bench.results.tables.append(
        Table(
            "mcp.js alone",
            "Processor time of nginx for one request that ends in 204: with a handler in njs that does nothing, "
            "and what inspect() and its redirect add. No auth subrequest, no backend.",
            ("", "handler that does nothing", "inspect() adds"),
            rows,
        )
    )


FIGURES: dict[str, Callable[[Bench], None]] = {
    "proxies": proxies,
    "sidecar": sidecar,
    "first-seen": first_seen,
    "latency": latency,
    "payloads": payloads,
    "tokens": many_tokens,
    "memory": memory,
    "start": start,
    "script": script,
}


def _warm(contender: Contender) -> None:
    _until_it_answers(contender.server, contender.requests)
    load.run(contender.server, contender.requests, 1)


def _until_it_answers(server: Server, requests: Requests) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            load.probe(server, requests)
        except (OSError, load.WrongAnswerError, ValueError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.002)
        else:
            return


def _decode(credentials: Credentials) -> float:
    """Return the seconds that PyJWT needs for one token."""
    key, tokens = credentials.key, credentials.tokens[:2000]
    began = time.perf_counter()
    for token in tokens:
        jwt.decode(token, key, algorithms=["RS256"], issuer=ISSUER)
    return (time.perf_counter() - began) / len(tokens)


def _programs(runs: Sequence[Run]) -> str:
    names = {name for run in runs for name in run.cpu}
    each = {name: Spread(tuple(run.cpu.get(name, 0.0) for run in runs)).median * 1e6 for name in sorted(names)}
    return ", ".join(f"{name} {micro:.0f}" for name, micro in each.items() if micro >= 1)
