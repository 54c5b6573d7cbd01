"""The runtime role on a real PostgreSQL: what it may not do to a record, and that a whole run needs nothing more."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from rescind.cli import main
from rescind.cli.ledger import ROLE_VARIABLE
from rescind.errors import ConfigurationError
from rescind.ledger import Ledger, NewInput, NewRegrant, NewRun, RetainedCheck, VerdictRecord, WatchCheck
from rescind.ledger.plans import transitions
from rescind.ledger.runs.owner_questions import NewQuestion, QuestionItem
from rescind.ledger.runs.single_calls import NewSingleCall
from rescind.ledger.store import privileges
from rescind.ledger.store.migrate import migrate
from rescind.model import ItemState, Verdict
from tests.support.ledger.attempts import claim, send
from tests.support.ledger.runs import approve, begin, decide, freeze, frozen_run, grant, list_scope, ready_run
from tests.support.servers.postgres import RUNTIME_ROLE, PostgresServer, as_owner, tampering

pytestmark = pytest.mark.postgres

# Refused for want of a right, or by a trigger.
REFUSED = (psycopg.errors.InsufficientPrivilege, psycopg.errors.IntegrityConstraintViolation)

FORBIDDEN = [
    # what only an owner may do
    "CREATE TABLE rescind.own (n int)",
    "ALTER TABLE rescind.run ADD COLUMN own int",
    "ALTER TABLE rescind.attempt DISABLE TRIGGER ALL",
    "DROP TRIGGER attempt_is_kept ON rescind.attempt",
    "DROP TABLE rescind.verdict",
    "DROP SCHEMA rescind CASCADE",
    "CREATE OR REPLACE FUNCTION rescind.refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'",
    "CREATE TRIGGER own BEFORE INSERT ON rescind.attempt EXECUTE FUNCTION rescind.refuse_change()",
    "SET session_replication_role = replica",
    "SET ROLE postgres",
    "UPDATE rescind.migration SET checksum = 'x'",
    *(f"TRUNCATE {name} CASCADE" for name in privileges.RIGHTS if name != "rescind.verdict_latest"),
    *(
        f"DELETE FROM {name}"
        for name, rights in privileges.RIGHTS.items()
        if "DELETE" not in rights and name != "rescind.verdict_latest"
    ),
    # a run keeps what it began with
    "UPDATE rescind.run SET dry_run = NOT dry_run",
    "UPDATE rescind.run SET requested_by = 'other'",
    "UPDATE rescind.run SET params = '{}'",
    "UPDATE rescind.run SET server = ''",
    "UPDATE rescind.run SET finished_at = now() + interval '1 day'",
    "UPDATE rescind.run SET finished_at = NULL WHERE number = 2",
    "UPDATE rescind.run SET state = 'succeeded' WHERE number = 2",
    "UPDATE rescind.run SET kind = 'single'",
    "UPDATE rescind.run SET begun_by = pg_current_xact_id()",
    "UPDATE rescind.run SET snapshot_digest = 'other'",
    "UPDATE rescind.run_counter SET only_row = true",
    "UPDATE rescind.input SET content = 'x', sha256 = sha256('x')",
    "INSERT INTO rescind.input (run_no, name, source, sha256, content) SELECT 1, 'own', '', sha256('x'), 'x'",
    # snapshot and decisions after the plan
    "UPDATE rescind.grant_row SET principal_id = 'other'",
    "UPDATE rescind.scope SET state = 'incomplete'",
    "UPDATE rescind.scope SET account = 'other'",
    "UPDATE rescind.scope SET counted = 0",
    "UPDATE rescind.scope SET notes = '{}'",
    "INSERT INTO rescind.membership SELECT 1, 1, 's', 'a', 'user', 'u', 'group', 'g'",
    "INSERT INTO rescind.grant_row SELECT (jsonb_populate_record(g, jsonb_build_object('grant_id',"
    " '\\x' || repeat('00', 32)))).* FROM rescind.grant_row g LIMIT 1",
    "INSERT INTO rescind.decision SELECT 1, sha256('x'), 'revoke', 'r', '', '', '{}'",
    "INSERT INTO rescind.decision SELECT n, sha256('x'), 'revoke', 'r', '', '', '{}' FROM generate_series(1, 2) n",
    "UPDATE rescind.decision SET choice = 'revoke' WHERE choice = 'keep'",
    "UPDATE rescind.decision SET rule = 'other'",
    "SELECT rescind.clear_scope(1, 1)",
    "SELECT rescind.clear_decisions(1)",
    # a frozen plan
    "UPDATE rescind.plan_effect SET chunk = 'x'",
    "INSERT INTO rescind.plan_effect SELECT run_no, digest, 99, 'x' FROM rescind.plan",
    "UPDATE rescind.plan SET valid_until = valid_until + interval '1 day'",
    "UPDATE rescind.plan SET caps = '{\"own\": 1}'",
    "UPDATE rescind.plan SET items = items + 1",
    "UPDATE rescind.plan SET digest = sha256('x')",
    "UPDATE rescind.plan SET state = 'superseded'",
    "UPDATE rescind.plan SET state = 'frozen'",
    "UPDATE rescind.plan SET operation = 'restore'",
    "UPDATE rescind.plan SET frozen_by = pg_current_xact_id()",
    "UPDATE rescind.plan SET frozen_at = now() + interval '1 day'",
    "INSERT INTO rescind.plan (run_no, digest, source_no, state, valid_until, code_version)"
    " SELECT 1, sha256('x'), 1, 'approved', now(), ''",
    "INSERT INTO rescind.plan_item (run_no, grant_id, call_id, state) SELECT 1, sha256('x'), call_id, 'approved'"
    " FROM rescind.call LIMIT 1",
    "UPDATE rescind.plan_item SET grant_id = sha256('x')",
    "UPDATE rescind.plan_item SET call_id = sha256('x') WHERE state = 'sent'",
    "INSERT INTO rescind.batch (run_no, batch_id, ordinal, system, account, conn_id, calls)"
    " SELECT run_no, sha256('x'), 99, system, account, conn_id, 1 FROM rescind.batch LIMIT 1",
    "UPDATE rescind.batch SET conn_id = 'other'",
    "UPDATE rescind.batch SET lease_epoch = lease_epoch - 1",
    "UPDATE rescind.call SET rows = rows || '{m9}'",
    "UPDATE rescind.call SET inverse = '{}'",
    "INSERT INTO rescind.call (run_no, call_id, batch_id, system, account, conn_id, ordinal, container, rows, columns)"
    " SELECT run_no, sha256('x'), batch_id, system, 'other', conn_id, 9, container, rows, columns FROM rescind.call"
    " LIMIT 1",
    # answers
    "UPDATE rescind.approval SET answer = 'reject'",
    "UPDATE rescind.approval SET answer = NULL, responded_at = NULL",
    "UPDATE rescind.approval SET responded_by = 'other'",
    "UPDATE rescind.approval SET requested_by = 'other'",
    "UPDATE rescind.approval SET nonce = 'other'",
    "UPDATE rescind.approval SET automatic = true, method = 'other'",
    "UPDATE rescind.approval SET signing_key = 'other'",
    "UPDATE rescind.approval SET signature = ''",
    "UPDATE rescind.approval SET airflow_record = 'other'",
    "UPDATE rescind.approval SET used_at = now()",
    "UPDATE rescind.approval SET used_by_batch = sha256('x')",
    "UPDATE rescind.approval SET valid_until = valid_until + interval '1 day'",
    "INSERT INTO rescind.approval (run_no, digest, nonce, requested_by, valid_until, answer, responded_at)"
    " SELECT run_no, digest, 'x', 'rita', now(), 'approve', now() FROM rescind.plan",
    "INSERT INTO rescind.approval (run_no, digest, nonce, requested_by, valid_until, signature)"
    " SELECT run_no, digest, 'x', 'rita', now(), 'x' FROM rescind.plan",
    "UPDATE rescind.question SET responded_by = 'other'",
    "UPDATE rescind.question_item SET answer = 'revoke'",
    "UPDATE rescind.question_item SET shown = 'other'",
    "INSERT INTO rescind.question (run_no, digest, ordinal, reviewer, no_answer, method, responded_at)"
    " SELECT 1, sha256('x'), 9, 'r', 'keep', 'no_answer', now()",
    # attempts, outcomes, verdicts, evidence chain, kill switch
    "UPDATE rescind.attempt SET outcome = 'refused' WHERE outcome IS NOT NULL",
    "UPDATE rescind.attempt SET request_digest = 'other'",
    "UPDATE rescind.attempt SET intent_at = now()",
    "INSERT INTO rescind.attempt (run_no, call_id, n, batch_id, lease_epoch, owner, plan_digest, request_digest,"
    " action, api_version, outcome, closed_at) SELECT 1, sha256('x'), 1, '', 1, '', '', '', '', '', 'accepted', now()",
    "UPDATE rescind.single_call SET outcome = 'refused', closed_at = now() WHERE outcome IS NOT NULL",
    "UPDATE rescind.single_call SET outcome = NULL, closed_at = NULL WHERE outcome IS NOT NULL",
    "UPDATE rescind.single_call SET parameters = '{}'",
    "UPDATE rescind.single_call SET intent_at = now()",
    "INSERT INTO rescind.single_call (run_no, task_id, map_index, system, account, conn_id, action, api_version,"
    " parameters, request_digest) SELECT 1, task_id, map_index, system, account, conn_id, action, api_version,"
    " parameters, request_digest FROM rescind.single_call",
    "INSERT INTO rescind.single_call (run_no, task_id, map_index, system, account, conn_id, action, api_version,"
    " parameters, request_digest, outcome, closed_at) SELECT run_no, task_id, map_index, system, account, conn_id,"
    " action, api_version, parameters, request_digest, 'accepted', now() FROM rescind.single_call",
    "UPDATE rescind.sighting SET first = false",
    "UPDATE rescind.watch_check SET problem = 'other'",
    "UPDATE rescind.verdict SET verdict = 'verified_gone'",
    "INSERT INTO rescind.verdict (run_no, grant_id, verdict, method, observed_at, recorded_at)"
    " SELECT 1, sha256('x'), 'unverified', '', now(), now()",
    "UPDATE rescind.kept_check SET lost = '[]'",
    "UPDATE rescind.seal SET root = sha256('x')",
    "INSERT INTO rescind.seal (seal_no, run_no, root, link) SELECT 9, 1, sha256('x'), sha256('x')",
    "INSERT INTO rescind.seal (seal_no, run_no, root, link) SELECT 1, 1, sha256('x'), sha256('x')",
    "UPDATE rescind.kill_switch SET stopped = false",
]  # fmt: skip


@pytest.fixture(scope="module")
def full(postgres_server: PostgresServer, ledger_template: str) -> Iterator[str]:
    """A ledger with a run in its middle: one call accepted, one in flight, verdicts, answers, evidence, kill switch."""
    name = postgres_server.create_database(template=ledger_template)
    dsn = postgres_server.runtime_uri(name)
    with Ledger(dsn) as ledger:
        run = ledger.runs.begin(
            NewRun("d", "full", "manual", "rita", dry_run=False), [NewInput("roster", "roster.csv", b"people")]
        )
        grants = [grant(number) for number in range(4)]
        list_scope(ledger, run, grants)
        decide(ledger, run, grants, grants[:2])
        asked = NewQuestion("olga", "keep", (QuestionItem(grants[0].grant_id, "u, view"),))
        ledger.questions.ask(run.run_id, [asked])
        ledger.questions.answer(
            run.run_id, asked.digest, revoke={grants[0].grant_id}, responded_by="olga", responded_at=datetime.now(UTC)
        )
        ledger.questions.apply(run.run_id)
        ledger.scopes.note(run.run_id, grants[0].key.system, grants[0].key.account, "own_ids", ["u9"])
        frozen = freeze(ledger, run, [grants[:1], grants[1:2]])
        approve(ledger, frozen)
        lease = claim(ledger, frozen)
        first = send(ledger, lease, frozen)
        ledger.attempts.finish(first.attempt_id, "accepted")
        send(ledger, lease, frozen, call=1)
        ledger.verdicts.record(
            run.run_id, [VerdictRecord(grants[0].grant_id, Verdict.UNVERIFIED, "m", datetime.now(UTC))]
        )
        ledger.verdicts.record_retained(
            run.run_id, RetainedCheck(grants[0].key.system, grants[0].key.account, 2, (), True, datetime.now(UTC))
        )
        ledger.approvals.note_airflow_record(run.run_id, frozen.plan.digest, "the same answer")
        ledger.evidence_chain.take(run.run_id, "a" * 64, lambda *_: "b" * 64)
        ended = begin(ledger, "ended")
        ledger.runs.finish(ended.run_id, "abandoned", {})
        alone = ledger.runs.begin(NewRun("d", "alone", "single", "rita", dry_run=False))
        called = NewSingleCall("t", -1, "s", "a", "c", "RevokePrivileges", "v", "d")
        ledger.single_calls.finish(ledger.single_calls.begin(alone.run_id, called), "accepted")
        watched = WatchCheck("s", "a", 1, 0, 1, 0, 1, "")
        ledger.regrants.record(
            "d", "watch", watched, [NewRegrant(run.run_id, grants[0].grant_id, datetime.now(UTC), grants[0])]
        )
        ledger.kill_switch.stop("olga", "test")
    yield dsn
    postgres_server.drop_database(name)


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_a_runtime_role_cannot(full: str, statement: str) -> None:
    with psycopg.connect(full) as connection:
        connection.execute("SELECT 1")
        with pytest.raises(REFUSED):
            connection.execute(statement.encode())
        connection.rollback()


def test_every_table_of_the_schema_is_in_the_list_of_rights(ledger_dsn: str) -> None:
    with psycopg.connect(ledger_dsn) as connection:
        found = connection.execute(
            "SELECT 'rescind.' || relname FROM pg_class WHERE relnamespace = 'rescind'::regnamespace"
            " AND relkind IN ('r', 'v')"
        ).fetchall()
    assert {name for (name,) in found} == set(privileges.RIGHTS)


OWN_ROWS = (
    "INSERT INTO rescind.plan_effect SELECT run_no, digest, 99, 'x' FROM rescind.plan",
    "INSERT INTO rescind.plan_item (run_no, grant_id, call_id, state) SELECT run_no, sha256('x'), call_id, 'planned'"
    " FROM rescind.call LIMIT 1",
    "INSERT INTO rescind.input (run_no, name, source, sha256, content) SELECT number, 'own', '', sha256('x'), 'x'"
    " FROM rescind.run",
    "UPDATE rescind.plan SET calls = calls + 1",
)


@pytest.mark.parametrize("statement", OWN_ROWS)
def test_a_transaction_that_began_before_a_run_adds_nothing_to_its_plan(
    ledger: Ledger, ledger_dsn: str, statement: str
) -> None:
    """A time alone does not tell: the run and its plan are younger than this transaction."""
    with psycopg.connect(ledger_dsn) as connection:
        connection.execute("SELECT 1")
        frozen_run(ledger)
        with pytest.raises(psycopg.errors.IntegrityConstraintViolation):
            connection.execute(statement.encode())
        connection.rollback()


@pytest.mark.parametrize("statement", OWN_ROWS)
def test_functions_of_another_schema_do_not_replace_those_of_the_triggers(own_ledger_dsn: str, statement: str) -> None:
    """Before PostgreSQL 15 everybody may create functions in schema public."""
    with psycopg.connect(as_owner(own_ledger_dsn), autocommit=True) as connection:
        connection.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
    with Ledger(own_ledger_dsn) as ledger:
        frozen_run(ledger)
    with psycopg.connect(own_ledger_dsn, autocommit=True) as connection:
        for name, kind, value in (
            ("transaction_timestamp", "timestamptz", "SELECT '-infinity'::timestamptz"),
            ("pg_current_xact_id", "xid8", "SELECT frozen_by FROM rescind.plan"),
        ):
            connection.execute(f"CREATE FUNCTION public.{name}() RETURNS {kind} LANGUAGE sql AS $${value}$$".encode())
        connection.execute("CREATE FUNCTION public.same(xid8, xid8) RETURNS bool LANGUAGE sql AS 'SELECT true'")
        connection.execute("CREATE OPERATOR public.= (LEFTARG = xid8, RIGHTARG = xid8, FUNCTION = public.same)")
        connection.execute("SET search_path = public, pg_catalog")
        with pytest.raises(psycopg.errors.IntegrityConstraintViolation):
            connection.execute(statement.encode())


def test_every_step_of_items_and_calls_is_the_same_in_code_and_database(ledger_dsn: str, ledger: Ledger) -> None:
    run = ready_run(ledger)
    grant_id = bytes.fromhex(run.grants[0].grant_id)
    update = "UPDATE rescind.plan_item SET state = %s WHERE grant_id = %s"
    with tampering(ledger_dsn) as free, psycopg.connect(ledger_dsn, autocommit=True) as bound:
        for origin in ItemState:
            for target in ItemState:
                free.execute(update, (origin, grant_id))
                try:
                    moved = bound.execute(update, (target, grant_id)).rowcount == 1
                except psycopg.errors.IntegrityConstraintViolation:
                    moved = False
                assert moved == (target is origin or target in transitions.ARROWS[origin]), (origin, target)


def test_a_plan_with_attempts_cannot_be_discarded_and_one_without_can(ledger: Ledger, ledger_dsn: str) -> None:
    run = ready_run(ledger)
    attempt = send(ledger, claim(ledger, run), run)
    number = run.run.number
    with psycopg.connect(ledger_dsn, autocommit=True) as connection:
        assert connection.execute("SELECT rescind.discard_plan(%s)", (number,)).fetchone() == (1,)
        assert connection.execute("SELECT count(*) FROM rescind.plan_item").fetchone() != (0,)
        ledger.attempts.finish(attempt.attempt_id, "unknown")
        assert connection.execute("SELECT state FROM rescind.plan").fetchall() == [("executing",)]
    other = begin(ledger, "other")
    with psycopg.connect(ledger_dsn, autocommit=True) as connection:
        assert connection.execute("SELECT rescind.discard_plan(%s)", (other.number,)).fetchone() == (0,)


def test_a_run_of_the_runtime_role_says_so_and_the_owner_is_warned(
    ledger: Ledger, ledger_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ledger.role() == privileges.SEPARATE
    assert ledger.warnings() == []
    with Ledger(as_owner(ledger_dsn)) as owner:
        assert owner.role() == "runtime role owns the schema"
    assert main(["ledger", "--dsn", as_owner(ledger_dsn), "check"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("ok\nwarning: ledger ")
    assert "migrate --runtime-role NAME" in said
    assert main(["ledger", "--dsn", ledger_dsn, "check"]) == 0
    assert capsys.readouterr().out == "ok\n"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("GRANT TRUNCATE ON rescind.verdict TO {}", "runtime role may TRUNCATE on records"),
        ("GRANT DELETE, TRIGGER ON rescind.attempt TO {}", "runtime role may DELETE, TRIGGER on records"),
        ("GRANT CREATE ON SCHEMA rescind TO {}", "runtime role may CREATE in the schema"),
        ("ALTER TABLE rescind.seal OWNER TO {}", privileges.OWNS),
        ("GRANT pg_write_all_data TO {}", "runtime role may DELETE on records"),
    ],
)  # fmt: skip
def test_more_rights_than_needed_are_named(
    postgres_server: PostgresServer, ledger_template: str, given: str, said: str
) -> None:
    name = postgres_server.create_database(template=ledger_template)
    role = f"role_{name}"
    with psycopg.connect(postgres_server.uri(name), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
        try:
            migrate(postgres_server.uri(name), runtime_role=role)
            dsn = make_conninfo(postgres_server.uri(name), user=role)
            assert Ledger(dsn).role() == privileges.SEPARATE
            connection.execute(sql.SQL(given).format(sql.Identifier(role)))  # type: ignore[arg-type]
            assert Ledger(dsn).role() == said
            assert said in Ledger(dsn).warnings()[0]
        finally:
            connection.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(sql.Identifier(role)))
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
    postgres_server.drop_database(name)


def test_missing_rights_name_the_command_and_a_later_migration_grants_them_again(own_ledger_dsn: str) -> None:
    with psycopg.connect(as_owner(own_ledger_dsn)) as connection:
        connection.execute(sql.SQL("REVOKE INSERT ON rescind.verdict FROM {}").format(sql.Identifier(RUNTIME_ROLE)))
        connection.execute(sql.SQL("REVOKE UPDATE ON rescind.lane FROM {}").format(sql.Identifier(RUNTIME_ROLE)))
    with pytest.raises(
        ConfigurationError,
        match=r"lacks 2 rights \(INSERT on rescind\.verdict, UPDATE on .*migrate --runtime",
    ):
        Ledger(own_ledger_dsn).check()
    assert migrate(as_owner(own_ledger_dsn)) == []
    Ledger(own_ledger_dsn).check()


def test_the_runtime_role_finds_that_the_schema_is_up_to_date(own_ledger_dsn: str) -> None:
    assert migrate(own_ledger_dsn) == []
    with psycopg.connect(as_owner(own_ledger_dsn)) as connection:
        connection.execute("DELETE FROM rescind.migration WHERE version = (SELECT max(version) FROM rescind.migration)")
    with pytest.raises(Exception, match=r"must be owner|permission denied for schema"):
        migrate(own_ledger_dsn)


def test_a_role_that_would_own_the_schema_is_no_runtime_role(
    own_ledger_dsn: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for role, why in (("postgres", "owns the schema"), ("nobody_here", "does not exist")):
        with pytest.raises(ConfigurationError, match=why):
            migrate(as_owner(own_ledger_dsn), runtime_role=role)
    monkeypatch.setenv(ROLE_VARIABLE, "nobody_here")
    assert main(["ledger", "--dsn", as_owner(own_ledger_dsn), "migrate"]) == 1
    assert "runtime role 'nobody_here' does not exist" in capsys.readouterr().err
