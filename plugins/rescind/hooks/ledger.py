"""Hook for the ledger's PostgreSQL database."""

from __future__ import annotations

import logging
from typing import Any, ClassVar

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException
from psycopg.conninfo import make_conninfo

from rescind.errors import ConfigurationError, RescindError
from rescind.ledger import Ledger
from rescind.settings import LEDGER_CONNECTION

log = logging.getLogger(__name__)
_LIBPQ = ("sslmode", "sslrootcert", "sslcert", "sslkey", "options", "target_session_attrs", "gssencmode")


def check_ledger(ledger: Ledger) -> None:
    """Check before a run that the ledger can be used, and log what an operator should know about its database.

    :raises ConfigurationError: when it cannot be used.
    """
    ledger.check()
    for warning in ledger.warnings():
        log.warning("%s", warning)


class LedgerHook(BaseHook):
    """Opens the ledger through a ``postgres`` or ``generic`` connection.

    :param ledger_conn_id: connection with host, port, login, password, and the database as schema. The usual libpq
        extras (``sslmode`` ...) are passed on; other extras are ignored.
    """

    conn_name_attr: ClassVar[str] = "ledger_conn_id"
    default_conn_name: ClassVar[str] = LEDGER_CONNECTION
    conn_type: ClassVar[str] = "postgres"
    hook_name: ClassVar[str] = "Rescind ledger"

    def __init__(self, ledger_conn_id: str = LEDGER_CONNECTION) -> None:
        super().__init__()
        self.ledger_conn_id = ledger_conn_id

    def dsn(self) -> str:
        """Return the libpq connection string.

        :raises ConfigurationError: when the connection does not exist.
        """
        try:
            conn = self.get_connection(self.ledger_conn_id)
        except AirflowNotFoundException:
            raise ConfigurationError(
                f"connection {self.ledger_conn_id!r} is missing. Add a PostgreSQL connection of that id, or set "
                f"AIRFLOW_CONN_{self.ledger_conn_id.upper()}; then run `make migrate`"
            ) from None
        parts: dict[str, Any] = {
            "host": conn.host,
            "port": conn.port,
            "user": conn.login,
            "password": conn.password,
            "dbname": conn.schema or "rescind_ledger",
        }
        parts |= {name: value for name, value in conn.extra_dejson.items() if name in _LIBPQ}
        if "host" in conn.extra_dejson and not conn.host:
            parts["host"] = conn.extra_dejson["host"]
        return make_conninfo("", **{name: value for name, value in parts.items() if value not in (None, "")})

    def get_conn(self) -> Ledger:
        """Return the ledger. It connects at its first use."""
        return Ledger(self.dsn())

    def test_connection(self) -> tuple[bool, str]:
        """Return whether the ledger answers and is migrated."""
        try:
            with self.get_conn() as ledger:
                ledger.check()
        except RescindError as error:
            return False, str(error)
        return True, "The ledger answers and is up to date"
