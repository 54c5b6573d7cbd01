"""Which messages to chat were sent: a row is committed before each message, so that none is sent twice."""

from __future__ import annotations

from rescind.ledger.store.repository import Repository

OWNERS_REMINDED = "owners"
"""First word of the event that the owners of a run were reminded; the run's id and a number follow."""


class Notices(Repository):
    """The messages that were sent, or were about to be."""

    def claim(self, event: str, channel: str) -> bool:
        """Record that a message is about to be sent; return False if that was recorded before.

        The row is committed when this returns. After a crash between the row and the message nobody sends it again.

        :param event: names the event, such as ``asked RUN DIGEST``; at most 500 characters.
        :param channel: names where the message goes; at most 500 characters.
        """
        return bool(
            self._db.write(
                lambda connection: (
                    connection.execute(
                        "INSERT INTO rescind.notice (event, channel) VALUES (%s, %s) ON CONFLICT DO NOTHING",
                        (event, channel),
                    ).rowcount
                )
            )
        )

    def told(self, event: str) -> list[str]:
        """Return the events that were told and begin with these words, in the order in which they were told first."""
        query = (
            "SELECT event FROM rescind.notice WHERE event = %(event)s OR starts_with(event, %(event)s || ' ')"
            " GROUP BY event ORDER BY min(claimed_at), event"
        )
        rows = self._db.read(lambda connection: connection.execute(query, {"event": event}).fetchall())
        return [str(row["event"]) for row in rows]
