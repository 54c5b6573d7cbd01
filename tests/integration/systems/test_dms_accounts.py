"""Accounts of DMS users, in whole reviews against the emulator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rescind.cloud.dms.accounts import DisableUser
from rescind.model import Choice, PlannedCall
from rescind.systems import REGISTRY, default_connections
from rescind.systems.dms.accounts import ACCOUNT, ADMINISTRATOR, DmsAccounts
from rescind.workflow.question.approval_text import approval_request
from tests.support.reviews.review import Review, ReviewBench
from tests.support.reviews.verdicts import DMS, Row, items_of, mutate, records_of, script, somebody

Bench = Callable[..., ReviewBench]
NAME = DmsAccounts.name


@pytest.fixture
def bench(bench: Bench) -> Bench:
    """A bench whose reviews cover accounts and permission records; nothing irreversible is allowed."""
    given: dict[str, Any] = {
        "connections": {NAME: ["dms_default"], DMS: ["dms_default"]},
        "granting_connections": {NAME: ["dms_granting"], DMS: ["dms_granting"]},
        "allow_irreversible": False,
    }
    return lambda **settings: bench("--preset", "tiny", **{**given, **settings})


def states(setup: ReviewBench) -> dict[str, str]:
    """State by DMS user id, as the service itself holds it."""
    return {row["user_id"]: row["state"] for row in setup.emulator.get("truth?extra=1")["dms_users"]}


def person(setup: ReviewBench, *, records: int = 0) -> Row:
    """Somebody unprotected with so many permission records, who owns nothing, has no role and no proxy account."""
    one = somebody(setup)
    truth, user = setup.emulator.get("truth?extra=1"), one["dms_user_id"]
    records_of(setup, one, records)
    owned = [row for row in truth["dms_owners"] if row["user_id"] == user]
    accounts = [row for row in truth["dms_proxy_accesses"] if row["user_id"] == user]
    dbas = [row["instance_id"] for row in truth["dms_instances"] if row["dba"] == user]
    roles = next(row["roles"] for row in truth["dms_users"] if row["user_id"] == user)
    mutate(
        setup,
        *({**row, "op": "dms_owner", "remove": True} for row in owned),
        *({"op": "proxy_access", "proxy_id": row["proxy_id"], "user_id": user, "remove": True} for row in accounts),
        *({"op": "dms_dba", "instance_id": ident, "user_id": ""} for ident in dbas),
        *([{"op": "dms_roles", "user_id": user, "roles": ["USER"]}] if list(roles) != ["USER"] else []),
    )
    return one


def asked(setup: ReviewBench, *people: Row, systems: tuple[str, ...] = (NAME,), name: str = "manual__1") -> Review:
    """A run that disables the accounts of these people."""
    who = [one["person_id"] for one in people]
    return setup.run(name, kind="targets", principals=who, systems=list(systems), reason="has left", dry_run=False)


def kept(review: Review) -> dict[str, str]:
    """Why accounts stay that the run was asked to take, by DMS user id."""
    with review.ledger() as ledger:
        run = ledger.runs.find(review.dag_id, review.run_id)
        found = {
            grant.key.principal_id: f"{grant.why_not} {decision.reason}"
            for grant, decision in ledger.decisions.each(run.run_id, choice=Choice.KEEP, system=NAME)
        }
        reasons = {item.grant_id: item.reason for item in ledger.plans.items(run.run_id) if item.state == "held"}
        grants = ledger.snapshot.grants_by_id(run.run_id, list(reasons))
        return found | {grant.key.principal_id: reasons[ident] for ident, grant in grants.items()}


def sent(setup: ReviewBench) -> list[str]:
    return [entry["action"] for entry in setup.emulator.writes()]


def test_exactly_the_planned_account_is_disabled_and_comes_back(bench: Bench) -> None:
    setup = bench()
    one, before = person(setup), states(setup)
    review = asked(setup, one)
    summary = review.whole()
    assert summary["problems"] == [] and review.gate() == "succeeded"
    assert states(setup) == {**before, one["dms_user_id"]: "DISABLE"}
    with review.ledger() as ledger:
        run = ledger.runs.find(review.dag_id, review.run_id)
        (grant,) = (grant for grant, _ in ledger.decisions.each(run.run_id, choice=Choice.REVOKE))
    assert (grant.key.principal_id, grant.key.entitlement) == (one["dms_user_id"], ACCOUNT)
    assert DmsAccounts().cell(grant.key) == grant.cell
    assert [row["verdict"] for row in items_of(review)] == ["verified_gone"] and sent(setup) == ["DisableUser"]
    assert DmsAccounts.title in Path(summary["report"]).read_text(encoding="utf-8")
    restore = setup.restore(run="1")
    assert restore.whole()["problems"] == [] and restore.gate() == "succeeded"
    assert states(setup) == before and sent(setup) == ["DisableUser", "EnableUser"]


OWNED = {"op": "dms_owner", "owner_type": "INSTANCE"}


def instance_of(setup: ReviewBench) -> str:
    return str(min(row["instance_id"] for row in setup.emulator.get("truth?extra=1")["dms_instances"]))


WAYS: dict[str, tuple[Callable[[ReviewBench, str], Row], str]] = {
    "owner": (lambda setup, user: {**OWNED, "resource_id": instance_of(setup), "user_id": user}, "owns instance"),
    "DBA": (lambda setup, user: {"op": "dms_dba", "instance_id": instance_of(setup), "user_id": user}, "as DBA"),
    "state": (lambda _, user: {"op": "dms_user_state", "user_id": user, "state": "FROZEN"}, "unknown state"),
}


@pytest.mark.parametrize("name", WAYS)
def test_an_account_that_would_take_more_with_it_is_kept(bench: Bench, name: str) -> None:
    setup = bench(allow_irreversible=True)
    one = person(setup)
    change, why = WAYS[name]
    mutate(setup, change(setup, one["dms_user_id"]))
    before = states(setup)
    review = asked(setup, one)
    review.whole()
    assert why in kept(review)[one["dms_user_id"]]
    assert states(setup) == before and sent(setup) == []


def test_an_account_with_permission_records_is_irreversible(bench: Bench) -> None:
    setup = bench()
    one, before = person(setup, records=2), states(setup)
    review = asked(setup, one)
    review.whole()
    assert "a restore only enables it" in kept(review)[one["dms_user_id"]]
    assert states(setup) == before and sent(setup) == []


def test_the_approver_of_an_irreversible_account_reads_what_else_ends(bench: Bench) -> None:
    setup = bench(allow_irreversible=True)
    one = person(setup, records=2)
    review = asked(setup, one, systems=(NAME, DMS))
    review.through_plan()
    with review.ledger() as ledger:
        run = ledger.runs.find(review.dag_id, review.run_id)
        text = approval_request(ledger, run, ledger.plans.get(run.run_id))[1]
    assert "also ends its permission records, ownership and DBA settings" in text
    review.approve()
    review.revoke()
    review.verify()
    assert {row["verdict"] for row in items_of(review)} <= {"verified_gone", "already_absent"}
    assert states(setup)[one["dms_user_id"]] == "DISABLE"
    assert not [row for row in setup.emulator.get("truth")[DMS] if row["user_id"] == one["dms_user_id"]]


@pytest.mark.parametrize("name", ["owner", "record"])
def test_what_somebody_gets_after_the_plan_keeps_the_account(bench: Bench, name: str) -> None:
    setup = bench()
    one = person(setup)
    review = asked(setup, one)
    review.through_plan()
    review.approve()
    if name == "record":
        records_of(setup, one, 1)
    else:
        mutate(setup, WAYS[name][0](setup, one["dms_user_id"]))
    before = states(setup)
    review.revoke()
    review.verify()
    (row,) = items_of(review)
    assert row["state"] == "stale" and sent(setup) == [] and states(setup) == before


def administrators(setup: ReviewBench, *people: Row) -> None:
    """Exactly these people are administrators of the tenant; the tool itself is a DBA."""
    wanted = {one["dms_user_id"] for one in people}
    rows = setup.emulator.get("truth?extra=1")["dms_users"]
    others = [row for row in rows if "ADMIN" in row["roles"] and row["user_id"] not in wanted]
    mutate(
        setup,
        *({"op": "dms_roles", "user_id": row["user_id"], "roles": ["USER", "DBA"]} for row in others),
        *({"op": "dms_roles", "user_id": user, "roles": ["USER", "ADMIN"]} for user in sorted(wanted)),
    )


def test_the_last_administrator_stays(bench: Bench) -> None:
    setup = bench(allow_irreversible=True)
    one = person(setup)
    administrators(setup, one)
    before = states(setup)
    review = asked(setup, one)
    review.whole()
    assert ADMINISTRATOR in kept(review)[one["dms_user_id"]]
    assert states(setup) == before and sent(setup) == []


def test_who_became_the_last_administrator_after_the_plan_stays(bench: Bench) -> None:
    setup = bench()
    one = person(setup)
    review = asked(setup, one)
    review.through_plan()
    review.approve()
    administrators(setup, one)
    review.revoke()
    review.verify()
    (row,) = items_of(review)
    assert row["state"] == "stale" and sent(setup) == []


def test_a_changed_role_is_not_a_disabled_account(bench: Bench) -> None:
    """The entitlement has another name then, so the planned one is absent; the account is still there."""
    setup = bench()
    one = person(setup)
    script(setup, {"kind": "error", "action": "DisableUser", "code": "InvalidParameter.Odd", "status": 400})
    review = asked(setup, one)
    review.through_plan()
    review.approve()
    review.revoke()
    mutate(setup, {"op": "dms_roles", "user_id": one["dms_user_id"], "roles": ["USER", "ADMIN"]})
    review.verify()
    (row,) = items_of(review)
    assert row["verdict"] == "still_effective" and ADMINISTRATOR in row["remains"]


def test_the_own_account_stays(bench: Bench) -> None:
    setup = bench(allow_irreversible=True)
    review = asked(setup, person(setup))
    review.through_plan()
    with review.ledger() as ledger:
        own = set(ledger.scopes.own_ids(NAME))
    assert own
    me = setup.run("manual__2", kind="targets", principals=sorted(own), systems=[NAME], reason="a test", dry_run=False)
    me.whole()
    assert sent(setup) == [] and own <= set(kept(me))


def test_a_proxy_account_leaves_the_access_unproven(bench: Bench) -> None:
    setup = bench()
    one = person(setup)
    proxy = setup.emulator.get("truth?extra=1")["dms_proxies"][0]["proxy_id"]
    mutate(setup, {"op": "proxy_access", "proxy_id": proxy, "user_id": one["dms_user_id"], "account": "reader"})
    review = asked(setup, one)
    review.whole()
    (row,) = items_of(review)
    assert row["verdict"] == "record_gone" and "proxy account" in row["remains"]


@pytest.mark.sockets
@pytest.mark.parametrize(
    "fault",
    [
        {"action": "GetUser", "kind": "null", "path": "User"},
        {"action": "ListUsers", "kind": "drop", "path": "UserList"},
        {"action": "ListUsers", "kind": "truncate", "mode": "closed", "keep": 0.5},
        {"action": "ListUsers", "kind": "error", "code": "Internal.Error", "status": 400},
    ],
    ids=lambda fault: fault["kind"],
)
def test_a_listing_that_fails_is_never_disabled(bench: Bench, fault: Row) -> None:
    setup = bench()
    one = person(setup)
    review = asked(setup, one)
    review.through_plan()
    review.approve()
    review.revoke()
    script(setup, fault)
    review.verify()
    assert {row["verdict"] for row in items_of(review)} == {"unverified"}


@pytest.mark.parametrize("action", ["ListUserOwnedResources", "ListUserPermissions"])
def test_a_discovery_that_fails_plans_nothing(bench: Bench, action: str) -> None:
    setup = bench()
    review = asked(setup, person(setup))
    review.preflight()
    script(setup, {"kind": "error", "action": action, "code": "Internal.Error", "status": 400})
    with pytest.raises(Exception, match=action):
        review.discover()
    with pytest.raises(Exception, match="complete"):
        review.plan()
    assert sent(setup) == []


@pytest.mark.parametrize("action", ["ListUsers", "ListUserOwnedResources"])
def test_nothing_is_sent_when_the_last_look_fails(bench: Bench, action: str) -> None:
    setup = bench()
    one, before = person(setup), states(setup)
    review = asked(setup, one)
    review.through_plan()
    review.approve()
    script(setup, {"kind": "error", "action": action, "code": "Internal.Error", "status": 400})
    review.revoke()
    assert sent(setup) == [] and states(setup) == before
    with review.ledger() as ledger:
        (item,) = ledger.plans.items(ledger.runs.find(review.dag_id, review.run_id).run_id)
    assert item.state == "stale" and "Internal.Error" in item.reason


class _Other(DmsAccounts):
    """Its requests name another account than the planned one."""

    def request(self, call: PlannedCall, grants: Any) -> DisableUser:
        right: DisableUser = super().request(call, grants)
        return right.model_copy(update={"Uid": f"{right.Uid}1"})


def test_a_request_for_another_account_is_not_sent(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = bench()
    monkeypatch.setitem(REGISTRY, NAME, _Other())
    review = asked(setup, person(setup))
    review.through_plan()
    review.approve()
    with pytest.raises(Exception, match="BlastRadiusExceededError"):
        review.revoke()
    assert sent(setup) == []


def test_it_is_reviewed_only_where_the_settings_name_a_connection() -> None:
    assert NAME not in default_connections()


@pytest.mark.parametrize(("both", "verdict"), [(True, "verified_gone"), (False, "still_effective")])
def test_an_administrator_whose_account_ends_reaches_nothing_by_the_role(
    bench: Bench, both: bool, verdict: str
) -> None:
    setup = bench(allow_irreversible=True)
    one = person(setup, records=2)
    mutate(
        setup,
        {"op": "dms_roles", "user_id": one["dms_user_id"], "roles": ["USER", "ADMIN"]},
        *(
            {"op": "dms_control_mode", "instance_id": row["instance_id"], "mode": "COMMON"}
            for row in setup.emulator.get("truth?extra=1")["dms_instances"]
            if row["mode"] != "COMMON"
        ),
    )
    review = asked(setup, one, systems=(NAME, DMS) if both else (DMS,))
    review.whole()
    rows = [row for row in items_of(review) if row["system"] == DMS]
    # The account may go first; then there is no record left to revoke.
    assert len(rows) == 2 and {row["verdict"] for row in rows} <= {verdict, "already_absent" if both else verdict}, rows
    assert {row["verdict"] for row in items_of(review) if row["system"] == NAME} <= {"verified_gone"}


def test_a_disabled_state_that_is_not_read_again_ends_no_role(bench: Bench) -> None:
    setup = bench(allow_irreversible=True)
    one = person(setup, records=1)
    mutate(setup, {"op": "dms_roles", "user_id": one["dms_user_id"], "roles": ["USER", "ADMIN"]})
    review = asked(setup, one, systems=(DMS,))
    review.through_plan()
    review.approve()
    review.revoke()
    mutate(setup, {"op": "dms_user_state", "user_id": one["dms_user_id"], "state": "DISABLE"})
    script(setup, {"kind": "error", "action": "GetUser", "code": "Internal.Error", "status": 400})
    setup.judged = False
    review.verify()
    (row,) = items_of(review)
    assert row["verdict"] == "still_effective" and "role ADMIN" in row["remains"]


def test_a_run_that_lists_named_people_plans_the_same_and_still_counts_every_administrator(bench: Bench) -> None:
    setup = bench()
    one, other = (
        person(setup),
        next(one for one in setup.emulator.get("org")["people"] if one["status"] == "left" and one["dms_user_id"]),
    )
    setup.list_people_from_now()
    found = {}
    for hours in (0, 1):
        setup.configure(targeted_discovery_hours=hours)
        review = asked(setup, one, name=f"manual__{hours}")
        review.through_plan()
        with review.ledger() as ledger:
            run = ledger.runs.find("access_review", review.run_id)
            (scope,) = ledger.scopes.all(run.run_id)
            grants = {grant.key: grant for grant in ledger.snapshot.grants(run.run_id)}
            items = [item.grant_id for item in ledger.plans.items(run.run_id) if item.call_id]
        found[hours] = (grants, items, scope.query["calls"]["ListUserPermissions"])
    (everybody, planned, before), (named, again, now) = found[0], found[1]
    assert everybody.keys() == named.keys() and planned == again and len(planned) == 1
    assert (now, before > now) == (7, True)
    theirs = {key: grant.revocable for key, grant in named.items() if key.principal_id == other["dms_user_id"]}
    assert set(theirs.values()) == {False}, "the account of anybody else cannot be planned"
