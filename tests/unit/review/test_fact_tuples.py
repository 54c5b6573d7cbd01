"""Grants that agree in their facts share a decision: the same decisions as one grant after the other."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rescind.ledger import Ledger
from rescind.ledger.population.decision_sets import DecisionSets
from rescind.ledger.store.database import Connection
from rescind.model import Decision, Grant, GrantKey, Principal, Resource
from rescind.review import (
    DecisionContext,
    RequestedTargets,
    Target,
    collect_holdings,
    index_principals,
    load_exceptions,
)
from rescind.review.decide import Decider
from rescind.review.fact_tuples import FactTuples
from rescind.review.policy.rules import READS
from rescind.review.policy.schema import VARIABLES, Scope
from tests.support.ledger.runs import begin, list_scope
from tests.support.reviews.examples import examples

DMS, WEDATA = ("dms_permissions", "1000@cn"), ("wedata_privileges", "2000@cn")
SOME_ID = GrantKey(*DMS, "TABLE", "r1", "user", "51002", "QUERY", "").grant_id
RULES = (
    ("person.status == 'left' && person.terminated_at <= now", "revoke"),
    ("person.department == 'Finance'", "keep"),
    ("principal.kind == 'service'", "keep"),
    ("'EXPORT' in principal.holds && grant.entitlement == 'QUERY'", "revoke"),
    ("grant.has_end && grant.expires_at <= now", "revoke"),
    ("!grant.has_end", "revoke"),
    ("grant.attributes['level'] == '3'", "revoke"),
    ("grant.entitlement == 'EXPORT'", "ask"),
    ("grant.native_id == 'n1'", "revoke"),
    ("grant.origin != 'console'", "revoke"),
    (f"grant.id == '{SOME_ID}'", "revoke"),
    ("grant.account == '1000@cn'", "revoke"),
    ("resource.id == 'r1' || resource.id.endsWith('2')", "revoke"),
    ("resource.type == 'TABLE'", "ask"),
    ("resource.name == 'keep'", "keep"),
    ("grant.last_used_days >= 90", "ask"),
    ("resource.class == 'secret'", "revoke"),
    ("resource.class == 'secret' && resource.type == 'TABLE'", "keep"),
)
MATCHES = (
    "{principal_id: '51002'}",
    "{resource_id: r1}",
    "{resource_id: r2, resource_type: TABLE}",
    "{principal_id: '51002', resource_id: r2}",
    "{native_id: n1}",
    "{principal_id: '51003', entitlement: QUERY, resource_type: DATABASE}",
    "{resource_id: 'rrr*', system: dms_permissions}",
    "{principal_id: '510*', resource_type: TABLE}",
)
RESOURCES = (
    "{system: dms_permissions, id: r1, reason: closed}",
    "{system: dms_permissions, type: TABLE, id: r2, reason: closed tables}",
    "{system: wedata_privileges, account: '2000@cn', pattern: 'rrr*', reason: pattern}",
)


@st.composite
def populations(draw: st.DrawFn, make: SimpleNamespace) -> list[Grant]:
    """Grants over few values of every field, so that many agree in some of them."""
    one_of, now = st.sampled_from, make.NOW
    found = {}
    for _ in range(draw(st.integers(1, 14))):
        system, account = draw(one_of([DMS, WEDATA]))
        user = f"5100{draw(st.integers(1, 4))}" if system == DMS[0] else f"70000000000{draw(st.integers(1, 3))}"
        one = make.grant(
            user,
            system=system,
            account=account,
            principal_type=draw(one_of(["user", "user", "user", "group", "workspace"])),
            entitlement=draw(one_of(["QUERY", "EXPORT"])),
            resource_id=draw(one_of(["r1", "r2", "r3", "rrr4", "rrr5"])),
            resource_type=draw(one_of(["TABLE", "DATABASE"])),
            native_id=draw(one_of(["", "n1", "n2"])),
            resource_name=draw(one_of(["keep", ""])),
            revocable=(able := draw(one_of([True, True, True, False]))),
            why_not="" if able else draw(one_of(["", "columns"])),
            inherited_from=draw(one_of(["", "", "", "parent"])),
            expires_at=(end := draw(one_of([None, now - timedelta(days=1), now + timedelta(days=1)]))),
            expires_raw="raw" if end else draw(one_of(["", "raw"])),
            origin=draw(one_of(["console", "ticket"])),
            last_used_days=draw(one_of([None, 3, 90])),
            last_use="a log",
            attributes=draw(one_of([{}, {"level": "3"}, {"level": "1", "note": 'a "b"\\c'}])),
        )
        found[one.key] = one
    return list(found.values())


@st.composite
def contexts(draw: st.DrawFn, make: SimpleNamespace, grants: Sequence[Grant]) -> DecisionContext:
    """A policy or a request, with exceptions and protections."""
    resources = ", ".join(draw(st.lists(st.sampled_from(RESOURCES), max_size=2, unique=True)))
    matches = draw(st.lists(st.sampled_from(MATCHES), max_size=3, unique=True))
    waivers = ", ".join(
        f"{{id: E{n}, owner: o, reason: w, end: {draw(st.sampled_from(['2027-01-01', '2026-01-01']))},"
        f" glob: {str('*' in match).lower()}, match: {match}}}"
        for n, match in enumerate(matches)
    )
    change: dict[str, Any] = {
        "protections": make.protections(f"principals: []\nresources: [{resources}]\nunknown_kind: allow\n"),
        "exceptions": load_exceptions(f"format: 1\nexceptions: [{waivers}]\n", source="e"),
        "principals": index_principals(
            [Principal(*DMS, "user", "51002", kind=draw(st.sampled_from(["human", "service"])))]
        ),
        "holdings": collect_holdings(grants),
        "complete": frozenset(("roster", "usage", "holdings", "last_used")),
        "covering": draw(st.sampled_from([{}, {DMS[0]: frozenset({"DATABASE"})}])),
    }
    if draw(st.integers(0, 3)) == 0:
        people = tuple(Target(name, "person_id") for name in draw(st.sets(st.sampled_from(["P2", "P3"]))))
        named = tuple(draw(st.sets(st.sampled_from(["r1", "r2", "rrr4"]), min_size=0 if people else 1)))
        request = RequestedTargets(people, (DMS[0], WEDATA[0]), named, reason="r")
        context: DecisionContext = make.context(request=request, **change)
        return context
    rules = draw(st.lists(st.sampled_from(RULES), min_size=1, max_size=3, unique=True))
    combine = draw(st.sampled_from(["first_match", "most_restrictive"]))
    if combine == "most_restrictive":
        rules = [pair for pair in rules if pair[1] != "keep"] or [RULES[0]]
    else:
        rules.sort(key=lambda pair: "last_used_days" in pair[0])  # no rule behind one by use may revoke
    texts = (make.rule(when, choice, f"r{n}", absence="last_used" in when) for n, (when, choice) in enumerate(rules))
    classes = "resource_classes:\n  - {class: secret, system: dms_permissions, ids: [r1, r2, rrr4]}\n"
    context = make.context(make.policy(*texts, combine=combine, extra=classes), **change)
    return context


def by_tuple(context: DecisionContext, grants: Sequence[Grant]) -> list[Decision]:
    """The decisions as the database joins them, in Python."""
    facts = FactTuples(Decider(context))
    others = facts.representatives(Resource(*grant.key[:4]) for grant in grants) if facts.by_resource else {}
    found = {}
    answers: dict[Any, Decision] = {}
    for grant in grants:
        values = facts.values(grant, others.get(Resource(*grant.key[:4])))
        name = repr(values)
        answers[name] = answers.get(name) or facts.decide(values)
        own = {"resource.id": grant.key.resource_id} if "resource.id" in answers[name].facts else {}
        one = answers[name]
        found[grant.grant_id] = dataclasses.replace(one, grant_id=grant.grant_id, facts={**one.facts, **own})
    return list(found.values())


def same(one: Decision) -> Decision:
    """Without the order of the facts."""
    return dataclasses.replace(one, facts=dict(sorted(one.facts.items())))


@examples(300)
@given(data=st.data())
def test_both_ways_give_the_same_decisions(make: SimpleNamespace, data: st.DataObject) -> None:
    grants = data.draw(populations(make))
    context = data.draw(contexts(make, grants))
    decider = Decider(context)
    assert list(map(same, by_tuple(context, grants))) == [same(decider.decide(grant)) for grant in grants]


@pytest.mark.postgres
@settings(examples(25), suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_both_ways_write_the_same_rows(make: SimpleNamespace, ledger: Ledger, data: st.DataObject) -> None:
    grants = data.draw(populations(make))
    context = data.draw(contexts(make, grants))
    run = begin(ledger, f"run {uuid4()}")
    for place in sorted({grant.key[:2] for grant in grants}):
        list_scope(ledger, run, [grant for grant in grants if grant.key[:2] == place])
    decider = Decider(context)
    one_by_one = ledger.decisions.write(run.run_id, map(decider.decide, grants))
    rows = list(ledger.decisions.bare(run.run_id))
    assert ledger.decisions.write_sets(run.run_id, FactTuples(Decider(context))) == one_by_one
    assert list(ledger.decisions.bare(run.run_id)) == rows
    assert len(rows) == len(grants)


class Explained:
    """A connection that also keeps PostgreSQL's plan of the statement that writes the decisions."""

    def __init__(self, connection: Connection, plans: list[str]) -> None:
        self._connection, self._plans = connection, plans

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, query: Any, values: Any = None) -> Any:
        if query.startswith("INSERT INTO rescind.decision"):
            rows = self._connection.execute(f"EXPLAIN {query}", values).fetchall()
            self._plans.append("\n".join(str(row) for row in rows))
        return self._connection.execute(query, values)


@pytest.mark.postgres
def test_a_run_that_no_statistics_know_is_joined_at_once(
    make: SimpleNamespace, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans: list[str] = []
    insert = DecisionSets.insert
    monkeypatch.setattr(
        DecisionSets, "insert", lambda self, connection, *rest: insert(self, Explained(connection, plans), *rest)
    )
    decider = Decider(make.context(make.policy(make.rule("resource.id == 'r1'", "revoke", "r0"))))
    for name in ("first", "second"):
        run = begin(ledger, name)
        grants = [make.grant("51002", resource_id=f"r{number}") for number in range(300)]
        list_scope(ledger, run, grants)
        ledger.decisions.write_sets(run.run_id, FactTuples(decider))
    assert len(plans) == 2
    assert not [plan for plan in plans if "Nested Loop" in plan]


def test_a_field_outside_the_tuple_cannot_be_read(make: SimpleNamespace) -> None:
    facts = FactTuples(Decider(make.context(make.policy(make.rule("person.status == 'left'")))))
    assert "entitlement" not in facts.columns and not facts.by_resource
    assert facts.decide(facts.values(make.grant("51002"))).rule == "r1"
    facts.columns = tuple(name for name in facts.columns if name != "why_not")
    with pytest.raises(AssertionError, match="not in its fact tuple"):
        facts.decide(facts.values(make.grant("51002", revocable=False, why_not="columns")))


def test_a_resource_counts_only_by_what_is_concluded_from_it(make: SimpleNamespace) -> None:
    protections = make.protections(f"principals: []\nresources: [{RESOURCES[0]}]\nunknown_kind: allow\n")
    policy = make.policy(make.rule("person.status == 'left'"))
    facts = FactTuples(Decider(make.context(policy, protections=protections)))
    found = facts.representatives(Resource(*DMS, "TABLE", f"r{n}") for n in range(5))
    assert {one.resource_id: other.resource_id for one, other in found.items()} == {
        "r0": "r0", "r1": "r1", "r2": "r0", "r3": "r0", "r4": "r0",
    }  # fmt: skip


def test_every_field_that_a_rule_may_read_of_a_grant_is_known_here() -> None:
    names = {name for name, field in VARIABLES.items() if field.scope in (Scope.GRANT, Scope.RESOURCE)}
    assert set(READS) == names
