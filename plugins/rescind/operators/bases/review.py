"""Base classes of the operators that make up a run."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from rescind.airflow_support.garbage import seldom_collected
from rescind.airflow_support.links import ConsoleLink, ReviewLink
from rescind.airflow_support.task_errors import fail_without_retry
from rescind.cloud.connection.consoles import console_address
from rescind.errors import RescindError
from rescind.hooks.clients import hook_of
from rescind.hooks.ledger import LedgerHook
from rescind.ledger import Ledger, Run, Scope
from rescind.ledger.runs.refusals import MOST_SAID, NewRefusal
from rescind.operators.bases.ledger_task import LedgerTaskMixin
from rescind.settings import LEDGER_CONNECTION
from rescind.systems import system_named
from rescind.workflow.references import BatchRef, ScopeRef

if TYPE_CHECKING:
    from airflow.sdk import Context

REFUSAL = "refusal"
"""XCom key under which preflight leaves why it refused a run; the gate repeats it."""
NOTHING_TO_DO = "nothing_to_do"
"""XCom key under which preflight leaves why a run has nothing to do; the gate is then skipped, as all other tasks."""


class ReviewOperator(LedgerTaskMixin, BaseOperator):
    """Base of the operators that make up a review.

    Subclasses implement :meth:`review`. Non-retryable errors fail the task immediately. Other errors follow the
    task's retries.

    :param ledger_conn_id: connection of the ledger's PostgreSQL database.
    """

    console_at = ""
    """Address of the vendor's console, for the task's link. Empty until the task knows its connection."""

    def __init__(self, *, ledger_conn_id: str = LEDGER_CONNECTION, **kwargs: Any) -> None:
        super().__init__(**{**self.LABELS, **kwargs})
        self.ledger_conn_id = ledger_conn_id

    @abstractmethod
    def review(self, context: Context, ledger: Ledger) -> Any:
        """Do the work of this stage and return its result: JSON of a few kilobytes at most."""

    def execute(self, context: Context) -> Any:
        """Open the ledger and run :meth:`review`."""
        with fail_without_retry(), seldom_collected(), LedgerHook(self.ledger_conn_id).get_conn() as ledger:
            return self.review(context, ledger)

    def show_console(self, system: str, conn_id: str) -> None:
        """Set the console link of the task. An unusable connection has none; the work itself reports its error."""
        try:
            self.console_at = console_address(hook_of(system_named(system), conn_id).settings())
        except RescindError:
            self.console_at = ""


class RefusingOperator(ReviewOperator):
    """Base of the operators that may refuse a run before it begins: the reason is left for the gate."""

    def execute(self, context: Context) -> Any:
        """Run every check; keep the reason of a refusal."""
        try:
            return super().execute(context)
        except AirflowFailException as refusal:
            context["ti"].xcom_push(key=REFUSAL, value=str(refusal)[:MOST_SAID])
            self._note(context, str(refusal))
            raise
        except AirflowSkipException:
            raise
        except Exception as error:
            self._note(context, f"Preflight ended with {type(error).__name__}. The log of the task says more")
            raise

    def asked_by(self, context: Context) -> str:
        """Return the requester of a refused run, as Airflow has the name; empty if no person started it."""
        return str(context["dag_run"].triggering_user_name or "")

    def asked_why(self, context: Context) -> str:
        """Return the reason of a refused run, not checked."""
        return str(context["params"].get("reason") or "")

    def asked_dry(self, context: Context) -> bool:
        """Return whether a refused run would have been a dry run."""
        return context["params"].get("dry_run") is not False

    @abstractmethod
    def asked_as(self, context: Context) -> str:
        """Return the kind that a refused run would have had in the ledger."""

    def _note(self, context: Context, said: str) -> None:
        """Record for the page why the run did not begin. Where the ledger is the reason, only the log says it."""
        dag_run = context["dag_run"]
        new = NewRefusal(
            dag_run.dag_id,
            dag_run.run_id,
            self.asked_by(context),
            self.asked_why(context),
            self.asked_dry(context),
            said,
            self.asked_as(context),
        )
        try:
            with LedgerHook(self.ledger_conn_id).get_conn() as ledger:
                ledger.refusals.note(new)
        except Exception as error:
            self.log.warning("the page Access reviews does not list this refusal (%s)", type(error).__name__)


class ScopeOperator(ReviewOperator):
    """Base of the operators that are mapped over scopes.

    :param scope: ``{"scope": id, "label": text}`` from preflight.
    """

    template_fields = ()
    operator_extra_links = (ReviewLink(), ConsoleLink())

    def __init__(self, *, scope: ScopeRef, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scope = scope

    def scope_of(self, run: Run, ledger: Ledger) -> Scope:
        """Return the ledger's scope for this mapped task."""
        scope = ledger.scopes.get(run.run_id, self.scope["scope"])
        self.show_console(scope.system, scope.conn_id)
        return scope


class BatchOperator(ReviewOperator):
    """Base of the operators that are mapped over batches of a plan.

    :param batch: ``{"batch": id, "label": text}`` from the plan.
    """

    template_fields = ()
    operator_extra_links = (ReviewLink(), ConsoleLink())

    def __init__(self, *, batch: BatchRef, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch = batch
