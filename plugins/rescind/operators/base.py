"""What every operator of a review shares: the ledger, the settings, the clients, and how errors end a task."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator, BaseOperatorLink, Variable
from airflow.sdk.exceptions import AirflowFailException

from rescind.cloud.client import CloudClient
from rescind.cloud.consoles import console_address
from rescind.cloud.settings import ClientSettings
from rescind.errors import (
    ConfigurationError,
    GuardTripped,
    InputError,
    ListingIncomplete,
    NotFound,
    PlanError,
    Refused,
    RescindError,
    Stopped,
    Unauthorised,
    first_of,
)
from rescind.execution.counting import CountingPacer
from rescind.hooks.ledger import LedgerHook
from rescind.ledger import Ledger, Run, Scope
from rescind.ledger.pacing import LanePacer, PacerSettings
from rescind.operators.links import ConsoleLink, ReviewLink
from rescind.settings import LEDGER_CONNECTION, VARIABLE, Settings
from rescind.systems import system_named
from rescind.systems.base import PermissionSystem, account_of

if TYPE_CHECKING:
    from airflow.sdk import Context

_NO_RETRY_MENDS = (
    InputError,
    ConfigurationError,
    GuardTripped,
    PlanError,
    Stopped,
    Unauthorised,
    Refused,
    NotFound,
)


class ReviewOperator(BaseOperator):
    """Base of the operators that make up a review.

    Subclasses implement :meth:`review`. Errors that no retry can mend fail the task at once; everything
    else follows the task's retries.

    :param ledger_conn_id: connection of the ledger's PostgreSQL database.
    """

    operator_extra_links: Collection[BaseOperatorLink] = (ReviewLink(),)
    run_number: int | None = None
    """Number of the run in the ledger, once the task has found it: for its link."""
    console_at = ""
    """Address of the vendor's console, once the task knows its connection: for its link."""

    def __init__(self, *, ledger_conn_id: str = LEDGER_CONNECTION, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ledger_conn_id = ledger_conn_id

    @abstractmethod
    def review(self, context: Context, ledger: Ledger) -> Any:
        """Do this stage's work; the result must be JSON of a few kilobytes at most."""

    def execute(self, context: Context) -> Any:
        """Open the ledger, run :meth:`review`, and sort its errors."""
        with self.guarded(), LedgerHook(self.ledger_conn_id).get_conn() as ledger:
            return self.review(context, ledger)

    def guarded(self) -> _Guarded:
        """Context manager that turns errors which no retry can mend into a final failure of the task."""
        return _Guarded()

    def settings(self) -> Settings:
        """The deployment's settings from the Airflow Variable."""
        return Settings.parse(Variable.get(VARIABLE, default=None, deserialize_json=True))

    def run_of(self, context: Context, ledger: Ledger) -> Run:
        """The ledger's run for this DAG run.

        :raises ConfigurationError: when preflight has not begun one.
        """
        run = self.find_run(context, ledger)
        if run is None:
            raise ConfigurationError(
                "this DAG run has no run in the ledger: preflight did not succeed. Start a new run"
            )
        return run

    def find_run(self, context: Context, ledger: Ledger) -> Run | None:
        """The same, or None."""
        dag_run = context["dag_run"]
        run = ledger.runs.find(dag_run.dag_id, dag_run.run_id)
        self.run_number = run.number if run else None
        return run

    def looks_at(self, system: str, conn_id: str) -> None:
        """Note the console of what the task works on. A bad connection has none; the work itself says what is wrong."""
        try:
            self.console_at = console_address(_hook(system_named(system), conn_id).settings())
        except RescindError:
            self.console_at = ""


class ScopeOperator(ReviewOperator):
    """Base of the operators that are mapped over scopes.

    :param scope: ``{"scope": id, "label": text}`` from preflight.
    """

    template_fields = ()
    operator_extra_links = (ReviewLink(), ConsoleLink())
    LOOKS: ClassVar[dict[str, str]] = {}
    """Name, label and documentation of the mapped task: what ``partial`` needs to know before mapping."""

    def __init__(self, *, scope: dict[str, str], **kwargs: Any) -> None:
        super().__init__(**{**self.LOOKS, **kwargs})
        self.scope = scope

    def scope_of(self, run: Run, ledger: Ledger) -> Scope:
        """The ledger's scope for this mapped task."""
        scope = ledger.scopes.get(run.run_id, self.scope["scope"])
        self.looks_at(scope.system, scope.conn_id)
        return scope


class _Guarded:
    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        telling = first_of(error) if error else None
        if isinstance(telling, _NO_RETRY_MENDS) and not isinstance(telling, ListingIncomplete):
            raise AirflowFailException(f"{type(telling).__name__}: {telling}") from error


def _hook(system: PermissionSystem[Any], conn_id: str) -> Any:
    module, _, name = system.hook.rpartition(".")
    return getattr(import_module(module), name)(conn_id)


@asynccontextmanager
async def reading(
    system: PermissionSystem[Any], scope: Scope, ledger: Ledger, settings: Settings
) -> AsyncIterator[tuple[CloudClient, CountingPacer]]:
    """The scope's verifying connection where the settings name any for its system, else the scope's own.

    :raises ConfigurationError: when none of the configured ones answers for the scope's account.
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
    """An open, identified client of the connection, paced through the ledger together with every other worker.

    :param account: the account that the run is about; a connection that answers for another one is refused, so
        that neither a revocation nor a "gone" can ever come from the wrong account.
    :raises ConfigurationError: for another account.
    """
    hook = _hook(system, conn_id)
    cloud: ClientSettings = hook.settings()
    pacer = LanePacer(ledger, PacerSettings(limits=dict(cloud.limits), share=cloud.share, workers=settings.workers))
    counting = CountingPacer(pacer)
    client: CloudClient = hook.get_conn(pacer=counting)
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
