"""Less knowledge never takes more away: the property that every failed look-up relies on.

Worlds are generated with data that does not contradict itself; then one piece of knowledge is removed. Every
grant that is revoked afterwards must have been revoked before; refusing to decide at all is always allowed.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rescind.errors import RescindError
from rescind.model import Choice, Grant, Membership, Principal
from rescind.review import (
    DecisionContext,
    Memberships,
    Policy,
    RequestedTargets,
    Target,
    collect_holdings,
    decide,
    index_principals,
    load_exceptions,
)
from tests.support.reviews.examples import examples

pytestmark = pytest.mark.seconds(180 * -(-(settings.default or settings()).max_examples // 100))
"""A thorough run has a hundred times as many examples."""

PEOPLE = range(1, 4)
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
    ("person.status == 'left'", "ask"),
    ("!(person.department == 'Finance')", "ask"),
    ("grant.has_end && grant.expires_at <= now", "ask"),
    ("principal.owner_id == '51001'", "revoke"),
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
    ("principal.owner in ['left', 'unlisted']", "revoke"),
    ("principal.owner == 'active'", "keep"),
    ("!person.known", "ask"),
    ("'g1' in principal.groups", "ask"),
    ("grant.last_used_days >= 90", "ask"),
    ("!(grant.last_used_days < 90)", "ask"),
    ("grant.last_used_days < 90", "keep"),
    ("grant.last_used_days < 90 || person.status == 'active'", "keep"),
)
EVERYTHING = ("grant.system != ''", "revoke")


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
    guarded: bool
    allow_unknown: bool
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
    ids = {space: draw(one_of([value] * 7 + [""])) for space, value in person_id(number).items()}
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
            f"5100{draw(one_of(range(1, 5)))}" if system == "dms_permissions" else f"70000000000{draw(one_of(PEOPLE))}",
            system=system,
            principal_type=draw(one_of(["user", "user", "user", "group"])),
            entitlement=draw(one_of(["QUERY", "EXPORT"])),
            resource_id=f"r{n}",
            resource_name=draw(one_of(["keep", "other", ""])),
            expires_at=(end := draw(one_of(ends))),
            expires_raw="raw" if end else draw(one_of(["", "raw"])),
            attributes=draw(one_of([{}, {"level": "3"}, {"level": "1"}])),
            last_used_days=draw(one_of([None, 3, 90])),
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
            owner=draw(one_of(["", "51001", "51003"])),
            other_ids=draw(one_of([(), (("alibaba_uid", f"204600000000000{n}"),)])),
        )
        for n in draw(st.sets(one_of(range(1, 5))))
    )
    containers = one_of([("group", "g1"), ("group", "g2"), ("role", "r1")])
    members = one_of([("user", f"5100{n}") for n in PEOPLE] + [("group", "g1")])
    edges = draw(st.none() | st.lists(st.tuples(members, containers), max_size=4))
    pool = PLAIN + ON_ABSENCE if absence else PLAIN
    chosen = draw(st.lists(one_of(pool), min_size=1, max_size=3, unique=True))
    combine = draw(one_of(["first_match", "first_match", "most_restrictive"]))
    if combine == "first_match" and any(choice != "revoke" for _, choice in chosen):
        chosen.append(EVERYTHING)  # whatever the others let through shows
    if combine == "first_match":
        chosen.sort(key=lambda pair: "last_used_days" in pair[0])  # no rule behind one by use may revoke
    if combine == "most_restrictive":
        chosen = [pair for pair in chosen if pair[1] != "keep"] or [PLAIN[0]]
    sources = {"roster", "usage", "last_used"} | ({"membership"} if edges is not None else set())
    with_holdings = draw(st.booleans())
    sources |= {"holdings"} if with_holdings else set()
    people = tuple(draw(rows(number)) for number in sorted(numbers))
    protected = "[]"
    if draw(st.booleans()):
        vip = draw(one_of(people))
        without = ", ".join(space for space in person_id(1) if not vip[space])
        protected = f"[{{space: person_id, id: {vip['person_id']}, reason: vip, without: [{without}]}}]"
    return World(
        rows=people,
        grants=grants,
        principals=principals,
        edges=None if edges is None else tuple(Membership(*DMS, *member, *container) for member, container in edges),
        held=grants if with_holdings else None,
        complete=frozenset(sources) if absence else frozenset(draw(st.sets(one_of(sorted(sources))))),
        rules=tuple((when, decide_, (when, decide_) in ON_ABSENCE) for when, decide_ in chosen),
        combine=combine,
        protected=protected,
        guarded=not (allow := draw(one_of([True, True, False]))) and draw(st.booleans()),
        allow_unknown=allow,
    )


@functools.cache
def policy_of(make_policy: Any, make_rule: Any, rules: tuple[tuple[str, str, bool], ...], combine: str) -> Policy:
    texts = (make_rule(when, choice, f"r{n}", absence=absence) for n, (when, choice, absence) in enumerate(rules))
    policy: Policy = make_policy(*texts, combine=combine, extra="params: {names: [r1, r9]}\n")
    return policy


def context(make: SimpleNamespace, world: World) -> DecisionContext:
    header = ("person_id", *COLUMNS, "site")
    text = [",".join(row[name] for name in header) for row in world.rows]
    kinds = "[service, system]" if world.guarded else "[system]"
    unknown = "unknown_kind: allow\n" if world.allow_unknown else ""
    whole = make.context(
        policy_of(make.policy, make.rule, world.rules, world.combine),
        roster=make.admitted(*text, header=",".join(header)) if world.with_roster else None,
        protections=make.protections(f"principals: {world.protected}\nresources: []\nkinds: {kinds}\n{unknown}"),
        principals=index_principals(world.principals),
        memberships=None if world.edges is None else Memberships.of(world.edges),
        holdings=None if world.held is None else collect_holdings(world.held),
        complete=world.complete,
    )
    return whole if world.with_roster else dataclasses.replace(whole, roster=None)


def revoked(make: SimpleNamespace, world: World) -> set[str] | None:
    """Ids of the grants that could go once an owner is asked, marked ``!`` where nobody is; None when refused."""
    try:
        decisions = list(decide(world.grants, context(make, world)))
    except RescindError:
        return None
    assert [decision.grant_id for decision in decisions] == [grant.grant_id for grant in world.grants]
    gone = {decision.grant_id for decision in decisions if decision.choice is Choice.REVOKE}
    return gone | {f"{name}!" for name in gone} | {decision.grant_id for decision in decisions if decision.ask}


def without(items: tuple[Any, ...], index: int) -> tuple[Any, ...]:
    return items[:index] + items[index + 1 :]


def replaced(items: tuple[Any, ...], index: int, **change: Any) -> tuple[Any, ...]:
    item = items[index]
    new = {**item, **change} if isinstance(item, dict) else dataclasses.replace(item, **change)
    return (*items[:index], new, *items[index + 1 :])


LOST_WITH = {
    "rows": {"roster", "holdings"},
    "edges": {"membership"},
    "held": {"holdings"},
    "principals": {"usage"},
    "grants": set(),
}


def losses(world: World) -> Iterator[tuple[set[str], World]]:
    """Every world with one piece of knowledge less, and the sources that are no longer complete then."""
    changes: list[tuple[str, int, dict[str, Any]]] = [
        *(("rows", n, {column: ""}) for n in range(len(world.rows)) for column in (*COLUMNS, "site")),
        *(("principals", n, {"kind": "unknown"}) for n in range(len(world.principals))),
        *(("principals", n, {"status": "unknown"}) for n in range(len(world.principals))),
        *(("principals", n, {"last_used_at": None}) for n in range(len(world.principals))),
        *(("principals", n, {"owner": ""}) for n in range(len(world.principals))),
        *(("grants", n, {"expires_at": None, "expires_raw": "??"}) for n in range(len(world.grants))),
        *(("grants", n, {"attributes": {}}) for n in range(len(world.grants))),
        *(("grants", n, {"last_used_days": None}) for n in range(len(world.grants))),
        *(("grants", n, {"resource_name": ""}) for n in range(len(world.grants))),
    ]
    for name, index, change in changes:
        yield LOST_WITH[name], dataclasses.replace(world, **{name: replaced(getattr(world, name), index, **change)})
    for name in ("rows", "edges", "held", "principals"):
        items = getattr(world, name) or ()
        for index, item in enumerate(items):
            if name == "principals" and item.other_ids:
                continue  # further ids can contradict a match; they are part of the sealed snapshot
            yield LOST_WITH[name], dataclasses.replace(world, **{name: without(items, index)})
    whole: tuple[tuple[set[str], dict[str, Any]], ...] = (
        ({"roster", "holdings"}, {"with_roster": False}),
        ({"membership"}, {"edges": None}),
        ({"holdings"}, {"held": None}),
    )
    for sources, change in whole:
        yield sources, dataclasses.replace(world, complete=world.complete - sources, **change)
    for source in sorted(world.complete):
        yield {source}, dataclasses.replace(world, complete=world.complete - {source})


def some_losses(data: st.DataObject, world: World) -> list[tuple[set[str], World]]:
    """Every loss; in a thorough run, which sees a hundred times as many worlds, a few of each."""
    every = list(losses(world))
    if (settings.default or settings()).max_examples <= 100:
        return every
    return data.draw(st.lists(st.sampled_from(every), min_size=1, max_size=3, unique_by=id))


def assert_only_less(make: SimpleNamespace, data: st.DataObject, world: World, *, believed: bool) -> None:
    """:param believed: whether the sources are still declared complete although something of them is lost."""
    before = revoked(make, world)
    for sources, smaller in some_losses(data, world):
        after = revoked(
            make, smaller if believed else dataclasses.replace(smaller, complete=smaller.complete - sources)
        )
        assert before is None or after is None or after <= before, smaller


QUICK = settings(examples(60), suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@QUICK
@given(data=st.data())
def test_losing_knowledge_never_adds_a_revocation(make: SimpleNamespace, data: st.DataObject) -> None:
    """Not even a loss that nobody has noticed."""
    assert_only_less(make, data, data.draw(worlds(make, absence=False)), believed=True)


@QUICK
@given(data=st.data())
def test_rules_on_absence_stop_where_completeness_is_lost(make: SimpleNamespace, data: st.DataObject) -> None:
    """With such rules a loss may add revocations only while its source is still declared complete."""
    assert_only_less(make, data, data.draw(worlds(make, absence=True)), believed=False)


@examples(30)
@given(data=st.data())
def test_a_request_never_reaches_further_with_a_smaller_roster(make: SimpleNamespace, data: st.DataObject) -> None:
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

    before = run(world)
    for sources, smaller in some_losses(data, world):
        if "roster" in sources:
            after = run(smaller)
            assert before is None or after is None or after <= before, smaller


@examples(30)
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
