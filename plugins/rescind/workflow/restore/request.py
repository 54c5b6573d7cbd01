"""The request of a restore: the run, and which of its revoked grants are restored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rescind.errors import InputError
from rescind.ledger import Ledger, Run
from rescind.model import MAY_HAVE_ACTED, Grant, Verdict
from rescind.plan.restore_effects import OPERATION
from rescind.settings import Names, Settings, form_error
from rescind.systems import REGISTRY

TAKEN = (Verdict.VERIFIED_GONE, Verdict.RECORD_GONE, Verdict.STILL_EFFECTIVE)
"""Verdicts of items that a run certainly revoked."""
_SHOWN = 3
_MAX_NAMES = 10_000


class RestoreRequest(BaseModel):
    """The request of a restore, from the trigger form; unknown keys are refused, and nothing is converted.

    Either ``run`` or ``bundle`` is required. An item must match all selections that are not empty.

    :param run: the run to restore, by number or id. Preflight sets it from the bundle.
    :param bundle: the bundle of that run: its name, or its path or URL inside the evidence folder.
    :param root: root (hex) of the verified bundle, set by preflight; not a field of the form.
    :param systems: only these systems; empty means all.
    :param principals: only these principals, by the ids of the platform; empty means all.
    :param grants: only these grants, by grant id (64 hex characters, as in the items file); empty means all.
    :param max_restores: most grants that this run may restore; None takes the limit of the deployment.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    run: str = Field(default="", pattern=r"^[A-Za-z0-9-]{0,60}$")
    bundle: str = Field(default="", max_length=1000)
    root: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    systems: Names = ()
    principals: Names = Field(default=(), max_length=_MAX_NAMES)
    grants: Names = Field(default=(), max_length=_MAX_NAMES)
    reason: str = Field(min_length=5, max_length=500)
    ticket: str = Field(default="", max_length=60, pattern=r"^[A-Za-z0-9._#/-]*$")
    dry_run: bool = True
    max_restores: int | None = Field(default=None, ge=0)

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Self:
        """Return the request from the form.

        :raises InputError: for an invalid field, with its shape and the remedy.
        """
        try:
            request = cls.model_validate(dict(raw))
        except ValidationError as error:
            raise form_error(error) from None
        if bool(request.run) == bool(request.bundle):
            problem = "both are given" if request.run else "neither is given"
            raise InputError("run, bundle", problem, "Pass the run to restore, or its bundle")
        unknown = sorted(set(request.systems) - set(REGISTRY))
        if unknown:
            known = ", ".join(REGISTRY)
            raise InputError("systems", f"unknown {', '.join(map(repr, unknown))}", f"Known systems: {known}")
        return request

    def cap(self, settings: Settings) -> int:
        """Return the most grants that may be restored: the lower of request and deployment limit."""
        return settings.max_restores if self.max_restores is None else min(self.max_restores, settings.max_restores)


def source_of(ledger: Ledger, request: RestoreRequest) -> Run:
    """Return the finished run whose revocations are restored.

    :raises InputError: when it does not exist, is not finished, or revoked nothing.
    """
    run = ledger.runs.named(request.run)
    if run is None:
        raise InputError("run", "is not a run of this ledger", "Pass the number or the id of a run")
    plan = ledger.plans.find(run.run_id)
    problem = (
        "is a dry run"
        if run.dry_run
        else "made no plan"
        if plan is None
        else "is itself a restore"
        if plan.operation == OPERATION
        else ""
    )
    if problem:
        raise InputError("run", f"{run.number} {problem}: it revoked nothing", "Pass the run that revoked the grants")
    if run.finished_at is None:
        raise InputError("run", f"{run.number} is not finished", "Wait until it has verified and reported")
    return run


def chosen(ledger: Ledger, source: Run, request: RestoreRequest) -> dict[str, Grant]:
    """Return the grants to restore by id: those that the source run certainly revoked and the request selects.

    A retained grant that the source run found missing is restored only when it is named, because somebody else may
    have revoked it on purpose.

    :raises InputError: when a named grant was not revoked by that run, or nothing is selected.
    """
    sent = {item.grant_id for item in ledger.plans.items(source.run_id) if item.state in MAY_HAVE_ACTED}
    verdicts = ledger.verdicts.latest(source.run_id)
    taken = [record.grant_id for record in verdicts if record.verdict in TAKEN and record.grant_id in sent]
    lost = {grant_id for check in ledger.verdicts.retained(source.run_id) for grant_id in check.lost}
    taken += sorted(lost & set(request.grants))
    strange = sorted(set(request.grants) - set(taken))
    if strange:
        shown = ", ".join(one[:12] for one in strange[:_SHOWN])
        problem = f"{len(strange)} were not revoked by run {source.number} (their proof is missing): {shown}"
        raise InputError(
            "grants", problem, "Pass items of that run with the verdict verified_gone, record_gone or still_effective"
        )
    named = set(request.grants) or set(taken)
    grants = {
        ident: grant
        for ident, grant in ledger.snapshot.grants_by_id(source.run_id, taken).items()
        if ident in named
        and grant.key.system in (request.systems or (grant.key.system,))
        and grant.key.principal_id in (request.principals or (grant.key.principal_id,))
    }
    if not grants:
        problem = f"select none of the {len(taken)} grants that run {source.number} revoked"
        raise InputError("systems, principals, grants", problem, "Widen the selection, or pass another run")
    return grants
