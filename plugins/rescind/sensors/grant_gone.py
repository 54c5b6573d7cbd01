"""Base class of the sensors that wait until one grant is gone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseSensorOperator, PokeReturnValue
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowFailException

from rescind.hooks.single_calls.calls import airflow_outcomes, verify_all
from rescind.hooks.single_calls.grants import VendorGrant
from rescind.hooks.single_calls.verify_gone import NOT_YET, grant_of, sentence
from rescind.triggers.grant_gone import GrantGoneTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

    from rescind.hooks.single_calls.verify_gone import GoneReport


class GrantGoneSensor(BaseSensorOperator):
    """Wait until two complete listings in a row do not show one grant.

    A throttled, unreachable or incomplete listing is "not yet" and is tried again; it never counts as gone. A wrong
    key, a refused listing and a wrong field fail the task. The verdict is about the record: access through a group, a
    role or ownership is not examined.

    The result is the report of the verification, as of
    :class:`~rescind.operators.bases.vendor_call.VerifyGoneOperator`. Set ``timeout`` and ``poke_interval``: Airflow's
    default timeout is seven days.

    :param grant: the grant: an entry of ``grants`` of the list operator, or a mapping with the parameters of the
        revoke operator as keys. (templated)
    :param deferrable: True waits in the triggerer and frees the worker slot. Default: Airflow's setting
        ``[operators] default_deferrable``.
    """

    grant_kind: ClassVar[type[VendorGrant]]
    template_fields: Sequence[str] = ("grant",)

    def __init__(
        self,
        *,
        grant: Any,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.grant = grant
        self.deferrable = deferrable

    def poke(self, context: Context) -> PokeReturnValue:
        """Check once."""
        hook = self.grant_kind.hook
        with airflow_outcomes():
            client = hook(self._conn_id()).get_conn()
            grant = grant_of(self.grant_kind, self.grant)
            try:
                report = verify_all(client, [grant])
            except NOT_YET as error:
                self.log.warning("cannot tell yet: %s", error)
                return PokeReturnValue(False)
        if report["still_present"]:
            self.log.info("%s", sentence(report))
        return PokeReturnValue(not report["still_present"], xcom_value=report)

    def execute(self, context: Context) -> Any:
        """Poke, or check once and defer."""
        if not self.deferrable:
            return super().execute(context)
        first = self.poke(context)
        if first.is_done:
            return first.xcom_value
        self.defer(
            trigger=GrantGoneTrigger(
                kind=self.grant_kind.__name__,
                grant=dict(self.grant),
                conn_id=self._conn_id(),
                poke_interval=self.poke_interval,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout),
        )

    def execute_complete(self, context: Context, event: dict[str, Any]) -> GoneReport:
        """Return the trigger's report.

        :raises AirflowFailException: for an error that waiting does not solve.
        """
        if "error" in event:
            raise AirflowFailException(event["error"])
        report: GoneReport = event["report"]
        return report

    def _conn_id(self) -> str:
        return str(getattr(self, self.grant_kind.hook.conn_name_attr))
