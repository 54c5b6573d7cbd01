"""What every task of a run shares: its run in the ledger, the settings, its labels, and its links."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperatorLink, Variable

from rescind.airflow_support.links import ReviewLink
from rescind.errors import ConfigurationError
from rescind.ledger import Ledger, Run
from rescind.settings import VARIABLE, Settings
from rescind.systems import default_connections
from rescind.workflow.run_settings import settings_of

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.definitions.mappedoperator import OperatorPartial


class LedgerTaskMixin:
    """Mixed into the operators whose tasks belong to a run in the ledger."""

    LABELS: ClassVar[dict[str, str]] = {}
    """``task_display_name``, ``doc_md`` and, for mapped tasks, ``map_index_template``. Arguments override them."""

    operator_extra_links: Collection[BaseOperatorLink] = (ReviewLink(),)
    ledger_conn_id: str
    run_number: int | None = None
    """Number of the run in the ledger, for the task's link. None until the task has found the run."""

    @classmethod
    def mapped(cls, **kwargs: Any) -> OperatorPartial:
        """Start a mapped task with the labels of this operator: ``.mapped(task_id=...).expand(...)``.

        Airflow needs the labels of a mapped task before it creates the operator, so ``partial`` alone would lose them.
        """
        partial: OperatorPartial = cls.partial(**{**cls.LABELS, **kwargs})  # type: ignore[attr-defined]
        return partial

    def settings(self) -> Settings:
        """Return the deployment's settings from the Airflow Variable."""
        raw = Variable.get(VARIABLE, default=None, deserialize_json=True)
        return Settings.parse(raw, connections=default_connections())

    def settings_of(self, ledger: Ledger, run: Run) -> Settings:
        """Return the settings that the run works with; see :func:`rescind.workflow.run_settings.settings_of`."""
        return settings_of(ledger, run, self.settings())

    def run_of(self, context: Context, ledger: Ledger) -> Run:
        """Return the ledger's run for this DAG run.

        :raises ConfigurationError: when preflight has not begun one.
        """
        run = self.find_run(context, ledger)
        if run is None:
            raise ConfigurationError(
                "this DAG run has no run in the ledger: preflight did not succeed. Start a new run"
            )
        return run

    def find_run(self, context: Context, ledger: Ledger) -> Run | None:
        """Return the ledger's run for this DAG run, or None."""
        dag_run = context["dag_run"]
        run = ledger.runs.find(dag_run.dag_id, dag_run.run_id)
        self.run_number = run.number if run else None
        return run
