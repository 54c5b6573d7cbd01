"""What Alibaba's products share: the gateway's envelopes, authentication, STS (2015-04-01)."""

from __future__ import annotations

from emulator.registry import ActionTable

STS = ActionTable("alibaba-sts", methods=("GET", "POST"))


def load() -> ActionTable:
    """The STS table, filled."""
    from emulator.alibaba import sts

    assert sts
    return STS
