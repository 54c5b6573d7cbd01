"""The sliding second, what counts towards it, and the figures kept."""

from __future__ import annotations

import json

from emulator.app import App
from emulator.clock import ManualClock
from emulator.gateway.limits import BucketKey, Limiter
from tests.support.emulator_client import Clients

BUCKET = BucketKey("wedata", "1", "ap-singapore", "RevokePrivileges")


def test_a_sliding_second_holds_exactly_the_limit() -> None:
    """Twenty in any second; a request exactly one second after the first is let through."""
    clock = ManualClock()
    limiter = Limiter(clock, {"wedata": 20})
    step = 1 / 32  # exact in binary, so that the sums are exact too
    for _ in range(20):
        assert limiter.admit(BUCKET) == 0
        clock.advance(step)
    clock.advance(11 * step)
    assert limiter.admit(BUCKET) > 0
    clock.advance(step)
    assert limiter.admit(BUCKET) == 0
    assert limiter.admit(BUCKET) > 0


def test_a_fixed_second_may_hold_more_than_a_sliding_one_allows() -> None:
    """Bursts at both sides of a second's edge are what a sliding window refuses."""
    clock = ManualClock()
    limiter = Limiter(clock, {"wedata": 5})
    clock.advance(0.9)
    assert [limiter.admit(BUCKET) == 0 for _ in range(5)] == [True] * 5
    clock.advance(0.2)
    assert [limiter.admit(BUCKET) == 0 for _ in range(5)] == [False] * 5
    figures = limiter.stats()["actions"]["wedata.RevokePrivileges"]
    assert figures == {
        "accepted": 5, "throttled": 5, "requests": 10, "max_sliding_all": 10, "max_sliding_accepted": 5,
        "max_fixed_all": 5, "max_fixed_accepted": 5,
    }  # fmt: skip


def test_refused_requests_do_not_use_up_the_limit() -> None:
    """Hammering does not lengthen the wait."""
    clock = ManualClock()
    limiter = Limiter(clock, {"wedata": 1})
    assert limiter.admit(BUCKET) == 0
    for _ in range(9):
        clock.advance(0.1)
        assert limiter.admit(BUCKET) > 0
    clock.advance(0.1)
    assert limiter.admit(BUCKET) == 0


def test_lanes_are_apart_and_limits_may_be_own() -> None:
    """Another action, region or account has its own second; an own limit wins; 0 means none."""
    limiter = Limiter(ManualClock(), {"wedata": 1, "wedata.ListPermissions": 2, "dms": 0})
    assert limiter.admit(BUCKET) == 0
    assert limiter.admit(BUCKET._replace(region="ap-tokyo")) == 0
    assert limiter.admit(BUCKET._replace(account="2")) == 0
    listing = BUCKET._replace(action="ListPermissions")
    assert [limiter.admit(listing) == 0 for _ in range(3)] == [True, True, False]
    assert all(limiter.admit(BUCKET._replace(product="dms")) == 0 for _ in range(100))


def test_throttling_speaks_each_vendors_language(app: App, clients: Clients) -> None:
    """Codes, statuses, the retry header by mode; nothing is carried out; the journal says throttled."""
    clients.control("POST", "limits", {"wedata": 1, "dms": 1})
    assert "Data" in clients.wedata("ListTenantRoles")
    assert clients.wedata("ListTenantRoles")["Error"]["Code"] == "RequestLimitExceeded"
    assert clients.dms("GetUserActiveTenant")["Success"] is True
    answer = clients.alibaba_raw("dms", "GetUserActiveTenant", {})
    assert (answer.status, json.loads(answer.body)["Code"]) == (400, "Throttling.User")
    assert "x-acs-retry-after" not in answer.headers
    app.world.modes.set("alibaba_retry_after", "on")
    app.world.modes.set("alibaba_throttle_status", "429")
    app.world.clock.advance(0.4)  # type: ignore[attr-defined]
    answer = clients.alibaba_raw("dms", "GetUserActiveTenant", {})
    assert (answer.status, answer.headers["x-acs-retry-after"]) == (429, "600")
    throttled = [entry for entry in app.world.journal.after(0) if entry["throttled"]]
    assert [entry["code"] for entry in throttled] == ["RequestLimitExceeded", "Throttling.User", "Throttling.User"]
    assert not any(entry["executed"] for entry in throttled)


def test_load_of_others_takes_from_the_limit(app: App, clients: Clients) -> None:
    """Of 20 a second, 17 are gone while the load lasts."""
    clients.control("POST", "limits", {"wedata": 20})
    clients.control("POST", "load", {"action": "ListTenantRoles", "rate": 17, "seconds": 5})
    answers = [clients.wedata("ListTenantRoles") for _ in range(5)]
    assert ["Error" in answer for answer in answers] == [False] * 3 + [True] * 2
    app.world.clock.advance(6)  # type: ignore[attr-defined]
    assert all("Data" in clients.wedata("ListTenantRoles") for _ in range(20))
