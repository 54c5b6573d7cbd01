"""What an approver selected: added by a role that may do nothing else, checked by the database, and never changed."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from rescind.errors import ConfigurationError
from rescind.ledger import Ledger, Selection, SelectionRefusedError
from rescind.ledger.store import privileges
from tests.support.ledger.runs import Frozen, frozen_run
from tests.support.reviews.approval import KEYS
from tests.support.servers.postgres import as_owner, tampering

pytestmark = pytest.mark.postgres


def asked(ledger: Ledger, name: str = "manual__1") -> tuple[Frozen, list[str]]:
    """A run whose plan waits for an answer, and the ids of its grants."""
    frozen = frozen_run(ledger, name)
    ledger.approvals.keys = KEYS
    ledger.approvals.request(
        frozen.run.run_id, frozen.plan.digest, requested_by="rita", valid_until=frozen.plan.valid_until
    )
    return frozen, [item.grant_id for item in ledger.plans.items(frozen.run.run_id)]


def owning(dsn: str) -> psycopg.Connection[dict[str, Any]]:
    return psycopg.connect(as_owner(dsn), autocommit=True, row_factory=dict_row)


def save(ledger: Ledger, frozen: Frozen, ids: Any, **more: Any) -> Selection:
    given = {"user_id": "7", "user_name": "anna", "comment": "why", **more}
    return ledger.selections.save(frozen.run.run_id, given.pop("digest", frozen.plan.digest), grant_ids=ids, **given)


def test_order_and_repetition_do_not_count_and_the_newest_of_a_user_does(ledger: Ledger) -> None:
    frozen, ids = asked(ledger)
    run, plan = frozen.run.run_id, frozen.plan.digest
    one, two = save(ledger, frozen, ids[:2]), save(ledger, frozen, [*reversed(ids[:2]), ids[0]])
    assert one.mark == two.mark and one.grant_ids == two.grant_ids == sorted(ids[:2]) and one.by == "anna (7)"
    other = save(ledger, frozen, ids[1:], user_id="8", user_name="8")
    assert (other.user_name, other.by) == ("", "8") and other.mark != one.mark
    assert ledger.selections.newest(run, plan, "7") == two
    assert ledger.selections.newest(run, plan, "9") is None and ledger.selections.newest(run, "0" * 64, "7") is None
    assert ledger.selections.get(run, other.number) == other and ledger.selections.named(run, other.entry) == other
    assert ledger.selections.named(run, one.entry) == one and ledger.selections.named(run, two.entry) == two
    assert ledger.selections.named(run, [*one.entry[:2], other.entry[2]]) is None
    back = save(ledger, frozen, [], comment="")
    assert ledger.selections.newest(run, plan, "7") == back and back.grant_ids == []
    strange, _ = asked(ledger, "manual__2")
    assert ledger.selections.get(strange.run.run_id, one.number) is None
    assert ledger.selections.named(strange.run.run_id, one.entry) is None


def refused(ledger: Ledger, frozen: Frozen, ids: Any, code: str, **more: Any) -> None:
    with pytest.raises(SelectionRefusedError) as caught:
        save(ledger, frozen, ids, **more)
    assert caught.value.code == code


def test_the_database_refuses_what_does_not_fit_the_plan_that_waits(ledger: Ledger, ledger_dsn: str) -> None:
    frozen, ids = asked(ledger)
    foreign, theirs = frozen_run(ledger, "manual__2"), "0" * 64
    refused(ledger, frozen, ids, "RS001", digest="0" * 64)
    refused(ledger, foreign, ids[:1], "RS002")
    refused(ledger, frozen, [*ids, theirs], "RS005")
    refused(ledger, frozen, [f"{n:064x}" for n in range(5_001)], "RS004")
    with tampering(ledger_dsn) as connection:
        connection.execute("UPDATE rescind.plan_item SET state = 'held' WHERE grant_id = %s", (bytes.fromhex(ids[0]),))
    refused(ledger, frozen, ids, "RS005")
    insert = (
        "INSERT INTO rescind.selection (run_no, digest, user_id, user_name, grant_ids, comment)"
        " SELECT run_no, digest, %(user)s, %(name)s, {ids}::bytea[], %(comment)s FROM rescind.approval"
    )
    low, high = sorted(map(bytes.fromhex, ids[1:3]))
    given = {"user": "u", "name": "", "comment": "why", "a": low, "b": high}
    for wrong in ({"user": ""}, {"comment": ""}, {"comment": "x" * 20_001}, {"name": "x" * 501}):
        with pytest.raises(psycopg.errors.CheckViolation), owning(ledger_dsn) as connection:
            connection.execute(insert.format(ids="ARRAY[%(a)s]").encode(), {**given, **wrong})
    for ids_ in ("ARRAY[%(b)s, %(a)s]", "ARRAY[%(a)s, %(a)s]", "ARRAY[[%(a)s], [%(b)s]]", "ARRAY[%(a)s, NULL]"):
        with pytest.raises(psycopg.Error), owning(ledger_dsn) as connection:
            connection.execute(insert.format(ids=ids_).encode(), given)
    for _ in range(10):
        save(ledger, frozen, ids[1:])
    refused(ledger, frozen, ids[1:], "RS007")
    save(ledger, frozen, ids[1:], user_id="8")
    with tampering(ledger_dsn) as connection:
        connection.execute("UPDATE rescind.approval SET valid_until = clock_timestamp()")
    refused(ledger, frozen, ids[1:], "RS003", user_id="9")
    with tampering(ledger_dsn) as connection:
        connection.execute("UPDATE rescind.run SET state = 'abandoned'")
    refused(ledger, frozen, ids[1:], "RS001", user_id="9")


def test_nothing_is_selected_after_an_answer(ledger: Ledger) -> None:
    frozen, ids = asked(ledger)
    approval = ledger.approvals.get(frozen.run.run_id, frozen.plan.digest)
    assert approval is not None
    ledger.approvals.answer(
        frozen.run.run_id, frozen.plan.digest, nonce=approval.nonce, answer="reject", responded_by="anna"
    )
    refused(ledger, frozen, ids, "RS002")
    other, theirs = asked(ledger, "manual__2")
    nonce = ledger.approvals.get(other.run.run_id, other.plan.digest)
    assert nonce is not None
    ledger.narrowings.record(
        other.run.run_id, other.plan.digest, nonce=nonce.nonce, left_out=[("P1", "")], grant_ids=theirs[:1],
        responded_by="7", responded_by_name="", responded_at=other.plan.created_at, comment="why",
    )  # fmt: skip
    refused(ledger, other, theirs, "RS002")


TABLES = [name for name in privileges.RIGHTS if name != "rescind.verdict_latest"]
PAGE_FORBIDDEN = [
    *(f"DELETE FROM {name}" for name in TABLES),
    *(f"TRUNCATE {name} CASCADE" for name in TABLES),
    "UPDATE rescind.selection SET comment = 'x'",
    "UPDATE rescind.approval SET answer = 'approve', responded_at = now()",
    "UPDATE rescind.plan SET valid_until = now()",
    "UPDATE rescind.plan_item SET state = 'approved'",
    "UPDATE rescind.run SET state = 'abandoned'",
    "INSERT INTO rescind.selection (run_no, digest, user_id, user_name, grant_ids, comment, chosen_at)"
    " SELECT run_no, digest, 'u', '', '{}', '', now() FROM rescind.approval",
    "INSERT INTO rescind.kill_switch (stopped, changed_by, reason) VALUES (false, 'x', 'x')",
    "SELECT rescind.discard_plan(1)",
    "SELECT FROM rescind.plan FOR UPDATE",
    "CREATE TABLE rescind.own (n int)",
]


def test_the_role_of_the_page_adds_selections_and_nothing_else(ledger: Ledger, ledger_dsn: str) -> None:
    frozen, ids = asked(ledger)
    role = "rescind_test_page"
    with owning(ledger_dsn) as connection:
        owner = connection.execute("SELECT current_user").fetchone()
        connection.execute(f"DROP ROLE IF EXISTS {role}")
        connection.execute(f"CREATE ROLE {role}")
        try:
            privileges.grant(connection, None, role)
            privileges.grant(connection, None)  # a later migration grants them again
            granted = connection.execute(
                "SELECT t.name, k.kind FROM unnest(%s::text[]) AS t(name), unnest('{INSERT,UPDATE}'::text[]) AS k(kind)"
                " WHERE has_any_column_privilege(%s, t.name, k.kind) ORDER BY 1, 2", (TABLES, role),
            ).fetchall()  # fmt: skip
            assert [(row["name"], row["kind"]) for row in granted] == [
                ("rescind.deployment", "INSERT"), ("rescind.deployment", "UPDATE"), ("rescind.selection", "INSERT"),
            ]  # fmt: skip
            connection.execute(f"SET ROLE {role}")
            for statement in PAGE_FORBIDDEN:
                with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                    connection.execute(statement.encode())
            assert connection.execute("SELECT count(*) AS n FROM rescind.plan_item").fetchone()["n"] == len(ids)
            connection.execute(
                "INSERT INTO rescind.selection (run_no, digest, user_id, user_name, grant_ids, comment)"
                " SELECT run_no, digest, 'u', '', ARRAY[%s::bytea], 'why' FROM rescind.approval",
                (bytes.fromhex(ids[0]),),
            )
            connection.execute("RESET ROLE")
            with pytest.raises(ConfigurationError, match="Use two roles"):
                privileges.grant(connection, role, role)
            with pytest.raises(ConfigurationError, match="owns the schema"):
                privileges.grant(connection, None, owner["current_user"])
        finally:
            connection.execute("RESET ROLE")
            connection.execute(f"DROP OWNED BY {role}")
            connection.execute(f"DROP ROLE {role}")
    newest = ledger.selections.newest(frozen.run.run_id, frozen.plan.digest, "u")
    assert newest is not None and newest.grant_ids == [ids[0]]
    with owning(ledger_dsn) as connection:
        for statement in ("UPDATE rescind.selection SET comment = 'x'", "DELETE FROM rescind.selection"):
            with pytest.raises(psycopg.errors.IntegrityConstraintViolation), connection.transaction():
                connection.execute(statement.encode())
