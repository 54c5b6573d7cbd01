"""How close to a limit many processes come, and how much is refused: ours beside what people do.

A server process of its own enforces a limit in every window of one second (strictly: the last second
before each arrival), after a random delay on the way (exponential, the given mean), and answers after
the given time. Worker processes send as fast as their limiter lets them.

    python -m tests.bench.pacing [--quick] [--seconds 10] [--json FILE]

Share: accepted / (limit x seconds). Refused: requests over the limit. Fair: smallest / largest number of
accepted requests of a worker. Burst: most arrivals within 100 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import multiprocessing
import random
import sys
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from rescind.ledger import Ledger
from rescind.ledger.ratelimit.pacer import LedgerPacer, PacerSettings
from rescind.ledger.store.migrate import migrate
from tests.bench.aims import Aim, show
from tests.support.servers.postgres import PostgresServer

_SPAWN = multiprocessing.get_context("spawn")
OURS = "ledger buckets"


@dataclass(frozen=True)
class Case:
    """One row of the table. ``told`` is the limit that the limiter believes in, where it is another one."""

    limiter: str
    limit: int
    workers: int
    answer_ms: int
    jitter_ms: float
    told: int = 0
    seconds: float = 10.0
    warm_s: float = 3.0

    @property
    def believed(self) -> int:
        return self.told or self.limit

    @property
    def in_flight(self) -> int:
        """Requests that each worker keeps in flight or in the queue."""
        in_air = self.believed * (self.answer_ms + self.jitter_ms) / 1000
        return max(2, math.ceil(2 * in_air / self.workers) + 4)


@dataclass(frozen=True)
class Figures:
    share: float
    refused: int
    sent: int
    fair: float
    burst: int


# --- the server -------------------------------------------------------------------------------------


class _Server:
    def __init__(self, case: Case) -> None:
        self.case = case
        self.window: deque[float] = deque()
        self.arrivals: list[tuple[float, int, bool]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while line := await reader.readline():
                worker = int(line)
                if self.case.jitter_ms:
                    await asyncio.sleep(random.expovariate(1000 / self.case.jitter_ms))
                accepted = self.arrive(worker)
                await asyncio.sleep(self.case.answer_ms / 1000)
                writer.write(b"1\n" if accepted else b"0\n")
        writer.close()

    def arrive(self, worker: int) -> bool:
        now = time.monotonic()
        while self.window and self.window[0] <= now - 1.0:
            self.window.popleft()
        accepted = len(self.window) < self.case.limit
        if accepted:
            self.window.append(now)
        self.arrivals.append((now, worker, accepted))
        return accepted


def _serve(case: Case, pipe: Any) -> None:
    async def main() -> None:
        server = _Server(case)
        listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        pipe.send(listener.sockets[0].getsockname()[1])
        await asyncio.to_thread(pipe.recv)
        pipe.send(server.arrivals)

    asyncio.run(main())


# --- the workers ------------------------------------------------------------------------------------


class _Free:
    """No limiter at all: with one sender, this is "one request after the other"."""

    async def slot(self) -> None:
        return

    def answered(self, accepted: bool) -> None:
        return


class _SleepAfter:
    """What a pool of threads with ``time.sleep(1 / limit)`` does: each sender pauses for itself."""

    def __init__(self, limit: int) -> None:
        self.pause = 1 / limit

    async def slot(self) -> None:
        await asyncio.sleep(self.pause)

    def answered(self, accepted: bool) -> None:
        return


class _PerProcess:
    """An exact limiter that knows only its own process."""

    def __init__(self, limit: int) -> None:
        self.gap, self.next = 1 / limit, time.monotonic()

    async def slot(self) -> None:
        self.next = max(self.next + self.gap, time.monotonic())
        await asyncio.sleep(self.next - time.monotonic())

    def answered(self, accepted: bool) -> None:
        return


class _Ours:
    bucket = ("tencent", "bench", "region", "Revoke", 20.0)

    def __init__(self, dsn: str, case: Case) -> None:
        self.ledger = Ledger(dsn)
        self.pacer = LedgerPacer(self.ledger, PacerSettings(limits={"*": case.believed}, workers=case.workers))

    async def slot(self) -> None:
        await self.pacer.slot(self.bucket)

    def answered(self, accepted: bool) -> None:
        if accepted:
            self.pacer.succeeded(self.bucket)
        else:
            self.pacer.throttled(self.bucket, None)


def _limiter(case: Case, dsn: str) -> Any:
    makers: dict[str, Callable[[], Any]] = {
        OURS: lambda: _Ours(dsn, case),
        "one after the other": _Free,
        "8 senders, each sleeping 1/limit": lambda: _SleepAfter(case.believed),
        "exact limiter in each process": lambda: _PerProcess(case.believed),
    }
    return makers[case.limiter]()


def _work(case: Case, worker: int, port: int, dsn: str, pipe: Any) -> None:
    async def sender(limiter: Any, connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], until: float) -> None:
        reader, writer = connection
        while time.monotonic() < until:
            await limiter.slot()
            writer.write(b"%d\n" % worker)
            limiter.answered(await reader.readline() == b"1\n")
        writer.close()

    async def main() -> None:
        limiter = _limiter(case, dsn)
        count = {"one after the other": 1, "8 senders, each sleeping 1/limit": 8}.get(case.limiter, case.in_flight)
        connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(count)]
        if case.limiter == OURS:
            await limiter.slot()  # not used: opens the connection and makes the bucket
        pipe.send("ready")
        start = pipe.recv()
        await asyncio.sleep(start - time.monotonic())
        until = start + case.warm_s + case.seconds + 0.2
        senders: list[Awaitable[None]] = [sender(limiter, connection, until) for connection in connections]
        await asyncio.gather(*senders)

    asyncio.run(main())


# --- one row ----------------------------------------------------------------------------------------


def measure(case: Case, dsn: str) -> Figures:
    """Run one case; the first ``warm_s`` seconds are not counted."""
    server_pipe, other = _SPAWN.Pipe()
    server = _SPAWN.Process(target=_serve, args=(case, other), daemon=True)
    server.start()
    port = server_pipe.recv()
    workers = []
    for number in range(case.workers):
        pipe, other = _SPAWN.Pipe()
        process = _SPAWN.Process(target=_work, args=(case, number, port, dsn, other), daemon=True)
        process.start()
        workers.append((process, pipe))
    for _, pipe in workers:
        pipe.recv()
    start = time.monotonic() + 0.3
    for _, pipe in workers:
        pipe.send(start)
    for process, _ in workers:
        process.join(case.warm_s + case.seconds + 30)
        if process.is_alive():
            process.terminate()
    server_pipe.send("stop")
    arrivals: list[tuple[float, int, bool]] = server_pipe.recv()
    server.join(10)
    return figures(case, arrivals, start + case.warm_s)


def figures(case: Case, arrivals: list[tuple[float, int, bool]], begin: float) -> Figures:
    """What the server saw between ``begin`` and ``begin + seconds``."""
    seen = [arrival for arrival in arrivals if begin <= arrival[0] < begin + case.seconds]
    accepted = Counter(worker for _, worker, good in seen if good)
    each = [accepted[worker] for worker in range(case.workers)]
    times = deque[float]()
    burst = 0
    for at, _, _ in seen:
        times.append(at)
        while times[0] < at - 0.1:
            times.popleft()
        burst = max(burst, len(times))
    good = sum(each)
    return Figures(
        share=good / (case.limit * case.seconds),
        refused=len(seen) - good,
        sent=len(seen),
        fair=min(each) / max(each) if max(each, default=0) else 0.0,
        burst=burst,
    )


def cases(quick: bool, seconds: float) -> list[Case]:
    if quick:
        timing: dict[str, float] = {"seconds": 4.0, "warm_s": 2.0}
        return [
            Case(OURS, 20, 4, 150, 1, **timing),
            Case(OURS, 200, 4, 20, 1, **timing),
            Case(OURS, 20, 2, 20, 1, told=40, seconds=10.0, warm_s=0.0),
            Case("exact limiter in each process", 20, 4, 20, 1, seconds=3.0, warm_s=1.0),
        ]
    rows = [
        Case(OURS, limit, workers, answer, jitter, seconds=seconds)
        for limit in (20, 50, 200)
        for workers in (1, 4, 8)
        for answer, jitter in ((20, 1.0), (20, 5.0), (150, 1.0), (150, 5.0), (500, 1.0))
    ]
    rows += [Case(OURS, limit, 4, 150, 1, told=told, seconds=30) for limit, told in ((10, 20), (35, 50), (100, 200))]
    for limit in (20, 200):
        rows.append(Case("one after the other", limit, 1, 150, 1, seconds=seconds))
        rows.append(Case("8 senders, each sleeping 1/limit", limit, 1, 150, 1, seconds=seconds))
        rows.append(Case("exact limiter in each process", limit, 4, 150, 1, seconds=seconds))
    return rows


def aims(rows: list[tuple[Case, Figures]]) -> Iterator[Aim]:
    """Share, refusals and fairness of our limiter, the least row of each kind."""
    others = [(case, found) for case, found in rows if case.limiter != OURS]
    ours = [(case, found) for case, found in rows if case.limiter == OURS and case.believed == case.limit]
    today = "; ".join(f"{case.limiter}: {found.share:.3f}" for case, found in others)
    for jitter, aim in ((1, 0.98), (5, 0.95)):
        shares = [found.share for case, found in ours if case.jitter_ms == jitter]
        yield Aim(f"share of the limit, jitter {jitter} ms", min(shares, default=None), aim, least=True, today=today)
    refused = sum(found.refused for _, found in ours), sum(found.sent for _, found in ours)
    yield Aim("refused of 1,000 requests", 1000 * refused[0] / refused[1] if ours else None, 1, today="; ".join(
        f"{case.limiter}: {1000 * found.refused / max(1, found.sent):.0f}" for case, found in others))  # fmt: skip
    fair = [found.fair for case, found in ours if case.workers == 8]
    yield Aim("fairness over 8 processes, least / most", min(fair, default=None), 0.9, least=True)
    told = [found for case, found in rows if case.limiter == OURS and case.believed > case.limit]
    shares = [found.share for found in told]
    yield Aim("share of what is left when others use the quota", min(shares, default=None), 0.93, least=True)
    refusals = [100 * found.refused / max(1, found.sent) for found in told]
    yield Aim("refused then", max(refusals, default=None), 2, "%")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few short rows, under a minute")
    parser.add_argument("--seconds", type=float, default=10.0, help="measured time of a row")
    parser.add_argument("--only", default="", help="limit,workers,answer_ms,jitter_ms[,told] of a single row of ours")
    parser.add_argument("--json", default="", help="write the figures to this file as well")
    options = parser.parse_args(arguments)
    rows = cases(options.quick, options.seconds)
    if options.only:
        limit, workers, answer, jitter, *told = (float(part) for part in options.only.split(","))
        rows = [Case(OURS, int(limit), int(workers), int(answer), jitter, int(told[0]) if told else 0, options.seconds)]
    postgres = PostgresServer()
    results: list[tuple[Case, Figures]] = []
    print("| limiter | limit | told | workers | answer ms | jitter ms | share | refused | fair | burst |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    try:
        for case in rows:
            dsn = postgres.uri(postgres.create_database())
            migrate(dsn)
            found = measure(case, dsn)
            results.append((case, found))
            print(
                f"| {case.limiter} | {case.limit} | {case.believed} | {case.workers} | {case.answer_ms} |"
                f" {case.jitter_ms:g} | {found.share:.3f} | {found.refused} of {found.sent} | {found.fair:.2f} |"
                f" {found.burst} |",
                flush=True,
            )
    finally:
        postgres.stop()
    show(aims(results))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump([{**asdict(case), **asdict(found)} for case, found in results], file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
