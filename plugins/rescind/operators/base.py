"""What every operator of a review shares: the ledger, the settings, the clients, and how errors end a task."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator, BaseOperatorLink, Variable
from airflow.sdk.exceptions import AirflowFailException

from rescind.cloud.consoles import console_address
from rescind.errors import (
    ConfigurationError,
    GuardTrippedError,
    InputError,
    ListingIncompleteError,
    NotFoundError,
    PlanError,
    RefusedError,
    RescindError,
    RunStoppedError,
    UnauthorizedError,
    first_of,
)
from rescind.hooks.clients import hook_of
from rescind.hooks.ledger import LedgerHook
from rescind.ledger import Ledger, Run, Scope
from rescind.operators.links import ConsoleLink, ReviewLink
from rescind.settings import LEDGER_CONNECTION, VARIABLE, Settings
from rescind.systems import system_named

if TYPE_CHECKING:
    from airflow.sdk import Context

_NON_RETRYABLE = (
    InputError,
    ConfigurationError,
    GuardTrippedError,
    PlanError,
    RunStoppedError,
    UnauthorizedError,
    RefusedError,
    NotFoundError,
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
            self.console_at = console_address(hook_of(system_named(system), conn_id).settings())
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
        if isinstance(telling, _NON_RETRYABLE) and not isinstance(telling, ListingIncompleteError):
            raise AirflowFailException(f"{type(telling).__name__}: {telling}") from error
