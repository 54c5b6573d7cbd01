"""DMS: used on a day, not seen in some days, not known. Whatever was not read to its end is not known."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from rescind.cloud.dms.audit_logs import ListSQLExecAuditLogAnswer
from rescind.model import Grant
from rescind.systems.dms.last_use import (
    ACROSS,
    LOGONS,
    NEW,
    NO_CLASS,
    NO_TABLES,
    OPERATIONS,
    SHORT,
    STATEMENTS,
    UNPLACED,
    USAGE_READS,
)
from rescind.systems.last_use import CAPPED, NOT_READ, OTHERS, REFUSED, UsageRequest, marked, not_known
from rescind.systems.population import Population
from tests.support import dms_tenant
from tests.support.dms_tenant import (
    ANN,
    BOB,
    DMS,
    Answers,
    client,
    databases,
    instances,
    logical,
    record,
    records,
)
from tests.support.sink import Lists

TODAY, DAYS = date(2026, 6, 11), 10
SECRET = "SELECT iban FROM people WHERE name = 'Ada'"
Entry = dict[str, Any]


def statement(day: int, user: str = ANN, kind: str = "SELECT", **fields: Any) -> Entry:
    """A statement of June on database 88, with what no field of ours takes."""
    when = f"2026-06-{day:02} 12:00:00"
    facts = {"OpTime": when, "UserId": int(user), "DbId": 88, "Logic": False, "SQLType": kind, "ExecState": "SUCCESS"}
    return {**facts, "SQL": SECRET, "Remark": SECRET, **fields}


def operation(day: int, module: str, database: str | None, user: str = ANN) -> Entry:
    when = f"2026-06-{day:02} 12:00:00"
    return {"OpTime": when, "UserId": user, "Module": module, "Database": database, "OpContent": SECRET}


def logon(day: int, user: str = ANN, instance: int | None = 17) -> Entry:
    return {
        "OpTime": f"2026-06-{day:02} 12:00:00",
        "UserId": int(user),
        "InstanceId": instance,
        "RequestIp": "10.0.0.1",
    }


class Logs:
    """The three logs, page by page, and what was asked of them."""

    def __init__(self, statements: list[Entry] = [], operations: list[Entry] = [], logons: list[Entry] = []) -> None:  # noqa: B006
        self.asked: list[dict[str, str]] = []
        self._all = {"ListSQLExecAuditLog": statements, "GetOpLog": operations, "ListInstanceLoginAuditLog": logons}

    def answers(self) -> Answers:
        wraps = {
            "ListSQLExecAuditLog": ("SQLExecAuditLogList", "SQLExecAuditLog"),
            "GetOpLog": ("OpLogDetails", "OpLogDetail"),
            "ListInstanceLoginAuditLog": ("InstanceLoginAuditLogList", "InstanceLoginAuditLog"),
        }
        return {action: self._answer(action, *wrap) for action, wrap in wraps.items()}

    def _answer(self, action: str, outer: str, inner: str) -> Callable[[dict[str, str]], Answers]:
        def answer(sent: dict[str, str]) -> Answers:
            self.asked.append({"action": action, **sent})
            rows = [
                row
                for row in self._all[action]
                if sent["StartTime"] <= row["OpTime"] <= sent["EndTime"] and sent.get("Module") == row.get("Module")
            ]
            size, number = int(sent["PageSize"]), int(sent["PageNumber"])
            return {outer: {inner: rows[(number - 1) * size : number * size]}, "TotalCount": len(rows)}

        return answer


def right(user: str, privilege: str, kind: str = "DATABASE", created: str = "2025-01-01 00:00:00") -> Answers:
    row = record(user, kind)
    row["PermDetails"]["PermDetail"][0] |= {
        "PermType": privilege,
        "CreateDate": created,
        "UserAccessId": f"{user}{privilege}".replace(privilege, str(sum(map(ord, privilege)))),
    }
    return row


RIGHTS = records(*(right(user, privilege) for user in (ANN, BOB) for privilege in ("QUERY", "EXPORT", "CORRECT")))


def permissions(given: Answers) -> Callable[[dict[str, str]], Answers]:
    return lambda sent: given if sent["PermType"] == "DATABASE" and sent["Logic"] == "false" else records()


class Found:
    """A discovery that asked about the use of grants."""

    def __init__(self, answers: Answers, rights: Answers = RIGHTS, *, max_calls: int = 1000, days: int = DAYS) -> None:
        self.sink = Lists()
        self.usage = UsageRequest(days, max_calls, today=TODAY)
        found = Population(self.sink)
        found.usage = self.usage
        known = {"ListDatabases": databases(SchemaName="shop"), "ListDatabaseUserPermssions": permissions(rights)}
        asyncio.run(DMS.discover(client({**known, **answers}), found))

    def use(self, privilege: str, user: str = ANN) -> tuple[int | None, str, str]:
        (grant,) = [g for g in self.sink.grants if g.key[5:7] == (user, privilege)]
        return grant.use


def test_a_use_is_the_newest_day_of_its_user_and_class() -> None:
    logs = Logs([statement(3), statement(9), statement(5, kind="UPDATE"), statement(7, BOB)])
    found = Found(logs.answers())
    assert found.use("QUERY") == (1, "2026-06-09", f"query, {STATEMENTS}")
    assert found.use("CORRECT") == (5, "2026-06-05", f"statement, {STATEMENTS}")
    assert found.use("EXPORT") == (DAYS, "", OPERATIONS), "a query exports nothing"
    assert found.use("QUERY", BOB) == (3, "2026-06-07", f"query, {STATEMENTS}")
    assert found.use("CORRECT", BOB) == (DAYS, "", f"{STATEMENTS} and {OPERATIONS}")


def test_every_closed_day_is_asked_once_oldest_first_and_today_is_not() -> None:
    logs = Logs()
    found = Found(logs.answers())
    days = [one["StartTime"][:10] for one in logs.asked if one["action"] == "ListSQLExecAuditLog"]
    assert len(days) == DAYS and days == sorted(set(days)) and (days[0], days[-1]) == ("2026-06-01", "2026-06-10")
    ends = [one["EndTime"] for one in logs.asked if one["action"] == "ListSQLExecAuditLog"]
    assert ends == [f"{day} 00:00:00" for day in (*days[1:], "2026-06-11")], "no second is between two days"
    assert len(logs.asked) == found.usage.calls == DAYS * 6, "one log of statements, four modules, one log of logons"
    assert {log["complete"] for log in found.usage.notes.values()} == {True}
    assert found.usage.notes[STATEMENTS] == {
        "complete": True, "from": "2026-06-01", "to": "2026-06-10", "entries": 0}  # fmt: skip


def test_many_entries_of_one_day_come_in_pages() -> None:
    logs = Logs([statement(9, BOB)] * 250 + [statement(9)])
    assert Found(logs.answers()).use("QUERY")[1] == "2026-06-09"
    assert [one["PageNumber"] for one in logs.asked if one["StartTime"].startswith("2026-06-09") and "Module" not in one
            and one["action"] == "ListSQLExecAuditLog"] == ["1", "2", "3"]  # fmt: skip


@pytest.mark.parametrize("state", ["FAIL", "NOEXE", "CANCEL"])
def test_what_was_not_carried_out_is_no_use(state: str) -> None:
    assert Found(Logs([statement(9, ExecState=state)]).answers()).use("QUERY") == (DAYS, "", STATEMENTS)


UNCERTAIN: dict[str, Entry] = {
    "still running": {"ExecState": "RUNNING"},
    "an unknown state": {"ExecState": "9"},
    "no state": {"ExecState": None},
    "no database": {"DbId": None},
    "database 0": {"DbId": 0},
}


@pytest.mark.parametrize("name", UNCERTAIN)
def test_an_entry_that_may_be_a_use_leaves_its_user_not_known(name: str) -> None:
    found = Found(Logs([statement(9, **UNCERTAIN[name])]).answers())
    assert found.use("QUERY") == not_known(UNPLACED)
    assert found.use("QUERY", BOB)[0] == DAYS


def test_an_entry_of_nobody_leaves_everybody_not_known() -> None:
    found = Found(Logs([statement(9, UserId=None), statement(8, BOB)]).answers())
    assert found.use("QUERY") == not_known(UNPLACED)
    assert found.use("QUERY", BOB)[1] == "2026-06-08", "what was seen was seen"


def test_where_a_later_use_is_possible_no_day_without_a_use_counts() -> None:
    """A rule by use must not ask because of a use that may not be the last one."""
    found = Found(Logs([statement(2), statement(9, DbId=None), statement(2, BOB)]).answers())
    assert found.use("QUERY") == (0, "2026-06-02", f"query, {STATEMENTS}")
    assert found.use("QUERY", BOB) == (8, "2026-06-02", f"query, {STATEMENTS}")
    flexible = instances(StandardGroup={"GroupMode": "NONE_CONTROL"})
    assert Found({**Logs([statement(2)]).answers(), "ListInstances": flexible}).use("QUERY")[0] == 0


def two_databases(**other: Any) -> Answers:
    rows = [{"DatabaseId": "88", "InstanceId": "17", "SchemaName": "shop"}, {"DatabaseId": "89", **other}]
    by_instance = {one: [row for row in rows if row.get("InstanceId") == one] for one in ("17", "18")}
    both = [{"InstanceId": one, "StandardGroup": {"GroupMode": "COMMON"}} for one in by_instance]
    return {
        "ListInstances": {"InstanceList": {"Instance": both}, "TotalCount": 2},
        "ListDatabases": lambda sent: {
            "DatabaseList": {"Database": (found := by_instance[sent["InstanceId"]])}, "TotalCount": len(found)},
        "ListDatabaseUserPermssions": lambda sent: permissions(RIGHTS)(sent) if sent["DbId"] == "88" else records(),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("instance", "entry", "use"),
    [
        ("17", {"DbId": 89}, not_known(ACROSS)),
        ("18", {"DbId": 89}, (DAYS, "", STATEMENTS)),
        ("18", {"DbId": 4711}, not_known(ACROSS)),
    ],
)
def test_a_statement_may_reach_the_other_databases_of_its_instance(instance: str, entry: Entry, use: Any) -> None:
    """``SELECT * FROM other.orders`` is logged under the database of the session."""
    found = Found({**two_databases(InstanceId=instance), **Logs([statement(9, **entry)]).answers()})
    assert found.use("QUERY") == use
    assert found.use("QUERY", BOB) == (DAYS, "", STATEMENTS)


def test_a_statement_of_an_unknown_kind_counts_as_both() -> None:
    found = Found(Logs([statement(9, kind="WITCHCRAFT")]).answers())
    assert {found.use(privilege)[1] for privilege in ("QUERY", "CORRECT")} == {"2026-06-09"}


def broken(answer: Callable[[dict[str, str], int], Answers]) -> Answers:
    """Logs of which the one of statements answers with this; it also gets the number of rows on a page."""
    calls = iter(range(10_000))
    return {**Logs().answers(), "ListSQLExecAuditLog": lambda sent: answer(sent, next(calls))}


def log_page(rows: Any, total: Any) -> Answers:
    return {"SQLExecAuditLogList": {"SQLExecAuditLog": rows}, "TotalCount": total}


FULL = [statement(1)] * 100
HOLES: dict[str, Callable[[dict[str, str], int], Answers]] = {
    "the total changed": lambda sent, n: log_page(FULL, 150 + n),
    "the total shrank to what came": lambda sent, n: log_page(FULL, 400 - 100 * int(sent["PageNumber"])),
    "the last page is empty": lambda sent, n: log_page(FULL if sent["PageNumber"] == "1" else [], 150),
    "no total": lambda sent, n: log_page([], None),
    "null in place of entries": lambda sent, n: {"SQLExecAuditLogList": None, "TotalCount": 3},
    "more entries than declared": lambda sent, n: log_page(FULL, 3),
    "a time that nobody can read": lambda sent, n: log_page([statement(1, OpTime="yesterday")], 1),
    "an entry that nobody can read": lambda sent, n: log_page([statement(1, UserId=1.5, SQLType=SECRET)], 1),
    "an error": lambda sent, n: {"Code": "SystemError", "Message": SECRET, "HttpStatus": 400},
}


@pytest.mark.parametrize("name", HOLES)
def test_a_log_that_was_not_read_to_its_end_says_nothing_and_stops_nothing(name: str) -> None:
    found = Found(broken(HOLES[name]))
    for user in (ANN, BOB):
        assert found.use("QUERY", user) == found.use("CORRECT", user) == not_known(NOT_READ)
        assert found.use("EXPORT", user)[0] == DAYS, "the other logs were read"
    note = found.usage.notes[STATEMENTS]
    assert note["complete"] is False and note["why"] and "iban" not in json.dumps(found.usage.notes)


def test_a_key_without_the_right_says_so_and_asks_once() -> None:
    found = Found({**Logs().answers(), "GetOpLog": dms_tenant.REFUSED, "ListSQLExecAuditLog": dms_tenant.REFUSED})
    assert found.use("EXPORT") == found.use("QUERY") == not_known(REFUSED)
    assert found.usage.calls == DAYS + 2
    assert "GetOpLog" in found.usage.notes[OPERATIONS]["why"]


def test_reading_ends_at_the_limit_of_calls() -> None:
    logs = Logs()
    found = Found(logs.answers(), max_calls=8)
    assert len(logs.asked) == found.usage.calls == 8
    assert found.use("QUERY") == found.use("EXPORT") == not_known(CAPPED)


# --- how long the vendor keeps the logs, and since when a grant exists -----------------------------------------------

MODES: dict[str, tuple[Answers, bool]] = {
    "security collaboration": ({}, True),
    "stable change": ({"StandardGroup": {"GroupMode": "STABLE"}}, True),
    "flexible": ({"StandardGroup": {"GroupMode": "NONE_CONTROL"}}, False),
    "flexible with sensitive data protection": (
        {"StandardGroup": {"GroupMode": "NONE_CONTROL"}, "SellSitd": True}, True),
    "a flag that nobody can read": ({"StandardGroup": {"GroupMode": "NONE_CONTROL"}, "SellSitd": "1"}, False),
    "not named": ({"StandardGroup": None}, False),
}  # fmt: skip


@pytest.mark.parametrize("name", MODES)
def test_not_seen_is_said_only_where_the_vendor_keeps_the_log(name: str) -> None:
    fields, kept = MODES[name]
    found = Found({**Logs([statement(9, BOB)]).answers(), "ListInstances": instances(**fields)})
    assert found.use("QUERY") == ((DAYS, "", STATEMENTS) if kept else not_known(SHORT))
    assert found.use("QUERY", BOB)[1] == "2026-06-09", "a use was seen, however long the log is kept"


@pytest.mark.parametrize(
    ("created", "use"),
    [
        ("2026-06-05 23:00:00", (5, "", STATEMENTS)),
        ("2026-06-10 00:00:00", not_known(NEW)),
        ("", not_known(NEW)),
        ("soon", not_known(NEW)),
    ],
)
def test_a_grant_is_not_seen_for_longer_than_it_exists(created: str, use: tuple[int | None, str, str]) -> None:
    assert Found(Logs().answers(), records(right(ANN, "QUERY", created=created))).use("QUERY") == use


# --- operations by the name of a database, logons, and what no log shows ---------------------------------------------


@pytest.mark.parametrize("module", ["SQL_CONSOLE_EXPORT", "DATA_EXPORT", "DSQL_CONSOLE_EXPORT"])
def test_an_export_is_found_by_the_name_of_its_database(module: str) -> None:
    found = Found(Logs(operations=[operation(9, module, "shop")]).answers())
    assert found.use("EXPORT") == (1, "2026-06-09", f"export, {OPERATIONS}")
    assert found.use("QUERY") == (DAYS, "", STATEMENTS)


@pytest.mark.parametrize(
    ("ids", "use"),
    [
        ({"UserId": dms_tenant.UID[ANN]}, (1, "2026-06-09", f"export, {OPERATIONS}")),
        ({"UserId": dms_tenant.UID[ANN], "OpUserId": int(ANN)}, (1, "2026-06-09", f"export, {OPERATIONS}")),
        ({"UserId": dms_tenant.UID[ANN], "OpUserId": int(BOB)}, not_known(UNPLACED)),
        ({"UserId": "1968000000000099"}, not_known(UNPLACED)),
    ],
)
def test_the_user_of_an_operation_may_be_named_by_the_cloud_account(ids: Entry, use: Any) -> None:
    """The vendor's sample has a cloud account's id there: compared with DMS ids, nobody would be seen exporting."""
    found = Found(Logs(operations=[{**operation(9, "DATA_EXPORT", "shop"), **ids}]).answers())
    assert found.use("EXPORT") == use


def test_a_data_change_uses_the_right_to_change() -> None:
    logs = Logs([statement(3, kind="DELETE")], [operation(9, "DATA_CHANGE", "shop")])
    assert Found(logs.answers()).use("CORRECT") == (1, "2026-06-09", f"data change, {OPERATIONS}")


@pytest.mark.parametrize("name", ["shop", "elsewhere", "", None])
def test_a_name_that_is_not_one_database_leaves_its_user_not_known(name: str | None) -> None:
    same = [{"DatabaseId": ident, "InstanceId": "17", "SchemaName": "shop"} for ident in ("88", "89")]
    two = {"DatabaseList": {"Database": same}, "TotalCount": 2}
    found = Found({**Logs(operations=[operation(9, "DATA_EXPORT", name)]).answers(), "ListDatabases": two})
    grants = [g.use for g in found.sink.grants if g.key.entitlement == "EXPORT" and g.key.principal_id == ANN]
    assert set(grants) == {not_known(UNPLACED)}


def test_logons_are_of_an_instance() -> None:
    held = [record(user, "INSTANCE", DbId=None, Logic=None) for user in (ANN, BOB)]
    for row in held:
        both = row["PermDetails"]["PermDetail"]
        both[0] |= {"PermType": "LOGIN", "CreateDate": "2025-01-01 00:00:00"}
        both.append({**both[0], "PermType": "PERF", "UserAccessId": f"{both[0]['UserAccessId']}1"})
    found = Found({**Logs(logons=[logon(9)]).answers(), "ListInstanceUserPermissions": records(*held)}, records())
    assert found.use("LOGIN") == (1, "2026-06-09", f"logon, {LOGONS}")
    assert found.use("LOGIN", BOB) == (DAYS, "", LOGONS)
    assert found.use("PERF") == not_known(NO_CLASS)


def test_nothing_is_said_of_tables_whoever_used_the_database() -> None:
    rows = records(record(ANN, "TABLE", TableId="7", TableName="orders"))
    found = Found(Logs([statement(9)]).answers(), rows)
    assert found.use("QUERY") == not_known(NO_TABLES)


def test_a_logical_database_is_kept_where_all_its_parts_are() -> None:
    rows = records(right(ANN, "QUERY", "LOGIC_DATABASE") | {"DbId": "99", "Logic": True})

    def held(sent: dict[str, str]) -> Answers:
        return rows if (sent["PermType"], sent["Logic"]) == ("DATABASE", "true") else records()

    for parts, expected in (([88], (DAYS, "", STATEMENTS)), ([88, 5], not_known(SHORT)), ([], not_known(SHORT))):
        given = {"ListLogicDatabases": logical(DatabaseIds={"DatabaseIds": parts}), "ListDatabaseUserPermssions": held}
        logs = Logs([statement(9, user=BOB)]).answers()
        assert Found({**logs, **given}).use("QUERY") == expected, "of another user"
    given = {"ListLogicDatabases": logical(), "ListDatabaseUserPermssions": held}
    assert Found({**Logs([statement(9)]).answers(), **given}).use("QUERY") == not_known(ACROSS), "of a part of it"
    used = Logs([statement(9, DbId=99, Logic=True)])
    assert Found({**used.answers(), "ListDatabaseUserPermssions": held}).use("QUERY")[1] == "2026-06-09"


def test_a_grant_of_more_than_one_user_is_not_known() -> None:
    sink = Found(Logs().answers()).sink
    grant = sink.grants[0]
    role = [Grant(grant.key._replace(principal_type="role"), grant.cell)]
    assert [one.use for one in marked(role, lambda _: not_known("asked"))] == [not_known(OTHERS)]


# --- what is never kept, and what is not asked -----------------------------------------------------------------------


def test_the_last_day_of_the_window_has_ended_in_every_zone() -> None:
    now = datetime.now(UTC)
    assert UsageRequest(9, 9).today <= (now - timedelta(hours=12)).date(), "the west is twelve hours behind UTC"


def test_no_statement_is_in_a_message_a_grant_or_a_record() -> None:
    fields = repr(ListSQLExecAuditLogAnswer.model_validate(log_page([statement(9)], 1)))
    assert "iban" not in fields and "SQL=" not in fields
    logs = Logs([statement(9, SQLType="SELECT")], [operation(9, "DATA_EXPORT", "shop")], [logon(9)])
    found = Found(logs.answers())
    assert "iban" not in repr(found.sink.grants) + repr(found.sink.records) + repr(found.usage)
    assert "10.0.0.1" not in repr(found.usage)


def test_a_run_that_does_not_ask_makes_no_call() -> None:
    logs, sink = Logs(), Lists()
    asyncio.run(DMS.discover(client(logs.answers()), Population(sink)))
    assert logs.asked == [] and {grant.use for grant in sink.grants} == {(None, "", "")}
    assert not USAGE_READS & DMS.reads and DMS.usage_reads == USAGE_READS
