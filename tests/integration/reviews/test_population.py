"""The population certificate: what makes a scope complete, and what an incomplete one may still do (nothing)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from rescind.ledger import Scope
from rescind.settings import Settings
from rescind.systems import default_connections, walker
from tests.support.reviews.review import Review, ReviewBench
from tests.support.reviews.verdicts import PRIVILEGES, approved, items_of, somebody
from tests.support.servers.emulator import Emulator

pytestmark = pytest.mark.sockets

Bench = Callable[..., ReviewBench]
DMS = "dms_permissions"
ONE_DATABASE = (
    *("--preset", "tiny", "--size", "instances=1", "--size", "databases_per_instance=1"),
    *("--size", "dms_users=70", "--size", "people=80", "--size", "tables_per_database=9", "--size", "dms_records=600"),
)


def scope_of(review: Review, system: str = DMS) -> Scope:
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        (scope,) = (scope for scope in ledger.scopes.all(run.run_id) if scope.system == system)
    return scope  # type: ignore[no-any-return]


def ids_found(review: Review) -> set[str]:
    """Ids of the permission records of DMS; the other ways in come from no listing of records."""
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        grants = ledger.snapshot.grants(run.run_id, system=DMS)
        return {grant.key.native_id for grant in grants if "Listing" in grant.attributes}


def other_ways(setup: ReviewBench) -> int:
    """How many grants of DMS are no records: owners, DBAs, roles, proxy accounts, instances without control."""
    extra = setup.emulator.get("truth?extra=1")
    listed_with_owners = ("INSTANCE", "DATABASE", "LOGIC_DATABASE")
    roles = {role for user in extra["dms_users"] if user["state"] != "DELETE" for role in user["roles"]} - {"USER"}
    return sum(
        (
            sum(row["owner_type"] in listed_with_owners for row in extra["dms_owners"]),
            sum(bool(row["dba"]) for row in extra["dms_instances"]),
            sum(row["mode"] != "COMMON" for row in extra["dms_instances"]),
            len(extra["dms_proxy_accesses"]),
            len(roles),
        )
    )


def listed(setup: ReviewBench, name: str, *systems: str) -> Review:
    """A review of these systems, discovered."""
    review = setup.run(name, systems=list(systems))
    review.preflight()
    review.discover()
    return review


def test_the_certificate_says_what_was_read(bench: Bench) -> None:
    setup = bench()
    review = listed(setup, "manual__1", DMS, "quickbi_menus")
    scope = scope_of(review)
    truth = setup.emulator.get(f"truth?system={DMS}")
    rows = truth[DMS] if isinstance(truth, dict) and DMS in truth else truth
    assert scope.state == "complete" and len(ids_found(review)) == len(rows)
    assert scope.counted == len(rows) + other_ways(setup) and other_ways(setup) > 0
    assert scope.declared == scope.notes["rows_declared"]
    assert scope.duplicates == scope.dangling == 0
    with review.ledger() as ledger:
        listings = ledger.snapshot.listings(scope.run_id, scope.scope_id)
        principals = list(ledger.snapshot.principals(scope.run_id, "quickbi_menus"))
    whole = [one for one in listings if one.declared is None]
    assert {one.action for one in whole} == {"ListProxies", "ListProxyAccesses"}, "their answers declare no total"
    assert scope.declared + sum(one.counted for one in whole) == scope.notes["rows_counted"]
    assert sum(one.pages for one in listings) == scope.pages == sum(len(one.page_digests) for one in listings)
    assert Counter(one.action for one in listings) == scope.query["calls"]
    assert {one.passes for one in listings} == {1} and all(one.request_ids for one in listings)
    spaces = [one for one in principals if one.principal_type == "workspace"]
    users = {one.principal_id for one in principals if one.principal_type == "user"}
    assert spaces and {one.owner for one in spaces} <= users
    assert {one.status for one in principals if one.principal_type == "user"} <= {"active", "deleted"}


def test_a_population_that_shrank_without_a_reason_is_incomplete(bench: Bench) -> None:
    setup = bench()
    full = scope_of(listed(setup, "manual__1", DMS)).counted
    truth = setup.emulator.get("truth")[DMS]
    gone = [{**row, "op": "revoke", "system": DMS} for row in truth[: len(truth) // 2]]
    setup.emulator.post("mutate", {"actor": "somebody", "ops": gone})

    review = setup.run("manual__2", dry_run=False, systems=[DMS, "quickbi_menus"])
    review.preflight()
    by_system = {scope["label"].split(" ")[0]: scope for scope in review.scopes}
    review.scopes = [by_system["DMS"]]
    with pytest.raises(Exception, match=rf"{full - len(gone)} grants found, {full} at the last complete listing"):
        review.discover()
    review.scopes = [by_system["Quick"]]
    review.discover()
    scope = scope_of(review)
    assert scope.state == "incomplete" and scope.counted == full - len(gone)
    assert "max_shrink_percent (30)" in scope.error and not ids_found(review)
    review.plan()
    with review.ledger() as ledger:
        planned = ledger.snapshot.grants_by_id(
            scope.run_id, [item.grant_id for item in ledger.plans.items(scope.run_id)]
        )
    assert {grant.key.system for grant in planned.values()} == {"quickbi_menus"}
    assert any("dms_permissions" in problem for problem in review.report()["problems"])

    setup.configure(max_shrink_percent=100)
    assert scope_of(listed(setup, "manual__3", DMS)).state == "complete"
    setup.configure(max_shrink_percent=0)
    assert scope_of(listed(setup, "manual__4", DMS)).state == "complete"


def test_what_a_review_revoked_itself_is_no_shrinking(bench: Bench) -> None:
    setup = bench()
    first = setup.run("manual__1", dry_run=False, systems=[DMS])
    summary = first.whole()
    before = scope_of(first)
    gone = sum(row["verified_gone"] + row["still_effective"] for row in summary["systems"])
    assert gone > 0
    setup.configure(max_shrink_percent=0)
    again = scope_of(listed(setup, "manual__2", DMS))
    assert again.state == "complete" and again.counted == before.counted - gone
    with first.ledger() as ledger:
        base = ledger.scopes.baseline(again.run_id, again.scope_id)
    assert (base.counted, base.removed) == (before.counted, gone)


def test_a_sentinel_that_is_not_seen_makes_the_scope_incomplete(bench: Bench) -> None:
    setup = bench()
    row = setup.emulator.get("truth")[DMS][3]
    kind = row["ds_type"].lower()
    resource = row["instance_id"] if kind == "instance" else row["table_id"] if "table" in kind else row["db_id"]
    known = {"principal": row["user_id"], "resource": str(resource), "entitlement": row["perm_type"]}
    setup.configure(sentinels={DMS: [known, {**known, "account": "another", "principal": "1"}]})
    seen = scope_of(listed(setup, "manual__1", DMS))
    assert seen.state == "complete" and seen.notes["sentinels"] == 1

    setup.configure(sentinels={DMS: [known, {**known, "principal": "7777777"}]})
    review = setup.run("manual__2", systems=[DMS])
    review.preflight()
    with pytest.raises(Exception, match=r"1 of 2 sentinels were not found.*7777777.*setting 'sentinels'"):
        review.discover()
    scope = scope_of(review)
    assert scope.state == "incomplete" and "sentinels" in scope.missing
    with pytest.raises(Exception, match="no scope is complete"):
        review.plan()


def test_a_sentinel_of_a_system_without_connections_is_refused() -> None:
    known = {"principal": "1", "resource": "2", "entitlement": "3"}
    with pytest.raises(Exception, match="sentinels name dms_permision"):
        Settings.parse({"sentinels": {"dms_permision": [known]}}, connections=default_connections())


def rows_of_one_listing(emulator: Emulator) -> tuple[str, list[dict[str, Any]]]:
    """The database whose tables have most records, and these records."""
    tables = [row for row in emulator.get("truth")[DMS] if row["ds_type"] == "TABLE"]
    (database, _), *_ = Counter(row["db_id"] for row in tables).most_common(1)
    return database, [row for row in tables if row["db_id"] == database]


def test_a_row_that_slips_between_two_pages_is_found_by_another_pass(bench: Bench) -> None:
    setup = bench(*ONE_DATABASE)
    database, rows = rows_of_one_listing(setup.emulator)
    per_row = Counter((row["user_id"], row["table_id"]) for row in rows)
    assert len(per_row) > 110, "the listing needs more than one page"
    single = next(row for row in rows if per_row[row["user_id"], row["table_id"]] == 1)
    pairs = ((u, t) for u in sorted({r["user_id"] for r in rows}) for t in sorted({r["table_id"] for r in rows}))
    user, table = next(pair for pair in pairs if pair not in per_row)
    another = next(row for row in rows if row["table_id"] == table)
    ops = [
        {**single, "op": "revoke", "system": DMS},
        {**another, "op": "grant", "system": DMS, "user_id": user, "user_access_id": "99000001"},
    ]
    where = {"DbId": database, "PermType": "TABLE", "PageNumber": 2}
    fault = {"kind": "mutate", "action": "ListDatabaseUserPermssions", "where": where, "ops": ops, "times": 1}
    setup.emulator.post("faults", fault)
    review = listed(setup, "manual__1", DMS)
    assert setup.emulator.get("faults")["all_fired"]
    truth = {row["user_access_id"] for row in setup.emulator.get("truth")[DMS]}
    assert ids_found(review) == truth
    scope = scope_of(review)
    assert scope.state == "complete" and scope.notes["second_passes"] >= 1
    with review.ledger() as ledger:
        passes = [one.passes for one in ledger.snapshot.listings(scope.run_id, scope.scope_id)]
    assert max(passes) == 3, "one pass missed the row, two agreed afterwards"


def test_a_listing_that_never_holds_still_is_incomplete(bench: Bench) -> None:
    setup = bench(*ONE_DATABASE)
    database, _ = rows_of_one_listing(setup.emulator)
    where = {"DbId": database, "PermType": "TABLE", "PageNumber": 2}
    setup.emulator.post(
        "faults", {"kind": "page_shift", "action": "ListDatabaseUserPermssions", "where": where, "times": 0}
    )
    review = setup.run(systems=[DMS])
    review.preflight()
    with pytest.raises(Exception, match="declared"):
        review.discover()
    (fault,) = setup.emulator.get("faults")["faults"]
    assert fault["fired"] == walker.PASSES
    assert scope_of(review).state == "incomplete" and not ids_found(review)


def test_references_that_lead_nowhere_are_counted_and_shown_by_shape(bench: Bench) -> None:
    setup = bench()
    row = next(r for r in setup.emulator.get("truth")["quickbi_menus"] if r["receiver_type"] == 0)
    ghost = {**row, "receiver_id": "ghost0042", "op": "grant", "system": "quickbi_menus"}
    setup.emulator.post("mutate", {"actor": "somebody", "ops": [ghost]})
    scope = scope_of(listed(setup, "manual__1", "quickbi_menus"), "quickbi_menus")
    assert scope.state == "complete" and scope.dangling == 1
    assert scope.notes["dangling"] == {"principal user": 1}
    assert scope.notes["dangling_examples"] == ["principal user a{5}9{4}"]


def planned(review: Review) -> set[str]:
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        return {item.grant_id for item in ledger.plans.items(run.run_id) if item.call_id}


def test_losing_knowledge_never_adds_a_revocation(bench: Bench) -> None:
    """Faults in listings, one by one: whatever is still planned was planned with full knowledge as well."""
    setup = bench(max_shrink_percent=100)
    whole = setup.run("manual__whole")
    whole.through_plan()
    everything = planned(whole)
    assert everything
    error = {"kind": "error", "code": "InternalError", "times": 0}
    faults = [
        {**error, "action": "QueryUserGroupMember"},
        {"kind": "short", "action": "QueryUserList", "count": 3, "times": 0},
        {"kind": "empty", "action": "ListPortalMenuAuthorization", "times": 0},
        {"kind": "total", "action": "ListUsers", "delta": 1, "times": 0},
        {"kind": "null", "action": "ListProjectMembers", "times": 0},
        {"kind": "empty", "action": "ListPermissions", "times": 2},
        {"kind": "empty", "action": "ListTable", "times": 0},
    ]
    for number, fault in enumerate(faults):
        setup.emulator.post("faults", {"faults": [fault], "replace": True})
        review = setup.run(f"manual__{number}")
        review.preflight()
        scopes = review.scopes
        for scope in scopes:
            review.scopes = [scope]
            try:
                review.discover()
            except Exception as failed:
                assert "ncomplete" in str(failed) or "InternalError" in str(failed), (fault, failed)
        review.scopes = scopes
        review.plan()
        assert setup.emulator.get("faults")["all_fired"], fault
        assert planned(review) <= everything, fault
    assert setup.emulator.writes() == []


def test_the_plan_says_what_verification_will_find_still_effective(bench: Bench) -> None:
    rows = bench().run(dry_run=False).whole()["systems"]
    assert sum(row["still_effective"] for row in rows) > 0
    for row in rows:
        outlook = row["stays_reachable"]
        assert outlook["of"] == row["items"] and len(outlook["examples"]) == min(5, outlook["grants"])
        # DMS names policies only when it is asked about a user, which verification does.
        more = row["still_effective"] - outlook["grants"]
        assert more >= 0 if row["system"] == DMS else more == 0


@pytest.mark.parametrize("rows", ["per_subject", "grouped"])
def test_a_platform_that_counts_pairs_is_reviewed_to_the_end(bench: Bench, rows: str) -> None:
    """``TotalCount`` of ListPermissions in units of (subject, privilege): every object is read twice, and proven."""
    setup = bench("--preset", "tiny", max_percent=100, record_gone_fails=[])
    setup.emulator.post("modes", {"wedata_total": "grants", "wedata_rows": rows})
    person = somebody(setup)
    review = approved(setup, person, PRIVILEGES)
    assert scope_of(review, PRIVILEGES).state == "complete"
    review.revoke()
    review.verify()
    verdicts = {item["verdict"] for item in items_of(review)}
    assert verdicts and verdicts <= {"verified_gone", "record_gone", "still_effective"}
