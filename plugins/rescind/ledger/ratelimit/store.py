"""Buckets: one row for each set of requests that share a rate limit.

A reservation is one UPDATE that reserves the next sending instants on the database clock. The next reservation
continues after them. Workers never poll, so none is starved.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from rescind.errors import LedgerError
from rescind.ledger.ratelimit import rate_controller
from rescind.ledger.ratelimit.rate_controller import Control
from rescind.ledger.runs.records import BucketState
from rescind.ledger.store.database import Connection
from rescind.ledger.store.repository import Repository

BucketKey = tuple[str, str, str, str]

_KEY = "vendor = %(vendor)s AND account = %(account)s AND region = %(region)s AND action = %(action)s"
# How often the pace is adjusted; how long a worker counts as active.
ADJUST_EVERY_S = 0.5
_WORKER_SEEN_S = 3.0


@dataclass(frozen=True, slots=True)
class Reservation:
    """Reserved instants.

    :param in_s: seconds until the first instant.
    :param at: the first instant in seconds of the database's epoch clock.
    :param gap_s: seconds between two instants.
    :param count: number of instants.
    :param limit: the limit below which the pace stays, in requests per second.
    :param stopped: whether the kill switch is set.
    :param stale: whether the pace should be adjusted, see :func:`adjust`.
    """

    in_s: float
    at: float
    gap_s: float
    count: int
    limit: float
    stopped: bool
    stale: bool

    @property
    def tolerance_s(self) -> float:
        """How late a request may be sent without exceeding the limit, in seconds: limit / pace - 1."""
        return max(0.0, self.limit * self.gap_s - 1.0)


class Buckets(Repository):
    """The buckets of this ledger. The pacer uses its own connection for frequent statements."""

    def states(self) -> list[BucketState]:
        """Return all buckets, the most recently used first."""
        rows = self._db.read(
            lambda connection: connection.execute("SELECT * FROM rescind.lane ORDER BY updated_at DESC").fetchall()
        )
        return [_state(row) for row in rows]


def announce(connection: Connection, bucket: BucketKey, worker: str, documented: float, share: float) -> int:
    """Create the bucket if it is new, register this worker, and return the number of active workers.

    :param documented: the vendor's limit in requests per second, for all clients together.
    :param share: part of the limit that this tool may use.
    """
    values = {**_named(bucket), "worker": worker, "documented": documented, "share": share}
    with connection.transaction():
        connection.execute(
            "INSERT INTO rescind.lane AS l (vendor, account, region, action, documented, share, pace)"
            " VALUES (%(vendor)s, %(account)s, %(region)s, %(action)s, %(documented)s, %(share)s,"
            f" %(documented)s * %(share)s * {rate_controller.START_MARGIN})"
            " ON CONFLICT (vendor, account, region, action) DO UPDATE SET documented = excluded.documented,"
            " share = excluded.share, pace = least(l.pace, excluded.pace), adjusted_at = 'epoch'"
            " WHERE (l.documented, l.share) IS DISTINCT FROM (excluded.documented, excluded.share)",
            values,
        )
        connection.execute(
            "INSERT INTO rescind.lane_worker (vendor, account, region, action, worker)"
            " VALUES (%(vendor)s, %(account)s, %(region)s, %(action)s, %(worker)s)"
            " ON CONFLICT (vendor, account, region, action, worker) DO UPDATE SET seen_at = clock_timestamp()",
            values,
        )
        connection.execute(
            f"DELETE FROM rescind.lane_worker WHERE {_KEY} AND seen_at < clock_timestamp() - interval '1 hour'", values
        )
        row = connection.execute(
            f"SELECT count(*) AS n FROM rescind.lane_worker WHERE {_KEY}"
            f" AND seen_at > clock_timestamp() - interval '{_WORKER_SEEN_S} seconds'",
            values,
        ).fetchone()
    return max(1, int(row["n"])) if row else 1


def reserve(
    connection: Connection, bucket: BucketKey, count: int, *, lead_s: float, unused: int, jitter_s: float
) -> Reservation:
    """Reserve the next ``count`` instants of a bucket.

    :param lead_s: seconds until the earliest instant; covers the travel time of the answer.
    :param unused: instants reserved earlier that were not used and so do not count as sent.
    :param jitter_s: mean jitter that this worker measured.
    :raises LedgerError: when the bucket does not exist.
    """
    row = connection.execute(
        "UPDATE rescind.lane SET"
        " next_at = greatest(next_at, clock_timestamp() + make_interval(secs => %(lead)s))"
        "  + make_interval(secs => %(count)s / pace),"
        " handed = handed + %(count)s - %(unused)s,"
        " jitter_s = jitter_s + (%(jitter)s - jitter_s) * CASE WHEN %(jitter)s > jitter_s THEN 0.3 ELSE 0.05 END,"
        " updated_at = clock_timestamp()"
        f" WHERE {_KEY} RETURNING pace, documented * share AS ceiling, (control->>'learned')::float AS learned,"
        " extract(epoch FROM next_at)::float - %(count)s / pace AS at,"
        " extract(epoch FROM clock_timestamp())::float AS now,"
        f" adjusted_at < clock_timestamp() - interval '{ADJUST_EVERY_S} seconds' AS stale,"
        " (SELECT stopped FROM rescind.kill_switch ORDER BY switch_no DESC LIMIT 1) AS stopped",
        {**_named(bucket), "count": count, "lead": lead_s, "unused": unused, "jitter": jitter_s},
    ).fetchone()
    if row is None:
        raise LedgerError(
            f"ledger: the bucket {bucket[0]}/{bucket[3]} does not exist in the ledger any more. Restart the task"
        )
    limit = row["ceiling"] if row["learned"] is None else min(row["learned"], row["ceiling"])
    return Reservation(
        row["at"] - row["now"], row["at"], 1 / row["pace"], count, limit, bool(row["stopped"]), row["stale"]
    )


def adjust(connection: Connection, bucket: BucketKey) -> None:
    """Adjust the pace once, unless another worker is doing so or has just done so."""
    with connection.transaction():
        row = _locked(connection, bucket, f" AND adjusted_at < now() - interval '{ADJUST_EVERY_S} seconds'")
        if row is None:
            return
        control = Control.from_json(row["control"], row["ceiling"])
        ahead = _ahead(row, control)
        due = row["handed"] - ahead * row["pace"]
        calmer = rate_controller.calm(control, row["now"], due, row["throttles"], row["jitter_s"], ahead_s=ahead)
        _store(connection, bucket, calmer)


def report_throttled(
    connection: Connection, bucket: BucketKey, *, refused: int, unused: int, retry_after: float, age_s: float
) -> None:
    """Report throttled requests: the bucket pauses and its pace changes.

    :param refused: number of throttled requests.
    :param unused: reserved instants that this worker discards.
    :param retry_after: longest wait that the vendor asked for, in seconds, or 0.
    :param age_s: seconds since the first of the throttled requests was sent.
    """
    with connection.transaction():
        row = _locked(connection, bucket, "")
        if row is None:
            return
        control = Control.from_json(row["control"], row["ceiling"])
        ahead = _ahead(row, control)
        before = control.resume_at
        control = rate_controller.throttled(
            control,
            row["now"],
            row["handed"] - ahead * row["pace"],
            row["throttles"] + refused,
            retry_after=retry_after,
            age_s=age_s,
            count=refused,
            busy_s=max(0.0, ahead - unused / row["pace"]),
            ahead_s=ahead,
        )
        # Instants restart after the pause; the discarded ones leave no gap.
        resume = control.resume_at if control.resume_at > before else row["next"]
        connection.execute(
            "UPDATE rescind.lane SET throttles = throttles + %(refused)s, handed = handed - %(unused)s,"
            f" next_at = to_timestamp(%(resume)s) WHERE {_KEY}",
            {**_named(bucket), "refused": refused, "unused": unused, "resume": resume},
        )
        _store(connection, bucket, control)


def _locked(connection: Connection, bucket: BucketKey, more: str) -> DictRow | None:
    skip = " SKIP LOCKED" if more else ""
    return connection.execute(
        "SELECT *, documented * share AS ceiling, extract(epoch FROM clock_timestamp())::float AS now,"
        " extract(epoch FROM next_at)::float AS next"
        f" FROM rescind.lane WHERE {_KEY}{more} FOR UPDATE{skip}",
        _named(bucket),
    ).fetchone()


def _store(connection: Connection, bucket: BucketKey, control: Control) -> None:
    connection.execute(
        f"UPDATE rescind.lane SET pace = %(pace)s, control = %(control)s, adjusted_at = clock_timestamp() WHERE {_KEY}",
        {**_named(bucket), "pace": control.pace, "control": Jsonb(control.to_json())},
    )


def _ahead(row: DictRow, control: Control) -> float:
    """Return for how many seconds instants are reserved already; there are none before the end of a pause."""
    return max(0.0, float(row["next"] - max(row["now"], control.resume_at)))


def _named(bucket: BucketKey) -> dict[str, Any]:
    return dict(zip(("vendor", "account", "region", "action"), bucket, strict=True))


def _state(row: DictRow) -> BucketState:
    control = Control.from_json(row["control"], row["documented"] * row["share"])
    return BucketState(
        vendor=row["vendor"],
        account=row["account"],
        region=row["region"],
        action=row["action"],
        limit=row["documented"],
        share=row["share"],
        pace=row["pace"],
        margin=control.margin,
        learned=control.learned,
        jitter_s=row["jitter_s"],
        next_at=row["next_at"],
        handed=row["handed"],
        throttles=row["throttles"],
        updated_at=row["updated_at"],
    )
