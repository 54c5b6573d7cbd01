"""Who used what, and when: the truth about use, of which the vendors' logs show a part."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar

SUCCESS = "SUCCESS"
SECRET_MARK = "topsecret-"
"""In every password, key and personal detail of the invented SQL, so that a test can look for leaks."""
_AT = attrgetter("at")


class Statement(NamedTuple):
    """A SQL statement on a database, or on an instance itself (``db_id`` 0); ``at`` in seconds since the epoch.

    ``through`` is ``dms``, or ``native`` for a log-on with a database account that DMS never sees.
    """

    at: int
    user_id: str
    instance_id: int
    db_id: int
    sql: str
    sql_type: str
    state: str = SUCCESS
    through: str = "dms"


class Login(NamedTuple):
    """A log-on to an instance."""

    at: int
    user_id: str
    instance_id: int
    db_user: str
    ip: str


class Operation(NamedTuple):
    """An entry of the operation log; ``db_id`` 0 when it is about no database."""

    at: int
    user_id: str
    module: str
    db_id: int
    content: str
    order_id: int = 0


class View(NamedTuple):
    """A look at a portal or a dashboard; ``user_id`` is Quick BI's."""

    at: int
    user_id: str
    works_id: str


Event = TypeVar("Event", Statement, Login, Operation, View)


@dataclass(slots=True)
class Usage:
    """All events of each kind, oldest first."""

    statements: list[Statement] = field(default_factory=list)
    logins: list[Login] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    views: list[View] = field(default_factory=list)

    def add(self, event: Statement | Login | Operation | View) -> None:
        """Something was used."""
        kinds: dict[type, list[Any]] = {
            Statement: self.statements, Login: self.logins, Operation: self.operations, View: self.views
        }  # fmt: skip
        insort(kinds[type(event)], event, key=_AT)

    def sort(self) -> None:
        """Put the events into order, after lists were filled directly."""
        for events in (self.statements, self.logins, self.operations, self.views):
            events.sort(key=_AT)

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """Every event, also what no log shows; ids are text, ``at`` is in seconds since the epoch."""
        return {
            "dms_statements": list(_texts(self.statements)), "dms_logins": list(_texts(self.logins)),
            "dms_operations": list(_texts(self.operations)), "quickbi_views": list(_texts(self.views)),
        }  # fmt: skip


def between(events: list[Event], first: float, last: float) -> list[Event]:
    """Events from ``first`` to ``last``, both included."""
    return events[bisect_left(events, first, key=_AT) : bisect_right(events, last, key=_AT)]


def _texts(events: list[Any]) -> Iterator[dict[str, Any]]:
    for event in events:
        yield {name: str(value or "") if name in ("instance_id", "db_id") else value
               for name, value in event._asdict().items()}  # fmt: skip
