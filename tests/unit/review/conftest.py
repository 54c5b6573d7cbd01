"""Builders that the review tests share: small worlds with readable ids."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rescind.model import Cell, Grant, GrantKey
from rescind.review import (
    DecisionContext,
    Policy,
    Protections,
    Roster,
    RosterLimits,
    RosterOptions,
    admit_roster,
    load_policy,
    load_protections,
    read_roster_csv,
)
from rescind.review.roster.admit import DEFAULT_ID_COLUMNS
from rescind.systems import id_spaces
from tests.support.servers.postgres import *  # noqa: F403

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROOT = Path(__file__).parents[3]
HEADER = "person_id,name,status,terminated_at,kind,manager,department,wedata_user_id,alibaba_uid,dms_user_id"
ROWS = (
    "P1,Ada,active,,human,P4,Finance,700000000001,2046000000000001,51001",
    "P2,Bo,left,2026-01-31,human,P4,Finance,700000000002,2046000000000002,51002",
    "P3,Chi,left,2026-12-31,human,P4,Sales,700000000003,2046000000000003,51003",
    "P4,Dan,active,,human,,Data,700000000004,2046000000000004,51004",
    "S1,etl,active,,service,P2,Data,700000000101,2046000000000101,51101",
)


def roster(*rows: str, header: str = HEADER) -> Roster:
    names = [name for name in DEFAULT_ID_COLUMNS if name in header.split(",")]
    options = RosterOptions(id_columns={name: name for name in names})
    return read_roster_csv("\n".join((header, *(rows or ROWS))) + "\n", source="roster.csv", options=options)


def admitted(*rows: str, header: str = HEADER) -> Any:
    limits = RosterLimits(min_people=1, max_age=timedelta(days=1), max_leaver_percent=100)
    return admit_roster(roster(*rows, header=header), limits, as_of=NOW, now=NOW)


def grant(principal: str = "51002", **change: Any) -> Grant:
    names = {"principal_type": "user", "entitlement": "QUERY", "resource_id": "r1", "resource_type": "DATABASE"}
    key = {name: change.pop(name, default) for name, default in names.items()}
    key |= {"system": change.pop("system", "dms_permissions"), "account": change.pop("account", "1000@cn")}
    full = GrantKey(principal_id=principal, native_id=change.pop("native_id", ""), **key)
    cell = Cell(key["resource_type"], key["resource_id"], "user", (principal,))
    return Grant(full, change.pop("cell", cell), **change)


def policy(*rules: str, combine: str = "first_match", extra: str = "") -> Policy:
    head = f"format: 1\npolicy: p\ndescription: d\ncombine: {combine}\notherwise: keep\n{extra}rules:\n"
    return load_policy(head + "".join(rules), source="p.yaml")


def rule(when: str, decide: str = "revoke", name: str = "r1", severity: str = "low", absence: bool = False) -> str:
    when = when.replace('"', '\\"')
    text = f'  - id: {name}\n    description: d\n    when: "{when}"\n    decide: {decide}\n'
    return text + f"    reason: {name}\n    severity: {severity}\n" + ("    acts_on_absence: true\n" if absence else "")


def protections(body: str = "principals: []\nresources: []\nunknown_kind: allow\n") -> Protections:
    return load_protections(
        "format: 1\n" + body, source="protected.yaml", own_ids=[("alibaba_uid", "2046000000009999")]
    )


def context(the_policy: Policy | None = None, **change: Any) -> DecisionContext:
    if "request" not in change:
        change["policy"] = the_policy or shipped("access_review")
    return DecisionContext(
        now=change.pop("now", NOW),
        protections=change.pop("protections", None) or protections(),
        roster=change.pop("roster", None) or admitted(),
        spaces=change.pop("spaces", None) or id_spaces(),
        **change,
    )


def shipped(name: str) -> Policy:
    path = ROOT / "include" / "policies" / f"{name}.yaml"
    return load_policy(path.read_bytes(), source=path.name)


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """The builders, as one object."""
    return SimpleNamespace(
        NOW=NOW, ROOT=ROOT, HEADER=HEADER, ROWS=ROWS, roster=roster, admitted=admitted, grant=grant, policy=policy,
        rule=rule, protections=protections, context=context, shipped=shipped,
    )  # fmt: skip
