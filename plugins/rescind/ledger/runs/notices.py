"""Which messages to chat were sent: a row is committed before each message, so that none is sent twice."""

from __future__ import annotations

from rescind.ledger.store.repository import Repository


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
