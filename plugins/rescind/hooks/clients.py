"""Open the vendor client of a permission system through its Airflow connection."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

from rescind.cloud.client import CloudClient
from rescind.cloud.connection.settings import ClientSettings
from rescind.cloud.pacing.counting_pacer import CountingPacer
from rescind.errors import ConfigurationError
from rescind.hooks.base import CloudHook
from rescind.ledger import Ledger, Scope
from rescind.ledger.ratelimit.pacer import LedgerPacer, PacerSettings
from rescind.settings import VARIABLE, Settings
from rescind.systems.base import PermissionSystem
from rescind.systems.walker import account_of


def hook_of(system: PermissionSystem[Any], conn_id: str) -> CloudHook:
    """Return the Airflow hook of the system for that connection. Nothing is read or opened yet."""
    module, _, name = system.hook.rpartition(".")
    hook: CloudHook = getattr(import_module(module), name)(conn_id)
    return hook


@asynccontextmanager
async def reading(
    system: PermissionSystem[Any], scope: Scope, ledger: Ledger, settings: Settings
) -> AsyncIterator[tuple[CloudClient, CountingPacer]]:
    """Open the scope's verifying connection if the settings name any for its system, else the scope's own.

    :raises ConfigurationError: when no verifying connection belongs to the scope's account.
    """
    conn_ids = settings.verifying_connections.get(system.name, [])
    seen = []
    for conn_id in conn_ids:
        async with connected(system, conn_id, ledger, settings) as (client, pacer):
            if account_of(client) == scope.account:
                yield client, pacer
                return
            seen.append(f"{conn_id!r} answers for {account_of(client)}")
    if conn_ids:
        raise ConfigurationError(
            f"no verifying connection of {system.name} answers for account {scope.account}: {', '.join(seen)}. Add one "
            f"under 'verifying_connections' in the Airflow Variable {VARIABLE!r}, or remove the system there"
        )
    async with connected(system, scope.conn_id, ledger, settings, account=scope.account) as found:
        yield found


@asynccontextmanager
async def connected(
    system: PermissionSystem[Any], conn_id: str, ledger: Ledger, settings: Settings, *, account: str = ""
) -> AsyncIterator[tuple[CloudClient, CountingPacer]]:
    """Open an identified client whose rate limiter is shared with every other worker through the ledger.

    :param account: the account of the run. A connection of another account is refused, so that neither a revocation
        nor a verdict can come from the wrong account.
    :raises ConfigurationError: when the connection belongs to another account.
    """
    hook = hook_of(system, conn_id)
    cloud: ClientSettings = hook.settings()
    pacer = LedgerPacer(ledger, PacerSettings(limits=dict(cloud.limits), share=cloud.share, workers=settings.workers))
    counting = CountingPacer(pacer)
    client: CloudClient = hook.get_conn(counting)
    try:
        async with client:
            await client.identify()
            if account and account_of(client) != account:
                raise ConfigurationError(
                    f"connection {conn_id!r} answers for account {account_of(client)}, the run is about {account}. "
                    "Restore the connection, or start a new run"
                )
            yield client, counting
    finally:
        await pacer.aclose()
