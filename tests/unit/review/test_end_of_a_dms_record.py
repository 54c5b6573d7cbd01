"""When a DMS record is over: the vendor's date in China time, and one day of grace."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from rescind.model import Grant
from rescind.review import decide
from tests.support.dms_tenant import ANN, BOB, TABLE, Seen, record, records, user, users

END = datetime(2026, 3, 1, 16, tzinfo=UTC)
"""The end of a record that the vendor dates 2026-03-01 00:00:00."""


def ending(text: str | None) -> Grant:
    row = record(ANN, "TABLE", **TABLE)
    row["PermDetails"]["PermDetail"][0]["ExpireDate"] = text
    listing = {"TABLEfalse": records(row)}
    return Seen(
        {"ListDatabaseUserPermssions": lambda sent: listing.get(sent["PermType"] + sent["Logic"], records())}
    ).grant()


@pytest.mark.parametrize(("hours", "rule"), [(-24, ""), (-1, ""), (0, "expired"), (1, "expired")])
@pytest.mark.parametrize("policy", ["access_review", "expired"])
def test_a_record_is_over_a_day_after_its_date_in_china_time(
    make: SimpleNamespace, policy: str, hours: int, rule: str
) -> None:
    grant = ending("2026-03-01 00:00:00")
    assert (grant.expires_at, grant.expires_raw) == (END, "2026-03-01 00:00:00")
    now = END + timedelta(hours=hours)
    (decision,) = decide([grant], make.context(make.shipped(policy), now=now))
    assert (decision.rule, decision.choice) == (rule or "kept.otherwise", "revoke" if rule else "keep")


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("2026-02-28 23:59:59", END - timedelta(seconds=1)),
        ("2025-12-31 12:30:00", datetime(2026, 1, 1, 4, 30, tzinfo=UTC)),
        ("9999-12-31 00:00:00", None),
        ("2026-03-01", None),
        ("2026-02-30 00:00:00", None),
        ("", None),
        (None, None),
    ],
)
def test_an_end_that_cannot_be_read_never_comes(make: SimpleNamespace, text: str | None, end: datetime | None) -> None:
    grant = ending(text)
    assert grant.expires_at == end and grant.expires_raw == (text or "")
    (decision,) = decide([grant], make.context(now=datetime(9000, 1, 1, tzinfo=UTC)))
    assert decision.choice == ("keep" if end is None else "revoke")


def test_the_last_use_is_never_put_too_early() -> None:
    seen = Seen({"ListUsers": users(user(ANN, LastLoginTime="2026-03-01 00:00:00"), user(BOB))})
    assert {one.principal_id: one.last_used_at for one in seen.sink.principals} == {ANN: END, BOB: None}
