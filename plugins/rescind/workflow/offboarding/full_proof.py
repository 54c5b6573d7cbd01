"""The run over everybody that follows a run of known access: what it asks, its requester, and what it may start.

The request, the requester and whether something is sent come from the ledger's record of the first run. What the new
run was started with only names that run; it can change nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rescind.errors import InputError
from rescind.evidence.bundle.format import moment
from rescind.ledger import OCCASION, Ledger, Run, ScopeSpec
from rescind.model import MAY_HAVE_ACTED, Verdict
from rescind.run_state.leaver_clock import moments
from rescind.settings import ReviewRequest
from rescind.workflow.offboarding.named_people import reads_known, systems_asked
from rescind.workflow.run_occasion import Start

_OPEN = (Verdict.RECORD_GONE, Verdict.STILL_EFFECTIVE)
_UNREAD = (None, Verdict.UNVERIFIED)
FOLLOWS = "follows"
"""Key in a run's configuration and in its occasion: the run that it completes."""


def following_conf(run: Run, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the run that follows is started with: the first run's number, and its request as the form has it.

    :param fields: fields of the DAG's form.
    """
    same = {name: run.params[name] for name in sorted(fields.keys() & run.params.keys())}
    return {**same, **({"dry_run": run.dry_run} if "dry_run" in fields else {}), FOLLOWS: run.number}


def followed_run(ledger: Ledger, dag_run: Any, *, by_event: bool) -> Run | None:
    """Return the run of known access that a DAG run completes, or None if it names none.

    :param by_event: whether runs of this DAG are started by events, so that no user of Airflow started the first run.
    :raises InputError: when it names a run that it may not complete, or asks for something else than that run.
    """
    conf = dict(dag_run.conf or {})
    if FOLLOWS not in conf:
        return None
    number, start = conf.pop(FOLLOWS), Start.of(dag_run)
    run = ledger.runs.named(str(number)) if type(number) is int else None
    if run is None or run.dag_id != dag_run.dag_id or run.dry_run or not reads_known(ledger, run):
        raise _refused(f"{number!r} is no run of this DAG that read known access only")
    if run.finished_at is None:
        raise _refused(f"run {run.number} has not ended")
    after = ledger.runs.followed_by(run.number)
    if after is not None and after.airflow_run_id != dag_run.run_id:
        raise _refused(f"run {after.number} completes run {run.number} already")
    if start.person != ("" if by_event else run.requested_by):
        raise _refused(f"only the run that completes run {run.number}, in the name of its requester, may name it")
    asked = {**run.params, "dry_run": run.dry_run}
    if other := sorted(name for name, value in conf.items() if name not in asked or asked[name] != value):
        raise _refused(f"{', '.join(map(repr, other))} differ from run {run.number}")
    return run


def request_of(run: Run) -> ReviewRequest:
    """Return the request of a run, to be asked again over everybody."""
    return ReviewRequest.model_validate({**run.params, "dry_run": run.dry_run})


def followed_facts(ledger: Ledger, run: Run) -> dict[str, Any]:
    """Return what the new run's occasion says about the run that it completes.

    :returns: its number, when the clock began, how many of its events were not used as a whole, and how many records it
        may have removed while access is not proven gone: no listing of the new run shows these again.
    """
    known = moments(run.started_at, ledger.inputs.facts(run.run_id, OCCASION))
    verdicts = {one.grant_id: one.verdict for one in ledger.verdicts.latest(run.run_id)}
    items = ledger.plans.items(run.run_id) if ledger.plans.find(run.run_id) else ()
    unread = {one.grant_id for one in items if one.state in MAY_HAVE_ACTED and verdicts.get(one.grant_id) in _UNREAD}
    open_ = len(unread) + sum(verdict in _OPEN for verdict in verdicts.values())
    facts = {"run": run.number, "begun": moment(known.begun), "by": known.by, "open": open_, "aside": known.aside}
    return {FOLLOWS: facts}


def refuse_less(ledger: Ledger, run: Run, specs: Iterable[ScopeSpec]) -> None:
    """Refuse to complete a run with a smaller population than it asked about.

    :param specs: what the new run would list.
    :raises InputError: when a system or account is not connected any more.
    """
    there = {(one.system, one.account) for one in specs}
    gone = {one.system for one in ledger.scopes.all(run.run_id) if (one.system, one.account) not in there}
    gone |= systems_asked(ledger, run) - {system for system, _ in there}
    if gone:
        raise _refused(f"{', '.join(sorted(gone))} cannot be listed any more as in run {run.number}")


def proof_of(ledger: Ledger, run: Run) -> dict[str, Any]:
    """Return the run that completes a run of known access, as far as there is one: its number, and how it ended."""
    after = ledger.runs.followed_by(run.number)
    if after is None:
        return {"number": None, "tone": ""}
    ended = str(after.summary.get("outcome", {}).get("tone", "bad")) if after.finished_at else ""
    return {"number": after.number, "tone": ended}


def _refused(problem: str) -> InputError:
    return InputError(FOLLOWS, problem, "Only a run of known access starts such a run, with its last task")
