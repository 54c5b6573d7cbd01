"""What the page tells the tasks about Airflow: only the API server knows which auth manager is in use."""

from __future__ import annotations

from rescind.ledger.store.repository import Repository

_AUTH_MANAGER = "auth_manager"


class Deployment(Repository):
    """Facts about the Airflow of this ledger. They help to find wrong settings; no approval rests on them."""

    def auth_manager(self) -> str:
        """Return the class of Airflow's auth manager, or an empty text while the page has not recorded it."""
        row = self._db.read(
            lambda connection: connection.execute(
                "SELECT value FROM rescind.deployment WHERE name = %s", (_AUTH_MANAGER,)
            ).fetchone()
        )
        return str(row["value"]) if row else ""

    def note_auth_manager(self, name: str) -> None:
        """Record the class of Airflow's auth manager."""
        self._db.write(
            lambda connection: connection.execute(
                "INSERT INTO rescind.deployment (name, value) VALUES (%s, %s) ON CONFLICT (name) DO UPDATE"
                " SET value = EXCLUDED.value, noted_at = clock_timestamp()"
                " WHERE rescind.deployment.value IS DISTINCT FROM EXCLUDED.value",
                (_AUTH_MANAGER, name),
            )
        )
