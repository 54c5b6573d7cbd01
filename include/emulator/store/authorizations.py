"""Authorizations of Quick BI works: who may read, export or edit one work, until when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from emulator.journal import Journal
from emulator.store.receivers import Receiver
from emulator.visibility import Visibility

SYSTEM = "quickbi_work_authorizations"
POINTS = {1: ("READ",), 3: ("READ", "EXPORT"), 11: ("READ", "EXPORT", "EDITE")}
"""Authorization points to authorities; ``EDITE`` is the vendor's spelling."""
PERMANENT = 4_102_416_000_000
"""The end of a record without one: the first day of 2100 in China, in milliseconds."""
_CHINA = timezone(timedelta(hours=8))


def day_starts(day: str) -> int:
    """Midnight in China at which a day (``YYYY-MM-DD``) begins, in epoch milliseconds.

    :raises ValueError: for a text that is no day.
    """
    return int(datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=_CHINA).timestamp()) * 1000


@dataclass(slots=True, frozen=True)
class WorkAuthorization:
    """One record of a receiver on a work, dataset or data source until ``expires`` (epoch milliseconds)."""

    authorization_id: str
    resource_id: str
    resource_type: str
    receiver: Receiver
    points: int
    expires: int
    created: str

    @property
    def row(self) -> dict[str, Any]:
        """The record as a row of the truth."""
        return {
            "authorization_id": self.authorization_id, "resource_id": self.resource_id,
            "resource_type": self.resource_type, "receiver_type": self.receiver.kind,
            "receiver_id": self.receiver.id, "auth_points": self.points, "expires": self.expires,
        }  # fmt: skip


class WorkAuthorizations:
    """All records."""

    def __init__(self, journal: Journal, visibility: Visibility) -> None:
        self._journal = journal
        self._visibility = visibility
        self._records: list[WorkAuthorization] = []

    def __iter__(self) -> Iterator[WorkAuthorization]:
        return iter(self._records)

    def seed(self, record: WorkAuthorization) -> None:
        """Authorize without telling the journal (building the organization)."""
        self._records.append(record)

    def add(self, record: WorkAuthorization) -> None:
        """Authorize."""
        self.seed(record)
        self._journal.effect("added", SYSTEM, record.row)
        self._visibility.added(SYSTEM, record)

    def remove(self, receiver: Receiver, resource_id: str = "") -> int:
        """Withdraw every record of a receiver, on one resource or on all; the number of records that went."""
        gone = [one for one in self._records if one.receiver == receiver and resource_id in ("", one.resource_id)]
        self._records = [one for one in self._records if one not in gone]
        for one in gone:
            self._journal.effect("removed", SYSTEM, one.row)
            self._visibility.removed(SYSTEM, one)
        return len(gone)

    def of(self, resource_id: str) -> list[WorkAuthorization]:
        """Records of one resource, expired ones included."""
        return [one for one in self._records if one.resource_id == resource_id]

    def listed(self, resource_id: str) -> list[WorkAuthorization]:
        """Records of one resource as a listing shows them."""
        late = (self._visibility.shown, self._visibility.hidden)
        shown, hidden = (one(SYSTEM, lambda item: item.resource_id == resource_id) for one in late)
        held = self.of(resource_id)
        return [*(one for one in held if one not in hidden), *(one for one in shown if one not in held)]

    def clear(self) -> None:
        """Forget all records without telling the journal."""
        self._records.clear()
