"""The trigger of the sensors that wait until one grant is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from rescind.errors import RescindError
from rescind.hooks.single_calls.grants import KINDS
from rescind.hooks.single_calls.verify_gone import NOT_YET, grant_of, verify_gone


class GrantGoneTrigger(BaseTrigger):
    """Re-list until two complete listings in a row do not show the grant.

    Throttled, unreachable and incomplete listings are tried again after ``poke_interval``. Any other error ends the
    wait. The event is ``{"report": ...}`` when the grant is gone, or ``{"error": text}``.

    :param kind: class name of the grant's description, a key of :data:`rescind.hooks.single_calls.grants.KINDS`.
    :param grant: the fields of the description.
    :param conn_id: connection to the vendor.
    :param poke_interval: seconds between two checks.
    """

    def __init__(self, *, kind: str, grant: dict[str, Any], conn_id: str, poke_interval: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kind = kind
        self.grant = grant
        self.conn_id = conn_id
        self.poke_interval = poke_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments; neither holds a key."""
        names = ("kind", "grant", "conn_id", "poke_interval")
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, check, and yield one event."""
        while True:
            await asyncio.sleep(self.poke_interval)
            try:
                event = await self._check()
            except NOT_YET as error:
                self.log.warning("cannot tell yet: %s", error)
                continue
            except RescindError as error:
                event = {"error": f"{type(error).__name__}: {error}"}
            if event:
                yield TriggerEvent(event)  # type: ignore[no-untyped-call]
                return
            self.log.info("the grant is still present")

    async def _check(self) -> dict[str, Any]:
        """Return the event's payload; empty while the grant is still present."""
        kind = KINDS[self.kind]
        grant = grant_of(kind, self.grant)
        # Airflow answers for connections and Variables synchronously, which must not block the triggerer's loop.
        client = await sync_to_async(lambda: kind.hook(self.conn_id).get_conn())()
        async with client:
            report = await verify_gone(client, [grant])
        return {} if report["still_present"] else {"report": report}
