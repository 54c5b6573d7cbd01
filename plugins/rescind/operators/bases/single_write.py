"""One write of an operator that works alone: what a deployment of Rescind demands of it.

A deployment exists where the Airflow Variable ``rescind_settings`` or the connection ``rescind_ledger`` exists. Then a
single write obeys the kill switch of the ledger, protections, exceptions and the tool's own identities, leaves the
connections of reviews alone, and is recorded in the ledger. Without a deployment only Airflow's kill switch counts.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import rescind
from rescind.airflow_support.kill_switch_variable import StopVariable, refuse_if_set
from rescind.airflow_support.lookups import connection_exists, read_variable
from rescind.cloud.base import Answer, Prepared, WriteRequest
from rescind.cloud.client import CloudClient
from rescind.errors import (
    BlastRadiusExceededError,
    CloudError,
    ConfigurationError,
    ExpiredSignatureError,
    InputError,
    NotFoundError,
    RefusedError,
    ThrottledError,
    TransientError,
    UnauthorizedError,
)
from rescind.hooks.clients import connected, hook_of
from rescind.hooks.single_calls.calls import write_once
from rescind.hooks.single_calls.grants import VendorGrant
from rescind.ledger import SINGLE, Ledger, NewRun, NewSingleCall, Run
from rescind.model import Choice, Grant, GrantKey, PrincipalType
from rescind.review import Decider, RequestedTargets
from rescind.settings import LEDGER_CONNECTION, VARIABLE, Settings
from rescind.systems import default_connections, system_named
from rescind.systems.walker import account_of
from rescind.workflow.inputs import single_call_context
from rescind.workflow.run_occasion import Start

log = logging.getLogger(__name__)

Check = Callable[[Answer[Any]], None]
"""Raises a ``RefusedError`` when an answer refuses a part of the request."""


def deployed_settings() -> Settings | None:
    """Return the settings of this deployment, or None where Rescind is not deployed.

    :raises ConfigurationError: when the settings are wrong.
    :raises RunInterruptedError: when Airflow does not answer.
    """
    text = read_variable(VARIABLE)
    if text is None and not connection_exists(LEDGER_CONNECTION):
        return None
    try:
        raw = None if text is None else json.loads(text)
    except ValueError:
        raise ConfigurationError(f"Airflow Variable {VARIABLE!r} is not JSON. Correct it") from None
    return Settings.parse(raw, connections=default_connections())


def refuse_review_connection(settings: Settings, conn_id: str) -> None:
    """Keep single writes away from the connections of reviews, whose writes need a plan and an approval.

    :raises ConfigurationError: when the settings name the connection and ``allow_single_writes`` is not set.
    """
    if settings.allow_single_writes:
        return
    for name in ("connections", "granting_connections", "verifying_connections"):
        if any(conn_id in conn_ids for conn_ids in getattr(settings, name).values()):
            raise ConfigurationError(
                f"connection {conn_id!r} belongs to reviews (setting {name!r}), and a single write has no plan and no "
                "approval. Use a connection with a key of its own, or set 'allow_single_writes' in the Airflow "
                f"Variable {VARIABLE!r}"
            )


class UnrecordedJournal:
    """Where Rescind is not deployed: reads the kill switch of Airflow before each attempt, and records nothing."""

    def __init__(self, stop: StopVariable) -> None:
        self._stop = stop

    def intent(self, prepared: Prepared[Any]) -> int:
        """Refuse while the kill switch is set."""
        refuse_if_set(self._stop)
        return 0

    def outcome(self, attempt: int, answer: Answer[Any] | None, error: Exception | None) -> None:
        """Nothing to record."""


@dataclass(slots=True)
class LedgerJournal:
    """Records each attempt in the ledger, before and after it.

    :param run: the run of kind ``single`` of this DAG run.
    """

    ledger: Ledger
    run: Run
    stop: StopVariable
    task_id: str
    map_index: int
    system: str
    account: str
    conn_id: str
    request: WriteRequest[Any]

    def intent(self, prepared: Prepared[Any]) -> int:
        """Read both kill switches and commit the intent."""
        refuse_if_set(self.stop)
        return self.ledger.single_calls.begin(
            self.run.run_id,
            NewSingleCall(
                task_id=self.task_id,
                map_index=self.map_index,
                system=self.system,
                account=self.account,
                conn_id=self.conn_id,
                action=prepared.action,
                api_version=prepared.version,
                request_digest=prepared.fingerprint,
                parameters=self.request.wire(),
            ),
        )

    def outcome(self, attempt: int, answer: Answer[Any] | None, error: Exception | None) -> None:
        """Commit the outcome."""
        said = error if isinstance(error, CloudError) else answer
        self.ledger.single_calls.finish(
            attempt,
            outcome_of(error),
            code=error.code if isinstance(error, CloudError) else "",
            http_status=said.http_status if said else None,
            request_id=said.request_id if said else "",
        )


_OUTCOMES: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((ThrottledError,), "throttled"),
    ((TransientError, ExpiredSignatureError, BlastRadiusExceededError, InputError), "not_sent"),
    ((RefusedError, NotFoundError, UnauthorizedError), "refused"),
)


def outcome_of(error: Exception | None) -> str:
    """Return the outcome of an attempt: of an unexpected error nobody knows whether the request was executed."""
    if error is None:
        return "accepted"
    return next((outcome for kinds, outcome in _OUTCOMES if isinstance(error, kinds)), "unknown")


@dataclass(slots=True)
class SingleWrite:
    """One write through a connection, in a deployment of Rescind."""

    settings: Settings
    ledger: Ledger
    grant: VendorGrant
    conn_id: str
    stop: StopVariable
    patience_s: float

    def check(self) -> None:
        """Check what needs no vendor.

        :raises ConfigurationError: when the connection belongs to reviews, or the ledger cannot be used.
        :raises RunStoppedError: when the kill switch is set.
        """
        refuse_review_connection(self.settings, self.conn_id)
        self.ledger.check()
        self.ledger.kill_switch.raise_if_stopped()

    def _begin(self, context: Any) -> Run:
        """Return the run of kind ``single`` of this DAG run, created with the first call that may be sent."""
        dag_run = context["dag_run"]
        return self.ledger.runs.begin(
            NewRun(
                dag_id=dag_run.dag_id,
                airflow_run_id=dag_run.run_id,
                kind=SINGLE,
                requested_by=Start.of(dag_run).person,
                dry_run=False,
                code_version=rescind.__version__,
            )
        )

    async def send(self, context: Any, request: WriteRequest[Any], check: Check) -> Answer[Any]:
        """Check the grants and send the request through the rate limiter of the ledger.

        :raises InputError: when a grant is protected, excepted, or held by the tool itself.
        :raises RecordConflictError: when this DAG run is a review.
        """
        system = system_named(self.grant.system)
        async with connected(system, self.conn_id, self.ledger, self.settings) as (client, _):
            account = account_of(client)
            own = {*await system.own_ids(client), *await asyncio.to_thread(lambda: [*self._own_ids(client)])}
            await asyncio.to_thread(self._refuse_protected, list(self.grant.keys(account)), own)
            run = await asyncio.to_thread(self._begin, context)
            log.info("recorded in run %s (number %d) of the ledger", run.run_id, run.number)
            ti = context["ti"]
            journal = LedgerJournal(
                self.ledger,
                run,
                self.stop,
                str(ti.task_id),
                -1 if ti.map_index is None else int(ti.map_index),
                system.name,
                account,
                self.conn_id,
                request,
            )
            return await write_once(client, request, self.patience_s, journal, check)

    def _own_ids(self, client: CloudClient) -> Iterable[str]:
        """Yield the tool's own ids: of this connection, of the connections of reviews, and as runs have found them."""
        yield from client.settings.own_ids
        yield from self.ledger.scopes.own_ids(self.grant.system)
        system = system_named(self.grant.system)
        for name in ("connections", "granting_connections", "verifying_connections"):
            for conn_id in getattr(self.settings, name).get(self.grant.system, ()):
                try:
                    yield from hook_of(system, conn_id).settings().own_ids
                except ConfigurationError:
                    continue  # a connection that does not exist cannot be ours

    def _refuse_protected(self, keys: list[GrantKey], own: set[str]) -> None:
        """Decide as a run about named targets does; one grant that stays keeps the whole call from being sent."""
        system = self.grant.system
        users = {
            (str(key.principal_type), key.principal_id) for key in keys if key.principal_type == PrincipalType.USER
        }
        everybody_of = tuple(sorted({key.resource_id for key in keys}))
        context = single_call_context(
            self.settings,
            RequestedTargets(principals=(), systems=(system,), resources=everybody_of, reason="single call"),
            [(system, ident) for ident in sorted(own)],
            self.ledger.snapshot.last_seen(system, keys[0].account, users),
        )
        decider = Decider(context)
        for key in keys:
            decision = decider.decide(Grant(key=key, cell=system_named(system).cell(key)))
            if decision.choice is not Choice.REVOKE:
                raise InputError(
                    "grant",
                    f"{key.principal_type} {key.principal_id} keeps it: {decision.reason} ({decision.rule})",
                    "Leave it out, or change the files of protections and exceptions",
                )
