"""Find out with harmless reads which actions the calling identity may use.

A missing right that is found during discovery costs minutes and leaves an incomplete snapshot. Therefore each client
class names one small read for every action that its permission systems need (the module ``permission_reads`` beside
this one), and :func:`allowed_actions` sends them: all in a connection test, and before a run those that its systems
need. An action that needs an id is tried with the first id that an earlier read returned. Without such an id, and for
every write, the result is ``unknown``. "Allowed" is true for the object that was tried: both vendors can allow an
action on one object and refuse it on another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from rescind.cloud.base import Answer, Page, Request
from rescind.errors import CloudError, ExpiredSignatureError, InputError, UnauthorizedError, first_of


class ProbeClient(Protocol):
    """The part of a vendor client that probing needs."""

    @property
    def probes(self) -> tuple[Probe, ...]:
        """What the client's permission systems need."""

    async def read(self, request: Any, /) -> Answer[Any]:
        """Send one read."""


Right = Literal["allowed", "refused", "unknown"]


@dataclass(frozen=True, slots=True)
class Probe:
    """A harmless read that tests one action.

    :param action: the vendor's action.
    :param read: returns the read, built from the first row of the probe ``after`` (None when ``after`` is empty).
        It returns None when that row lacks a needed field. Writes have no read.
    :param after: the action whose first row is needed.
    """

    action: str
    read: Callable[[Any], Request[Any] | None] | None = None
    after: str = ""


async def allowed_actions(
    client: ProbeClient, requests: Iterable[Request[Any] | Probe] | None = None
) -> dict[str, Right]:
    """Which actions the client's identity may call. Reads are paced and retried as always; no write is sent.

    :param requests: what to try, as ready requests or as probes; None for all that the client's systems need
        (:attr:`~rescind.cloud.client.CloudClient.probes`). A probe's ``after`` must stand before it; where it is left
        out, the probe's result is ``unknown``.
    :return: by action, in the order given: ``allowed`` (the vendor answered), ``refused`` (the vendor says that the
        identity may not), or ``unknown`` (a write, nothing to try it on, or any other answer).
    :raises LedgerError: from the pacer. So with :class:`RunStoppedError`.
    :raises ConfigurationError: when there is no key.
    :raises ExpiredSignatureError: when key or clock are not accepted any more.
    """
    probes = [_as_probe(each) for each in (client.probes if requests is None else requests)]
    tasks: dict[str, asyncio.Task[tuple[Right, Any]]] = {}
    try:
        async with asyncio.TaskGroup() as group:
            for probe in probes:
                tasks[probe.action] = group.create_task(_try(client, probe, tasks.get(probe.after)))
    except BaseExceptionGroup as errors:
        raise first_of(errors) from errors
    return {action: task.result()[0] for action, task in tasks.items()}


def _as_probe(given: Request[Any] | Probe) -> Probe:
    if isinstance(given, Probe):
        return given
    return Probe(given.action, None if given.write else lambda _: given)


async def _try(client: ProbeClient, probe: Probe, before: asyncio.Task[tuple[Right, Any]] | None) -> tuple[Right, Any]:
    """The right, and the first row of what was seen."""
    row = (await before)[1] if before else None
    if probe.read is None or (probe.after and row is None):
        return "unknown", None
    try:
        request: Any = probe.read(row)
        if request is None or request.write:
            return "unknown", None
        seen = (await client.read(request)).value
    except ExpiredSignatureError:
        raise  # the key has ended: that says nothing about its rights
    except UnauthorizedError:
        return "refused", None
    except (CloudError, InputError):  # InputError: an id of the row has a shape that no request takes
        return "unknown", None
    rows = seen.rows() if isinstance(seen, Page) else None
    return "allowed", rows[0] if rows else None


def in_short(rights: Mapping[str, Right]) -> str:
    """The rights in one sentence for people.

    For example ``7 of 11 needed actions seen to be allowed; refused: ListCatalog; cannot be told: ListTable, ...``.
    """
    named = {kind: [action for action, right in rights.items() if right == kind] for kind in ("refused", "unknown")}
    allowed = sum(right == "allowed" for right in rights.values())
    parts = [f"{allowed} of {len(rights)} needed actions seen to be allowed"]
    if named["refused"]:
        parts.append(f"refused: {', '.join(named['refused'])}")
    if named["unknown"]:
        parts.append(f"cannot be told: {', '.join(named['unknown'])}")
    return "; ".join(parts)
