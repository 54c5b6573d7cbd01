"""Emulators in this process, and libraries pointed at them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

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
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The libraries take a proxy from the environment, even for an address of this machine."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def emulator() -> Iterator[Server]:
    """A tiny organization without rate limits, for one test."""
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
