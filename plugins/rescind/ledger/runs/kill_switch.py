"""The kill switch, which stops every run between two calls."""

from __future__ import annotations

from rescind.errors import InputError, RunStoppedError
from rescind.ledger.runs.records import KillSwitchEvent
from rescind.ledger.store.columns import listed, names
from rescind.ledger.store.database import Connection
from rescind.ledger.store.repository import Repository

_COLUMNS = listed(names(KillSwitchEvent))


class KillSwitch(Repository):
    """The kill switch of this ledger. The history stays; the last event is valid."""

    def stop(self, by: str, reason: str) -> KillSwitchEvent:
        """Set the kill switch. No attempt begins after this has returned; in-flight requests may still arrive.

        :param by: who sets it.
        :param reason: why.
        :raises InputError: when ``by`` or ``reason`` is empty.
        """
        return self._change(True, by, reason)

    def resume(self, by: str, reason: str) -> KillSwitchEvent:
        """Clear the kill switch.

        :param by: who clears it.
        :param reason: why.
        :raises InputError: when ``by`` or ``reason`` is empty.
        """
        return self._change(False, by, reason)

    def state(self) -> KillSwitchEvent | None:
        """Return the last event, or None when the switch was never changed."""
        return self._db.read(current)

    def history(self) -> list[KillSwitchEvent]:
        """Return all events, oldest first."""
        rows = self._db.read(
            lambda connection: connection.execute(
                f"SELECT {_COLUMNS} FROM rescind.kill_switch ORDER BY switch_no"
            ).fetchall()
        )
        return [KillSwitchEvent(**row) for row in rows]

    def raise_if_stopped(self) -> None:
        """Check the kill switch.

        :raises RunStoppedError: when it is set; the message says by whom, when and why.
        """
        self._db.read(refuse_if_stopped)

    def _change(self, stopped: bool, by: str, reason: str) -> KillSwitchEvent:
        for name, value in (("by", by), ("reason", reason)):
            if not value.strip():
                raise InputError(f"kill switch {name}", "empty text", "Pass who changes the kill switch, and why")
        row = self._db.write(
            lambda connection: connection.execute(
                "INSERT INTO rescind.kill_switch (stopped, changed_by, reason) VALUES (%s, %s, %s)"
                f" RETURNING {_COLUMNS}",
                (stopped, by.strip(), reason.strip()),
            ).fetchone()
        )
        return KillSwitchEvent(**(row or {}))


def current(connection: Connection) -> KillSwitchEvent | None:
    """Return the last event, inside a transaction."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM rescind.kill_switch ORDER BY switch_no DESC LIMIT 1").fetchone()
    return None if row is None else KillSwitchEvent(**row)


def refuse_if_stopped(connection: Connection) -> None:
    """Check the kill switch inside a transaction.

    :raises RunStoppedError: when it is set.
    """
    event = current(connection)
    if event is not None and event.stopped:
        raise RunStoppedError(
            f"the kill switch is set (by {event.changed_by!r} at {event.changed_at:%Y-%m-%d %H:%M:%S %Z}:"
            f" {event.reason!r}). To continue: rescind ledger resume --by NAME --reason TEXT"
        )
