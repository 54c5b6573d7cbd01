"""Emulators in this process, libraries pointed at them, and a guard that keeps everything on this machine."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from emulator.app import Server, Settings, running
from emulator.build.sizes import TINY
from tests.contract.libraries import Library, library

KEYS = {
    "tencent": ("AKIDDEMO0000000000000000000000001", "tencent-demo-secret-1"),
    "alibaba": ("LTAIDEMO00000000000001", "alibaba-demo-secret-1"),
}
_FREE = {"wedata": 0.0, "dms": 0.0, "quickbi": 0.0, "tencent-sts": 0.0, "alibaba-sts": 0.0}


def vendor_of(product: str) -> str:
    return "tencent" if product in ("wedata", "tencent-sts") else "alibaba"


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test here may leave the machine, and no proxy may stand between."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not ipaddress.ip_address(address[0]).is_loopback:
            raise AssertionError(f"a connection to {address[0]} was tried")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def emulator() -> Iterator[Server]:
    """A tiny organisation without rate limits, for one test."""
    with running(Settings(sizes=TINY, limits=dict(_FREE))) as server:
        yield server


MakeLibrary = Callable[..., Library]


@pytest.fixture
def libraries(emulator: Server) -> Iterator[MakeLibrary]:
    """Makes a vendor library that talks to the emulator: ``libraries("dms")``, with other keys if given."""
    with contextlib.ExitStack() as stack:

        def make(product: str, key: tuple[str, str] | None = None, token: str = "") -> Library:
            made = library(product, emulator.url, *(key or KEYS[vendor_of(product)]), token)
            stack.callback(made.close)
            return made

        yield make
