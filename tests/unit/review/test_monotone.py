"""Less knowledge never takes more away: the property that every failed look-up relies on.

Worlds are generated with data that does not contradict itself; then one piece of knowledge is removed. Every
grant that is revoked afterwards must have been revoked before; refusing to decide at all is always allowed.
"""

from __future__ import annotations

import dataclasses
import os
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rescind.errors import RescindError
from rescind.model import Choice, Grant, Membership, Principal
from rescind.review import (
    DecisionContext,
    Memberships,
    RequestedTargets,
    Target,
    collect_holdings,
    decide,
    index_principals,
    load_exceptions,
)

PEOPLE = range(1, 6)
COLUMNS = ("status", "terminated_at", "kind", "manager", "department", "wedata_user_id", "alibaba_uid", "dms_user_id")
DMS = ("dms_permissions", "1000@cn")

PLAIN = (
    ("person.status == 'left' && person.terminated_at <= now", "revoke"),
    ("!(person.status == 'active')", "revoke"),
    ("person.department != 'Finance'", "revoke"),
    ("person.known", "revoke"),
    ("person.known && !(person.kind == 'service')", "revoke"),
    ("grant.has_end && grant.expires_at <= now", "revoke"),
    ("!grant.has_end", "revoke"),
    ("!(grant.has_end && grant.expires_at > now)", "revoke"),
    ("grant.attributes['level'] != '3'", "revoke"),
    ("!(resource.name == 'keep')", "revoke"),
    ("'g1' in principal.groups || person.status == 'left'", "revoke"),
    ("principal.groups.exists(g, g != 'g2') && grant.entitlement == 'QUERY'", "revoke"),
    ("principal.roles.exists(r, r in params.names)", "revoke"),
    ("'EXPORT' in principal.holds && grant.entitlement == 'QUERY'", "revoke"),
    ("person.holds.exists(h, h == 'dms_permissions:EXPORT')", "revoke"),
    ("!(principal.status == 'active')", "revoke"),
    ("principal.kind != 'service'", "revoke"),
    ("person.attributes['site'] != 'HQ'", "revoke"),
    ("grant.entitlement == 'EXPORT'", "revoke"),
    ("person.department == 'Finance'", "keep"),
    ("person.status == 'active' || person.manager == 'P1'", "keep"),
    ("grant.has_end && grant.expires_at > now", "keep"),
    ("grant.attributes['level'] == '3'", "keep"),
    ("resource.name == 'keep'", "keep"),
    ("!('g1' in principal.groups)", "keep"),
    ("principal.roles.all(r, r == 'r1')", "keep"),
    ("!person.known", "keep"),
    ("principal.status == 'active'", "keep"),
    ("person.attributes['site'] == 'HQ'", "keep"),
)
ON_ABSENCE = (
    ("!person.known", "revoke"),
    ("person.known", "keep"),
    ("person.owner in ['none', 'unlisted', 'left']", "revoke"),
    ("person.owner == 'active'", "keep"),
    ("!('g1' in principal.groups)", "revoke"),
    ("'g1' in principal.groups", "keep"),
    ("size(principal.holds) < 2", "revoke"),
    ("principal.last_used_at < now - duration('24h')", "revoke"),
    ("!('site' in person.attributes)", "revoke"),
)
REMOVALS = (
    *("row", "cell", "membership", "no memberships", "holding", "no holdings", "principal field", "end"),
    *("attribute", "resource name", "roster", "source", "principals", "attribute column"),
)


@dataclasses.dataclass(frozen=True)
class World:
    """Everything that decisions depend on, in a form that pieces can be taken out of."""

    rows: tuple[dict[str, str], ...]
    grants: tuple[Grant, ...]
    principals: tuple[Principal, ...]
    edges: tuple[Membership, ...] | None
    held: tuple[Grant, ...] | None
    complete: frozenset[str]
    rules: tuple[tuple[str, str, bool], ...]
    combine: str
    protected: str
    with_roster: bool = True


def person_id(number: int) -> dict[str, str]:
    return {
        "wedata_user_id": f"70000000000{number}",
        "alibaba_uid": f"204600000000000{number}",
        "dms_user_id": f"5100{number}",
    }


@st.composite
def rows(draw: st.DrawFn, number: int) -> dict[str, str]:
    one_of = st.sampled_from
    ids = {space: draw(one_of([value, value, value, ""])) for space, value in person_id(number).items()}
    return {
        "person_id": f"P{number}",
        "status": draw(one_of(["active", "left", ""])),
        "terminated_at": draw(one_of(["", "2026-01-31", "2026-12-31"])),
        "kind": draw(one_of(["human", "service", ""])),
        "manager": draw(one_of(["", "P1", "P2", "P9"])),
        "department": draw(one_of(["Finance", "Data", ""])),
        "site": draw(one_of(["HQ", "X", ""])),
        **ids,
    }


@st.composite
def worlds(draw: st.DrawFn, make: SimpleNamespace, absence: bool) -> World:
    one_of, now = st.sampled_from, make.NOW
    numbers = draw(st.sets(one_of(PEOPLE), min_size=1))
    ends = (None, now - timedelta(days=1), now + timedelta(days=1))
    grants = tuple(
        make.grant(
            f"5100{draw(one_of(range(1, 7)))}" if system == "dms_permissions" else f"70000000000{draw(one_of(PEOPLE))}",
            system=system,
            principal_type=draw(one_of(["user", "user", "user", "group"])),
            entitlement=draw(one_of(["QUERY", "EXPORT"])),
            resource_id=f"r{n}",
            resource_name=draw(one_of(["keep", "other", ""])),
            expires_at=(end := draw(one_of(ends))),
            expires_raw="raw" if end else draw(one_of(["", "raw"])),
            attributes=draw(one_of([{}, {"level": "3"}, {"level": "1"}])),
        )
        for n, system in enumerate(
            draw(st.lists(one_of(["dms_permissions", "wedata_privileges"]), min_size=1, max_size=6))
        )
    )
    principals = tuple(
        Principal(
            *DMS,
            "user",
            f"5100{n}",
            kind=draw(one_of(["human", "unknown"])),
            status=draw(one_of(["active", "disabled", "unknown"])),
            last_used_at=draw(one_of([None, now - timedelta(days=9), now])),
            other_ids=(("alibaba_uid", f"204600000000000{n}"),),
        )
        for n in draw(st.sets(one_of(range(1, 7))))
    )
    containers = one_of([("group", "g1"), ("group", "g2"), ("role", "r1")])
    members = one_of([("user", f"5100{n}") for n in PEOPLE] + [("group", "g1")])
    edges = draw(st.none() | st.lists(st.tuples(members, containers), max_size=4))
    pool = PLAIN + ON_ABSENCE if absence else PLAIN
    chosen = draw(st.lists(one_of(pool), min_size=1, max_size=4, unique=True))
    combine = draw(one_of(["first_match", "most_restrictive"]))
    if combine == "most_restrictive":
        chosen = [pair for pair in chosen if pair[1] == "revoke"] or [PLAIN[0]]
    sources = {"roster", "usage"} | ({"membership"} if edges is not None else set())
    with_holdings = draw(st.booleans())
    sources |= {"holdings"} if with_holdings else set()
    protected = "[]"
    if draw(st.booleans()):
        number = draw(one_of(sorted(numbers)))
        protected = f"[{{space: person_id, id: P{number}, reason: vip}}]"
    return World(
        rows=tuple(draw(rows(number)) for number in sorted(numbers)),
        grants=grants,
        principals=principals,
        edges=None if edges is None else tuple(Membership(*DMS, *member, *container) for member, container in edges),
        held=grants if with_holdings else None,
        complete=frozenset(sources) if absence else frozenset(draw(st.sets(one_of(sorted(sources))))),
        rules=tuple((when, decide_, (when, decide_) in ON_ABSENCE) for when, decide_ in chosen),
        combine=combine,
        protected=protected,
    )


def context(make: SimpleNamespace, world: World) -> DecisionContext:
    header = ("person_id", *COLUMNS, "site")
    text = [",".join(row[name] for name in header) for row in world.rows]
    policy = make.policy(
        *(make.rule(when, choice, f"r{n}", absence=absence) for n, (when, choice, absence) in enumerate(world.rules)),
        combine=world.combine,
        extra="params: {names: [r1, r9]}\n",
    )
    kinds = "[service, system]" if len(world.rows) % 2 else "[system]"
    roster = make.admitted(*text, header=",".join(header)) if world.with_roster else None
    whole = make.context(
        policy,
        roster=roster,
        protections=make.protections(f"principals: {world.protected}\nresources: []\nkinds: {kinds}\n"),
        principals=index_principals(world.principals),
        memberships=None if world.edges is None else Memberships.of(world.edges),
        holdings=None if world.held is None else collect_holdings(world.held),
        complete=world.complete,
    )
    return whole if world.with_roster else dataclasses.replace(whole, roster=None)


def revoked(make: SimpleNamespace, world: World) -> set[str] | None:
    """Ids of the grants that go, or None when the world is refused."""
    try:
        decisions = list(decide(world.grants, context(make, world)))
    except RescindError:
        return None
    assert [decision.grant_id for decision in decisions] == [grant.grant_id for grant in world.grants]
    return {decision.grant_id for decision in decisions if decision.choice is Choice.REVOKE}


def without(items: tuple[Any, ...], index: int) -> tuple[Any, ...]:
    return items[:index] + items[index + 1 :]


def replaced(items: tuple[Any, ...], index: int, item: Any) -> tuple[Any, ...]:
    return (*items[:index], item, *items[index + 1 :])


def remove(world: World, what: str, draw: Any) -> World:
    """The world with one piece of knowledge less."""

    def pick(items: Any) -> int:
        return int(draw(st.integers(0, max(0, len(items or ()) - 1))))

    sources = {"roster": "roster", "no memberships": "membership", "no holdings": "holdings"}
    whole = {"roster": {"with_roster": False}, "no memberships": {"edges": None}, "no holdings": {"held": None}}
    parts = {"row": "rows", "membership": "edges", "holding": "held", "principals": "principals"}
    if what in whole:
        return dataclasses.replace(world, complete=world.complete - {sources[what]}, **whole[what])
    if what == "source":
        return dataclasses.replace(world, complete=world.complete - {draw(st.sampled_from(sorted(sources.values())))})
    if what in parts:
        items = getattr(world, parts[what])
        return dataclasses.replace(world, **{parts[what]: without(items, pick(items)) if items else items})
    if what in ("cell", "attribute column"):
        return _blanked(world, what, pick(world.rows), draw)
    if what == "principal field" and world.principals:
        index = pick(world.principals)
        change = draw(st.sampled_from([{"kind": "unknown"}, {"status": "unknown"}, {"last_used_at": None}]))
        changed = dataclasses.replace(world.principals[index], **change)
        return dataclasses.replace(world, principals=replaced(world.principals, index, changed))
    return _less_readable(world, what, pick(world.grants))


def _less_readable(world: World, what: str, index: int) -> World:
    changes: dict[str, dict[str, Any]] = {
        "end": {"expires_at": None, "expires_raw": "??"},
        "attribute": {"attributes": {}},
        "resource name": {"resource_name": ""},
    }
    changed = dataclasses.replace(world.grants[index], **changes.get(what, {}))
    return dataclasses.replace(world, grants=replaced(world.grants, index, changed))


def _blanked(world: World, what: str, index: int, draw: Any) -> World:
    if what == "attribute column":
        return dataclasses.replace(world, rows=tuple({**row, "site": ""} for row in world.rows))
    row = {**world.rows[index], draw(st.sampled_from(COLUMNS)): ""}
    return dataclasses.replace(world, rows=replaced(world.rows, index, row))


QUICK = settings(
    max_examples=int(os.environ.get("RESCIND_EXAMPLES", "80")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@QUICK
@given(st.data(), st.sampled_from(REMOVALS))
def test_losing_knowledge_never_adds_a_revocation(make: SimpleNamespace, data: st.DataObject, what: str) -> None:
    world = data.draw(worlds(make, absence=False))
    before = revoked(make, world)
    after = revoked(make, remove(world, what, data.draw))
    assert before is None or after is None or after <= before


TOUCHED = {
    "row": "roster", "cell": "roster", "attribute column": "roster", "membership": "membership", "holding": "holdings",
    "principals": "usage", "principal field": "usage",
}  # fmt: skip


@QUICK
@given(st.data(), st.sampled_from(REMOVALS))
def test_rules_on_absence_stop_where_completeness_is_lost(
    make: SimpleNamespace, data: st.DataObject, what: str
) -> None:
    """With such rules a loss may add revocations only while its source is still declared complete."""
    world = data.draw(worlds(make, absence=True))
    before = revoked(make, world)
    smaller = remove(world, what, data.draw)
    lost = {TOUCHED.get(what, "")} | ({"roster", "holdings"} if TOUCHED.get(what) == "roster" else set())
    after = revoked(make, dataclasses.replace(smaller, complete=smaller.complete - lost))
    assert before is None or after is None or after <= before


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), what=st.sampled_from(["row", "cell"]))
def test_a_request_never_reaches_further_with_a_smaller_roster(
    make: SimpleNamespace, data: st.DataObject, what: str
) -> None:
    world = data.draw(worlds(make, absence=False))
    names = [Target(f"P{n}", "person_id") for n in PEOPLE] + [Target("51001", "dms_user_id"), Target("51002")]
    targets = tuple(data.draw(st.lists(st.sampled_from(names), min_size=1)))
    wanted = RequestedTargets(targets, ("dms_permissions", "wedata_privileges"), reason="r")

    def run(this: World) -> set[str] | None:
        try:
            ctx = dataclasses.replace(context(make, this), policy=None, request=wanted)
            return {d.grant_id for d in decide(this.grants, ctx) if d.choice is Choice.REVOKE}
        except RescindError:
            return None

    before, after = run(world), run(remove(world, what, data.draw))
    assert before is None or after is None or after <= before


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), number=st.integers(1, 6))
def test_more_protection_and_more_exceptions_only_keep_more(
    make: SimpleNamespace, data: st.DataObject, number: int
) -> None:
    world = data.draw(worlds(make, absence=False))
    principal = f"5100{number}"
    whole = context(make, world)
    match = f"{{principal_id: '{principal}'}}"
    waiver = f"{{id: E, owner: o, reason: w, end: 2027-01-01, match: {match}}}"
    exceptions = load_exceptions(f"format: 1\nexceptions: [{waiver}]\n", source="e")
    closed = (
        f"principals: [{{space: dms_permissions, id: '{principal}', reason: v}}]\n"
        "resources: [{system: dms_permissions, id: r0, reason: w}]\nunknown_kind: allow\n"
    )

    def ids(**change: Any) -> set[str]:
        ctx = dataclasses.replace(whole, **change)
        return {d.grant_id for d in decide(world.grants, ctx) if d.choice is Choice.REVOKE}

    of_principal = {g.grant_id for g in world.grants if g.key.principal_id == principal}
    on_resource = {g.grant_id for g in world.grants if g.key.resource_id == "r0" and g.key.system == DMS[0]}
    assert ids(exceptions=exceptions) == ids() - of_principal
    open_ = ids(protections=make.protections())
    assert ids(protections=make.protections(closed)) == open_ - of_principal - on_resource
