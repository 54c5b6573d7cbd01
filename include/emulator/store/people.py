"""The people of the organization and their ids in the vendors' id spaces."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Person:
    """A person or service account. Empty ids mean: not registered in that system.

    ``wedata_uin`` (1000...) is what WeData's project members carry, ``wedata_user_id`` (7000...) what its
    privilege subjects and data source users carry; the vendor has no call that maps one to the other.
    """

    person_id: str
    name: str
    email: str
    department: str
    status: str
    terminated_at: str
    kind: str
    manager: str
    wedata_user_id: str
    alibaba_uid: str
    dms_user_id: str
    quickbi_user_id: str
    wedata_uin: str
    protected: str = ""
    is_tool: bool = False

    @property
    def left(self) -> bool:
        """True when the roster says that the person has left."""
        return self.status == "left"


ROSTER_COLUMNS = [
    "person_id", "name", "email", "department", "status", "terminated_at", "kind", "manager",
    "wedata_user_id", "alibaba_uid", "dms_user_id", "quickbi_user_id",
]  # fmt: skip
ID_SPACES = ["wedata_user_id", "wedata_uin", "alibaba_uid", "dms_user_id", "quickbi_user_id"]


def roster_csv(people: list[Person]) -> str:
    """The roster as the personnel department would export it."""
    out = io.StringIO()
    writer = csv.DictWriter(out, ROSTER_COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for person in people:
        writer.writerow(asdict(person))
    return out.getvalue()


def protected_ids(people: list[Person]) -> dict[str, Any]:
    """Who must not lose access, per id space, with the reason for each person."""
    chosen = [person for person in people if person.protected]
    return {
        "people": [{**asdict(person), "reason": person.protected} for person in chosen],
        "ids": {
            space: [value for person in chosen if (value := getattr(person, space))]
            for space in ["person_id", *ID_SPACES]
        },
    }


def as_rows(people: list[Person]) -> list[dict[str, Any]]:
    """All people with all ids."""
    names = [column.name for column in fields(Person)]
    return [{name: getattr(person, name) for name in names} for person in people]
