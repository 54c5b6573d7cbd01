"""What a run asks of a system about the use of grants, and how the answer is marked on them.

A use is kept as its newest day for each user, object and class of use. It is read before the grants are listed, so
that each grant carries it when it is written. A log that was not read to its end says nothing: then its grants are *not
known*. It never stops the listing of grants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from rescind.errors import CloudError, InputError, ListingIncompleteError, UnauthorizedError
from rescind.model import Grant, PrincipalType

UNTOLD = "the platform shows no use of this grant by one person"
NOT_ASKED = "a run about named people does not ask"
OTHERS = "the holder is not one user"
NOT_READ = "the log could not be read completely"
REFUSED = "the key may not read the log"
CAPPED = "reading the log takes more calls than the setting last_used allows"
FAILURES = (CloudError, ListingIncompleteError, InputError)
"""What ends the reading of one log, and nothing else."""


class LastUse(NamedTuple):
    """What is known of the use of one grant; the fields of :class:`~rescind.model.Grant` with these meanings."""

    days: int | None
    on: str
    how: str


def not_known(why: str) -> LastUse:
    """Return that nothing is known, and why, in fixed words."""
    return LastUse(None, "", why)


class CapReachedError(Exception):
    """The run may not make another call about use."""


@dataclass(slots=True)
class UsageRequest:
    """What one discovery may ask about use.

    :param days: how many closed days to look back.
    :param max_calls: most calls for it.
    :param today: the first day that is not asked about, because it has not ended everywhere.
    :ivar notes: what was read, by log, for the certificate of the scope.
    """

    days: int
    max_calls: int
    today: date = field(default_factory=lambda: (datetime.now(UTC) - timedelta(hours=12)).date())
    calls: int = 0
    notes: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def first(self) -> date:
        """The first day of the window."""
        return self.today - timedelta(days=self.days)

    def window(self) -> Iterator[date]:
        """Yield the days of the window, oldest first. They have ended in every zone: the vendor's is not documented."""
        return (self.first + timedelta(days=number) for number in range(self.days))

    def call(self) -> None:
        """Count a call before it is made.

        :raises CapReachedError: when it would be one too many.
        """
        if self.calls >= self.max_calls:
            raise CapReachedError
        self.calls += 1

    def since(self, day: date) -> int:
        """Return the full days since the end of a day; what happened later than the window counts as today."""
        return max(0, (self.today - day).days - 1)

    def note(self, log: str, error: BaseException | None = None, **figures: int) -> None:
        """Note how a log was read. ``error`` is why it was not read to its end, without the vendor's text."""
        why = "" if error is None else f"{type(error).__name__}: {error}"
        if isinstance(error, CapReachedError):
            why = CAPPED
        if isinstance(error, CloudError):
            why = f"{type(error).__name__}: {error.action} {error.code}".strip()
        window = {"from": self.first.isoformat(), "to": (self.today - timedelta(days=1)).isoformat()}
        self.notes[log] = {"complete": error is None, **window, **figures, **({"why": why[:300]} if why else {})}


def reason_of(error: BaseException) -> str:
    """Return why nothing is known after a failure, in fixed words without the vendor's text."""
    if isinstance(error, CapReachedError):
        return CAPPED
    return REFUSED if isinstance(error, UnauthorizedError) else NOT_READ


def day_of(text: str | None) -> date | None:
    """Return the day of ``yyyy-MM-dd HH:mm:ss``, or None."""
    try:
        return datetime.strptime(text or "", "%Y-%m-%d %H:%M:%S").date()
    except ValueError:
        return None


Judge = Callable[[Grant], LastUse]


def marked(grants: Iterable[Grant], judge: Judge | None) -> Iterator[Grant]:
    """Yield the grants with what is known of their use; without a judge as they are."""
    if judge is None:
        yield from grants
        return
    for grant in grants:
        of_one = grant.key.principal_type == PrincipalType.USER and grant.key.principal_id
        use = judge(grant) if of_one else not_known(OTHERS)
        yield replace(grant, last_used_days=use.days, last_used_on=use.on, last_use=use.how)


Place = tuple[str, ...]


class Newest:
    """The newest day of use by (user, place), with what shows it."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, Place], tuple[date, str]] = {}

    def add(self, user: str, place: Place, day: date, how: str) -> None:
        """Take one use."""
        key = (user, place)
        if key not in self._found or self._found[key][0] < day:
            self._found[key] = (day, how)

    def of(self, user: str, place: Place) -> tuple[date, str] | None:
        """Return the newest use, if any was seen."""
        return self._found.get((user, place))

    def __len__(self) -> int:
        return len(self._found)
