"""The emulator put together: world, limits, faults, gateway, control; and the server around it."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import ipaddress
import threading
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from emulator.build import build
from emulator.build.sizes import PRESETS, Sizes
from emulator.clock import Clock
from emulator.control import Control
from emulator.faults.script import FaultScript
from emulator.gateway.gateway import Gateway
from emulator.gateway.limits import Limiter
from emulator.gateway.wire import Answer, Connection, Request
from emulator.world import World

DEFAULT_LIMITS = {"wedata": 20.0, "dms": 20.0, "quickbi": 50.0, "tencent-sts": 20.0, "alibaba-sts": 20.0}


@dataclass(slots=True)
class Settings:
    """How an emulator is started. Times are seconds, limits requests per second."""

    seed: int = 1
    sizes: Sizes = PRESETS["demo"]
    limits: dict[str, float] = field(default_factory=dict)
    latency: float = 0.0
    jitter: float = 0.0
    journal: Path | None = None
    modes: dict[str, str] = field(default_factory=dict)


UNAUTHORIZED = (
    b'{"error": "the control interface needs the token that the emulator was started with (RESCIND_EMULATOR_TOKEN),'
    b' as the header Authorization: Bearer"}'
)


def is_control(request: Request) -> bool:
    """Whether a request is for the control interface and not for a cloud."""
    return request.path == "/_control" or request.path.startswith("/_control/")


class App:
    """One emulator without its sockets."""

    def __init__(self, settings: Settings | None = None, clock: Clock | None = None) -> None:
        self.settings = settings or Settings()
        self.world = World(clock or Clock(), self.settings.journal)
        for name, value in self.settings.modes.items():
            self.world.modes.set(name, value)
        self.limiter = Limiter(self.world.clock, {**DEFAULT_LIMITS, **self.settings.limits})
        self.faults = FaultScript()
        self.gateway = Gateway(self.world, self.limiter, self.faults, self.settings.latency, self.settings.jitter)
        self.control = Control(self.world, self.limiter, self.faults, self.gateway, self.reset)
        build(self.world, self.settings.sizes, self.settings.seed)

    def handle(self, request: Request) -> Answer:
        """Answer a request of a cloud or of the control interface."""
        try:
            if is_control(request):
                return self.control.handle(request)
            return self.gateway.handle(request)
        except Exception:
            # A defect of the emulator must not look like a vendor's behavior.
            traceback.print_exc()
            return Answer(500, b"the emulator itself failed, see its standard error", "text/plain")

    def reset(self, seed: int | None = None, *, keep_journal: bool = False) -> None:
        """Build the organization again; faults, counts, delays and (unless kept) the journal start empty."""
        if seed is not None:
            self.settings.seed = seed
        self.faults.clear()
        self.limiter.reset_stats()
        self.limiter.loads.clear()
        self.world.visibility.clear()
        if keep_journal:
            self.world.journal.close_entry("control", action="reset", actor="", params={"seed": self.settings.seed})
        else:
            self.world.journal.clear()
        build(self.world, self.settings.sizes, self.settings.seed)


class Server:
    """Sockets around an app. Listens on loopback and nowhere else.

    :param token: what a request for the control interface must bring (``Authorization: Bearer``). Every user of the
        machine can reach the socket. Without a token nobody can use the control interface.
    """

    def __init__(self, app: App, token: str = "") -> None:
        self.app = app
        self._token = token
        self.url = ""
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listen; the base URL.

        :raises ValueError: for an address that is not loopback.
        :raises OSError: when the port is taken.
        """
        if not ipaddress.ip_address(host).is_loopback:
            raise ValueError(f"the emulator listens on loopback only, not on {host}")
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self._handle, self._connections), host, port, backlog=512
        )
        number = self._server.sockets[0].getsockname()[1]
        self.url = f"http://[{host}]:{number}" if ":" in host else f"http://{host}:{number}"
        return self.url

    def _handle(self, request: Request) -> Answer:
        if is_control(request) and not self._may_control(request):
            return Answer(401, UNAUTHORIZED, headers={"WWW-Authenticate": "Bearer"})
        return self.app.handle(request)

    def _may_control(self, request: Request) -> bool:
        given = request.headers.get("authorization", "")
        return bool(self._token) and hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode())

    async def stop(self) -> None:
        """Close the socket and every connection, close the journal."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            if connection.transport is not None:
                connection.transport.abort()
        await asyncio.sleep(0)
        self.app.world.journal.close()


@contextlib.contextmanager
def running(settings: Settings | None = None, clock: Clock | None = None, token: str = "") -> Iterator[Server]:
    """Run an emulator in a thread of this process, for tests; the server has ``url`` and ``app``."""
    server = Server(App(settings, clock), token)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="emulator", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
