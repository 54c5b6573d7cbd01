"""Refusals of the ledger that a caller may want to tell apart; all of them are :class:`LedgerError`."""

from __future__ import annotations

from rescind.errors import LedgerError


class DatabaseError(LedgerError):
    """PostgreSQL refused or did not answer.

    :param sqlstate: PostgreSQL's five-character code, or empty when no server answered.
    :param lost: True when the connection is gone, so that the same read may work on a new one.
    """

    def __init__(self, message: str, *, sqlstate: str = "", lost: bool = False) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        self.lost = lost


class ScopeLockedError(LedgerError):
    """Another run holds the lock on a permission system of an account; two runs never revoke there at once."""


class CallSettledError(LedgerError):
    """The call may not be sent: it is not pending, or it was tried too often.

    :param state: the call's state, or ``exhausted`` when its attempts are used up.
    """

    def __init__(self, message: str, state: str) -> None:
        super().__init__(message)
        self.state = state


class RecordConflictError(LedgerError):
    """A record that is written once is there already and says something else."""


class TransitionError(LedgerError):
    """An item is not in a state from which the wanted state can be reached."""


class SnapshotClosedError(LedgerError):
    """Requests of this run were sent already: its snapshot, decisions and plan stay as they were."""
