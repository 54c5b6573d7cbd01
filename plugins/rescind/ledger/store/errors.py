"""Errors of the ledger that a caller may handle separately. All are a :class:`LedgerError`."""

from __future__ import annotations

from rescind.errors import LedgerError


class DatabaseError(LedgerError):
    """PostgreSQL refused a statement or did not answer.

    :param sqlstate: PostgreSQL's five-character code; empty when no server answered.
    :param lost: True when the connection is lost; the same read may work on a new one.
    """

    def __init__(self, message: str, *, sqlstate: str = "", lost: bool = False) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        self.lost = lost


class ScopeLockedError(LedgerError):
    """Another run holds the lock on a permission system of an account. Two runs never change it at the same time."""


class CallSettledError(LedgerError):
    """The call cannot be sent: it is not pending, or its attempts are used up.

    :param state: the call's state, or ``exhausted`` when its attempts are used up.
    """

    def __init__(self, message: str, state: str) -> None:
        super().__init__(message)
        self.state = state


class RecordConflictError(LedgerError):
    """A write-once record exists already with different content."""


class TransitionError(LedgerError):
    """An item is not in a state from which the requested state can be reached."""


class SnapshotClosedError(LedgerError):
    """Requests of this run were sent already: its snapshot, decisions and plan cannot change any more."""


class EventTakenError(LedgerError):
    """Another run has taken an event that this run is about to take. No event is taken twice."""
