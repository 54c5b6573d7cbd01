"""What was to stay is compared as well, and verification may read with connections of its own."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.support.reviews.review import Review, ReviewBench
from tests.support.reviews.verdicts import DMS, PRIVILEGES, Row, approved, mutate, records_of, script, somebody

pytestmark = pytest.mark.sockets

Bench = Callable[..., ReviewBench]


def _retained_beside(review: Review) -> Row:
    """A kept grant of somebody else in a place that verification reads, as the ledger has it."""
    from rescind.systems import system_named

    listing_scope = system_named(DMS).listing_scope
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        decided = list(ledger.decisions.each(run.run_id, system=DMS))
        read = {listing_scope(grant) for grant, decision in decided if decision.choice == "revoke"}
        kept = next(g for g, d in decided if d.choice == "keep" and g.revocable and listing_scope(g) in read)
        return {"grant_id": kept.grant_id, "user_access_id": kept.key.native_id}


def test_a_retained_grant_that_is_lost_stops_the_run_and_can_be_restored(bench: Bench) -> None:
    setup = bench()
    person = somebody(setup)
    records_of(setup, person, 4)
    review = approved(setup, person, DMS)
    truth = setup.emulator.get("truth")[DMS]
    kept = _retained_beside(review)
    (lost,) = [row for row in truth if row["user_access_id"] == kept["user_access_id"]]
    # One call is left open, as if its worker had ended; meanwhile somebody takes a kept grant away.
    script(setup, {"kind": "throttle", "action": "RevokeUserPermission", "from": 2})
    with pytest.raises(Exception, match="flow control"):
        review.revoke()
    script(setup)
    mutate(setup, {**lost, "op": "revoke", "system": DMS})
    (report,) = review.verify()
    assert report["kept_lost"] == 1
    sent = len(setup.emulator.writes())
    with pytest.raises(Exception, match=r"RetainedGrantLostError: .*1 retained grants are missing"):
        review.revoke()
    assert len(setup.emulator.writes()) == sent
    with review.ledger() as ledger:
        assert ledger.kill_switch.state() is None, "other runs may go on"
    summary = review.report()
    with pytest.raises(Exception, match="trigger the DAG restore_access"):
        review.gate()
    offer = next(problem for problem in summary["problems"] if "restore_access" in problem)
    conf = json.loads(offer[offer.index("{") : offer.rindex("}") + 1])
    assert conf == {"run": "1", "grants": [kept["grant_id"]], "reason": "retained grants are missing", "dry_run": True}

    back = setup.restore(**{**conf, "dry_run": False})
    assert back.whole()["problems"] == []
    names = ("user_id", "ds_type", "instance_id", "db_id", "table_id", "perm_type", "expire_date")
    now = [{name: row[name] for name in names} for row in setup.emulator.get("truth")[DMS]]
    assert {name: lost[name] for name in names} in now


def test_a_kept_grant_that_is_there_again_lets_the_run_go_on(bench: Bench) -> None:
    # The bench's roster has no wedata_uin, so access through a project cannot be judged for this person.
    setup = bench(record_gone_fails=[])
    table = next(row for row in setup.emulator.get("truth")[PRIVILEGES] if row["resource_type"] == "Table")
    person = somebody(setup)
    mine = {**table, "subject_type": "User", "subject_value": person["wedata_user_id"], "privilege": "MODIFY"}
    mutate(setup, {**mine, "op": "grant", "system": PRIVILEGES})
    review = approved(setup, person, PRIVILEGES)
    mutate(setup, {**table, "op": "revoke", "system": PRIVILEGES})
    assert [report["kept_lost"] for report in review.verify()] == [1]
    with pytest.raises(Exception, match="RetainedGrantLostError"):
        review.revoke()
    assert setup.emulator.writes() == []
    mutate(setup, {**table, "op": "grant", "system": PRIVILEGES})
    assert [report["kept_lost"] for report in review.verify()] == [0]
    review.revoke()
    review.verify()
    assert review.report()["problems"] == []


def test_a_connection_of_its_own_reads_where_one_is_configured(bench: Bench) -> None:
    setup = bench(verifying_connections={DMS: ["dms_granting"]})
    person = somebody(setup)
    records_of(setup, person, 2)
    review = approved(setup, person, DMS)
    review.revoke()
    review.verify()
    assert review.report()["problems"] == []
    requests = [e for e in setup.emulator.get("journal")["entries"] if e["kind"] == "request" and e["product"] == "dms"]
    keys = {name: setup.emulator.key("alibaba", name)["key_id"] for name in ("rescind-bot", "second-application")}
    assert {e["key_id"] for e in requests if e["write"]} == {keys["rescind-bot"]}
    listings = [e["key_id"] for e in requests if e["action"] == "ListDatabaseUserPermssions"]
    assert listings.count(keys["rescind-bot"]) == 1, "preflight asks whether it may"
    assert len(set(listings)) == 2


def test_a_reading_connection_of_another_account_is_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = bench(verifying_connections={DMS: ["dms_foreign"]})
    own = setup.emulator.connections()["dms_default"]
    key = setup.emulator.key("alibaba", "foreign-account")
    foreign = {**own, "login": key["key_id"], "password": key["secret"]}
    monkeypatch.setenv("AIRFLOW_CONN_DMS_FOREIGN", json.dumps(foreign))
    with pytest.raises(Exception, match="dms_foreign' may not call"):
        setup.run(systems=[DMS]).preflight()
