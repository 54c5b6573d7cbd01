"""The approval key in operation: missing, rotated, lost, stolen, and a ledger that came from a backup."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from rescind.evidence.bundle.read import bundle_source, only
from rescind.evidence.bundle.verify import verify
from tests.support.reviews.airflow_record import airflow_record
from tests.support.reviews.approval import APPROVAL_PUBLIC, SIGNER, approval_key_file
from tests.support.reviews.review import Review, ReviewBench
from tests.support.servers.postgres import PostgresServer, as_owner

Bench = Callable[..., ReviewBench]
NEW = Ed25519PrivateKey.from_private_bytes(bytes(range(4, 36)))


def line(key: Ed25519PrivateKey) -> str:
    """The base64 line of the public key."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode().splitlines()[1]


def approved(bench: Bench) -> Review:
    review = bench().run(dry_run=False, systems=["quickbi_menus"])
    review.through_plan()
    review.approve()
    return review


def rest(review: Review) -> dict[str, object]:
    review.revoke()
    review.verify()
    return review.report()


def test_a_run_that_may_send_needs_a_key_and_a_dry_run_does_not(bench: Bench) -> None:
    setup = bench(approval_key_file="")
    with pytest.raises(Exception, match=r"no key to sign it with\. Create one with: openssl genpkey"):
        setup.run(dry_run=False).preflight()
    dry = setup.run("manual__2", dry_run=True)
    dry.preflight()
    assert dry.scopes


def test_after_a_rotation_approved_runs_go_on_and_new_ones_have_the_new_key(bench: Bench, tmp_path: Path) -> None:
    review = approved(bench)
    review.bench.configure(
        approval_key_file=str(approval_key_file(tmp_path, NEW, "new.pem")), approval_public_keys=[line(SIGNER)]
    )
    summary = rest(review)
    assert (summary["approved_by"], summary["problems"]) == ("omar", [])
    source = bundle_source(str(summary["bundle"]))
    assert verify(source, approval_keys=[APPROVAL_PUBLIC]).problems == []
    second = review.bench.run("manual__2", dry_run=False, systems=["dms_permissions"])
    second.through_plan()
    second.approve()
    approval = only(bundle_source(str(rest(second)["bundle"])), "approvals")
    assert approval is not None and approval["public_key"] == NEW.public_key().public_bytes_raw().hex()


def test_a_key_that_was_taken_out_approves_nothing(bench: Bench, tmp_path: Path) -> None:
    review = approved(bench)
    review.bench.configure(approval_key_file=str(approval_key_file(tmp_path, NEW, "new.pem")))
    with pytest.raises(Exception, match=r"is signed with the key .*, which is not accepted here"):
        review.revoke()
    assert review.bench.emulator.writes() == []


def test_a_lost_key_stops_approvals_and_leaves_approved_runs_and_old_bundles(bench: Bench) -> None:
    review = approved(bench)
    review.bench.configure(approval_key_file="", approval_public_keys=[line(SIGNER)])
    summary = rest(review)
    assert summary["problems"] == []
    assert verify(bundle_source(str(summary["bundle"])), approval_keys=[APPROVAL_PUBLIC]).problems == []
    second = review.bench.run("manual__2", dry_run=False, systems=["dms_permissions"])
    second.through_plan()
    with pytest.raises(Exception, match="there is no key to sign approvals with"):
        second.approval().execute(second.context("approve"))
    with pytest.raises(Exception, match="there is no key to sign approvals with"):
        second.approve()


def test_after_a_backup_of_the_ledger_a_new_key_makes_its_approvals_void(
    bench: Bench,
    postgres_server: PostgresServer,
    ledger_dsn: str,
    tmp_path: Path,
) -> None:
    review = approved(bench)
    name = str(conninfo_to_dict(ledger_dsn)["dbname"])
    with psycopg.connect(as_owner(ledger_dsn), dbname="postgres", autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
            (name,),
        )
    backup = postgres_server.create_database(template=name)
    try:
        review.revoke()
        sent = len(review.bench.emulator.writes())
        assert sent
        review.bench.ledger_dsn = make_conninfo(ledger_dsn, dbname=backup)
        review.bench.configure(approval_key_file=str(approval_key_file(tmp_path, NEW, "new.pem")))
        with pytest.raises(Exception, match="which is not accepted here"):
            review.revoke()
        assert len(review.bench.emulator.writes()) == sent
    finally:
        postgres_server.drop_database(backup)


def test_the_approval_is_compared_with_airflows_own_record(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    review = approved(bench)
    with review.ledger() as ledger:
        digest = ledger.plans.get(ledger.runs.find(review.dag_id, review.run_id).run_id).digest
    with airflow_record() as record:
        record.answered(f"Approve {digest}", "ada")
        monkeypatch.setenv("AIRFLOW_CONN_RESCIND_AIRFLOW", record.connection())
        with pytest.raises(Exception, match="says that 'omar' approved, but Airflow's record"):
            review.revoke()
        assert review.bench.emulator.writes() == []
        record.answered(f"Approve {digest}", "omar")
        review.revoke()
    monkeypatch.delenv("AIRFLOW_CONN_RESCIND_AIRFLOW")
    assert review.bench.emulator.writes()
    review.verify()
    summary = review.report()
    assert summary["airflow_record"] == "Airflow's own record has the same answer"
    assert "Airflow&#39;s own record has the same answer" in Path(summary["report"]).read_text(encoding="utf-8")


def test_a_record_that_cannot_be_read_is_shown_in_the_report(bench: Bench) -> None:
    summary = rest(approved(bench))
    said = "not compared with Airflow's own record: there is no connection 'rescind_airflow'"
    assert (summary["airflow_record"], summary["problems"]) == (said, [])
    assert said.replace("'", "&#39;") in Path(str(summary["report"])).read_text(encoding="utf-8")
