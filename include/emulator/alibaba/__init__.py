"""What Alibaba's products share: the gateway's envelopes, authentication, STS (2015-04-01)."""

from __future__ import annotations

from importlib import import_module

from emulator.registry import ActionTable

STS = ActionTable("alibaba-sts", methods=("GET", "POST"))


def load() -> ActionTable:
    """The STS table, filled."""
    for name in ("sts",):
        import_module(f"{__name__}.{name}")
    return STS
