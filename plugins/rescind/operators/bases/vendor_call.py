"""Base classes of the operators for single vendor calls: list completely, revoke, verify that grants are gone."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NotRequired, TypedDict

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowException

from rescind.airflow_support.kill_switch_variable import StopVariable, refuse_if_set
from rescind.cloud.base import Answer, ListRequest, ReadRequest, WriteRequest
from rescind.cloud.client import CloudClient
from rescind.hooks.base import run
from rescind.hooks.single_calls.calls import (
    Described,
    Journal,
    Listed,
    airflow_outcomes,
    checked_flag,
    described,
    list_all,
    verify_all,
    write_once,
)
from rescind.hooks.single_calls.grants import VendorGrant
from rescind.hooks.single_calls.verify_gone import GoneReport, grants_of, sentence

if TYPE_CHECKING:
    from rescind.operators.bases import single_write


class Accepted(TypedDict):
    """A write that the vendor accepted: no proof that the access is gone.

    ``menus_counted`` is set for Quick BI alone: how many menus the vendor counted.
    """

    sent: Literal[True]
    action: str
    outcome: Literal["accepted"]
    request_id: str
    menus_counted: NotRequired[int]


class VendorCallOperator(BaseOperator):
    """Base of the operators for single vendor calls."""

    grant_kind: ClassVar[type[VendorGrant]]

    def client(self) -> CloudClient:
        """Return the client of this operator's connection."""
        hook = self.grant_kind.hook
        return hook(getattr(self, hook.conn_name_attr)).get_conn()


class ListOperator(VendorCallOperator):
    """Return a complete listing, or fail the task; never return a part of it. Reads are safe to retry.

    Returns ``rows`` (as the vendor spells them), ``grants`` (one entry for each grant that a revoke call can remove:
    the parameters of the revoke operator) and ``record`` (what was read, as evidence). Grants that the revoke call
    cannot remove, for example inherited privileges, are in ``rows`` only.
    """

    @abstractmethod
    def request(self) -> ListRequest[Any] | ReadRequest[Any]:
        """Return the listing."""

    def execute(self, context: Context) -> Listed:
        """List to the end."""
        with airflow_outcomes():
            return list_all(self.client(), self.grant_kind, self.request())


class RevokeOperator(VendorCallOperator):
    """Send one write that removes access, if ``send`` is True.

    With ``send=False`` (the default) nothing is sent, and the result is the request that would be sent. With
    ``send=True`` the result says ``accepted``: the vendor accepted the call. That is no proof; verify afterwards.
    Nothing is sent while the Airflow Variable ``rescind_stop`` (the kill switch) is set.

    Where Rescind is deployed (the Variable ``rescind_settings`` or the connection ``rescind_ledger`` exists), a write
    also obeys the kill switch of the ledger, protections and exceptions, and never revokes from the tool's own
    identity. Each attempt is recorded in the ledger before and after it, in a run of kind ``single``. Connections that
    the settings name are refused unless ``allow_single_writes`` is set: writes through them need a plan and an
    approval. Without a deployment these operators need no ledger and no settings.

    Retries: a lost or unclear answer fails the task without a retry, because a blind second call could remove a grant
    made in between. Throttled calls were not executed. They are repeated here for up to ``patience_s``; after that
    the task fails in a way that ``retries`` may repeat.

    :param send: True sends the request. False returns it and sends nothing.
    :param patience_s: how long throttled attempts may be repeated, in seconds.
    """

    def __init__(self, *, send: bool = False, patience_s: float = 120.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.send = checked_flag("send", send)
        self.patience_s = patience_s

    @abstractmethod
    def grant(self) -> VendorGrant:
        """Return what is revoked."""

    def request(self) -> WriteRequest[Any]:
        """Return the write, with every selector checked."""
        return self.grant().revoke_request()

    def check(self, request: WriteRequest[Any], answer: Answer[Any]) -> None:
        """Check what an accepted answer says about the parts of the request.

        :raises RefusedError: when the answer refuses what the operator asked for.
        """

    def execute(self, context: Context) -> Described | Accepted:
        """Describe or send."""
        with airflow_outcomes():
            request = self.request()
            if not self.send:
                return described(self.client(), request)
            return self.result(request, self._sent(context, request))

    def _sent(self, context: Context, request: WriteRequest[Any]) -> Answer[Any]:
        """Send the request, under the rules of the deployment if there is one."""
        from rescind.hooks.ledger import LedgerHook
        from rescind.operators.bases import single_write  # needs ledger and systems: not while Dags are parsed

        stop = StopVariable()
        refuse_if_set(stop)
        settings = single_write.deployed_settings()

        def check(answer: Answer[Any]) -> None:
            self.check(request, answer)

        if settings is None:
            return run(self._alone(request, single_write.UnrecordedJournal(stop), check))
        conn_id = getattr(self, self.grant_kind.hook.conn_name_attr)
        with LedgerHook().get_conn() as ledger:
            write = single_write.SingleWrite(settings, ledger, self.grant(), conn_id, stop, self.patience_s)
            write.check()
            return run(write.send(context, request, check))

    async def _alone(self, request: WriteRequest[Any], journal: Journal, check: single_write.Check) -> Answer[Any]:
        async with self.client() as client:
            return await write_once(client, request, self.patience_s, journal, check)

    def result(self, request: WriteRequest[Any], answer: Answer[Any]) -> Accepted:
        """Return the task's result for an accepted call."""
        return {"sent": True, "action": request.action, "outcome": "accepted", "request_id": answer.request_id}


class VerifyGoneOperator(VendorCallOperator):
    """Re-list completely and check that grants are gone; fail the task if one is still present.

    A grant counts as gone only if two complete listings in a row do not show it. An incomplete listing fails the
    task: it never proves anything. Each affected resource is listed once for all its grants.

    The verdict is about the record. Access through a group, a role or ownership is not examined; the review DAGs do
    that.

    Returns ``gone``, ``still_present`` (0), ``grants`` (one verdict each: ``record_gone``) and ``records`` (the
    listings, as evidence). A grant that is still present raises an error that ``retries`` may repeat, for a platform
    that lags.

    :param grants: one grant, or a list of grants: entries of ``grants`` of the list operator, or mappings with the
        same keys. The keys are the parameters of the revoke operator. (templated)
    """

    template_fields: Sequence[str] = ("grants",)

    def __init__(self, *, grants: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.grants = grants

    def execute(self, context: Context) -> GoneReport:
        """Verify all grants."""
        with airflow_outcomes():
            report = verify_all(self.client(), grants_of(self.grant_kind, self.grants))
        if report["still_present"]:
            raise AirflowException(sentence(report))
        self.log.info("%d grants are gone, proven by %d complete listings", report["gone"], len(report["records"]))
        return report
