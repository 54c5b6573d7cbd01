"""Import the run of a verified bundle into a ledger that does not know it, as far as a restore needs it.

The original ledger may be lost. The import writes a closed run with a number of its own and a mark of its source. It
has no approval, so nothing can be sent for it. Its listings are marked too, so no later listing is compared with them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from typing import Any

from rescind.errors import InputError
from rescind.evidence.bundle.format import EFFECTS, OMITTED
from rescind.evidence.bundle.read import Source, latest_verdicts, only, records
from rescind.ledger import (
    Certificate,
    Ledger,
    NewBatch,
    NewCall,
    NewItem,
    NewPlan,
    NewRun,
    RetainedCheck,
    Run,
    ScopeSpec,
    VerdictRecord,
)
from rescind.ledger.population.snapshot import ScopeSpool
from rescind.model import (
    LAST_USE,
    Cell,
    Choice,
    Decision,
    Grant,
    GrantKey,
    ItemState,
    Membership,
    PlannedCall,
    Principal,
    Verdict,
)

IMPORTED = "imported"
"""DAG id of imported runs in the ledger; no such DAG exists."""
_PIECE = 1 << 20
Record = Mapping[str, Any]


def import_run(ledger: Ledger, source: Source, manifest: Record) -> Run:
    """Return the run of the bundle in this ledger. A second import returns the same run.

    :param source: a bundle that was verified, including its signature.
    :raises InputError: when the run revoked nothing.
    """
    review, plan = only(source, "review") or {}, only(source, "plan")
    if review["dry_run"] or plan is None or plan["operation"] != "revoke" or not review["finished_at"]:
        raise InputError("bundle", "is about a run that revoked nothing", "Give the bundle of the run that revoked")
    facts = {name: manifest[name] for name in ("run", "number", "seal", "root")} | {"started_at": review["started_at"]}
    run = ledger.runs.begin(
        NewRun(
            dag_id=IMPORTED,
            airflow_run_id=f"{manifest['run']} {manifest['root']}",
            kind=review["kind"],
            requested_by=review["requested_by"],
            reason=review["reason"],
            ticket=review["ticket"],
            params={IMPORTED: facts},
            dry_run=False,
            policy_version=review["policy_version"],
            code_version=review["code_version"],
        )
    )
    if run.finished_at is None:
        _population(ledger, run, source)
        ledger.decisions.write(run.run_id, map(_decision, records(source, "decisions")))
        ledger.plans.freeze(run.run_id, _plan(source, plan), _batches(source), map(_item, records(source, "items")))
        ledger.verdicts.record(run.run_id, map(_verdict, latest_verdicts(source)))
        for check in records(source, "kept"):
            ledger.verdicts.record_retained(run.run_id, _kept(check))
        run = ledger.runs.finish(run.run_id, review["state"], {IMPORTED: facts, "problems": [], "findings": []})
    return run


def _population(ledger: Ledger, run: Run, source: Source) -> None:
    """Write the scopes with their certificates, grants, principals and memberships."""
    with ExitStack() as stack:
        spools: dict[str, ScopeSpool] = {}
        first: dict[tuple[str, str], ScopeSpool] = {}
        certificates: dict[str, Certificate] = {}
        for record in records(source, "scopes"):
            part = f"{IMPORTED}: {record['part']}"
            spec = ScopeSpec(record["system"], record["account"], part, record["connection"])
            ledger.scopes.open(run.run_id, [spec])
            spool = stack.enter_context(ledger.snapshot.spool(run.run_id, spec.scope_id))
            spools[record["scope"]], certificates[record["scope"]] = spool, _certificate(record)
            first.setdefault((spec.system, spec.account), spool)
        left_out = Counter[str]()
        for record in records(source, OMITTED):
            left_out[record["scope"]] += record["grants"]
        for record in records(source, "grants"):
            spools[record["scope"]].add_grants([_grant(record)])
        for record in records(source, "principals"):
            first[record["system"], record["account"]].add_principals([principal_of(record)])
        for record in records(source, "memberships"):
            first[record["system"], record["account"]].add_memberships([membership_of(record)])
        for scope, spool in spools.items():
            one = certificates[scope]  # the mark of the source says that this is no population to compare with
            spool.commit(replace(one, counted=one.counted - left_out[scope]))
    ledger.scopes.seal(run.run_id)


def _certificate(record: Record) -> Certificate:
    names = ("identity", "query", "pages", "counted", "declared", "duplicates", "dangling", "page_digests", "notes")
    return Certificate(
        **{name: record[name] for name in names},
        complete=record["state"] == "complete",
        missing=record["missing"] or record["error"],
        started_at=_time(record["started_at"]),
        ended_at=_time(record["ended_at"]),
    )


def _grant(record: Record) -> Grant:
    names = ("revocable", "why_not", "inherited_from", "expires_raw", "created_raw", "origin", "principal_name")
    return Grant(
        GrantKey(*(record[name] for name in GrantKey._fields)),
        Cell(record["container"], record["row"], record["column_kind"], tuple(record["column"])),
        **{name: record[name] for name in (*names, "resource_name", "attributes")},
        **{name: record[name] for name in LAST_USE if name in record},
        expires_at=_time(record["expires_at"]),
    )


def principal_of(record: Record) -> Principal:
    """Return the principal of a record."""
    changed = {
        "last_used_at": _time(record["last_used_at"]),
        "other_ids": tuple((space, ident) for space, ident in record["other_ids"]),
    }
    return Principal(**{**record, **changed})


def membership_of(record: Record) -> Membership:
    """Return the membership of a record."""
    return Membership(**record)


def _decision(record: Record) -> Decision:
    return Decision(**{**record, "choice": Choice(record["choice"]), "controls": tuple(record["controls"])})


def _plan(source: Source, record: Record) -> NewPlan:
    names = ("digest", "code_version", "policy_version", "guards", "caps", "lower_bound", "operation")
    return NewPlan(
        **{name: record[name] for name in names},
        effects=_effects(source),
        valid_until=datetime.fromisoformat(record["valid_until"]),
    )


def _effects(source: Source) -> Iterator[bytes]:
    with source.open(EFFECTS) as file:
        while piece := file.read(_PIECE):
            yield piece


def _batches(source: Source) -> Iterator[NewBatch]:
    for _, calls in groupby(records(source, "calls"), key=lambda call: call["batch"]):
        one = list(calls)
        yield NewBatch(one[0]["system"], one[0]["account"], one[0]["connection"], list(map(_call, one)), label=IMPORTED)


def _call(record: Record) -> NewCall:
    columns = tuple((kind, tuple(column)) for kind, column in record["columns"])
    planned = PlannedCall(record["system"], record["account"], record["container"], tuple(record["rows"]), columns)
    return NewCall(planned, record["inverse"])


def _item(record: Record) -> NewItem:
    return NewItem(record["grant_id"], record["call"], ItemState(record["state"]), record["reason"])


def _verdict(record: Record) -> VerdictRecord:
    return VerdictRecord(
        record["grant_id"],
        Verdict(record["verdict"]),
        record["method"],
        datetime.fromisoformat(record["observed_at"]),
        path=record["remains"],
        detail=record["detail"],
    )


def _kept(record: Record) -> RetainedCheck:
    return RetainedCheck(**{**record, "observed_at": datetime.fromisoformat(record["observed_at"])})


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
