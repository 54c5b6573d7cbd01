"""Use and its logs: what the audit lists and the recent views show of it, and what they do not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from emulator.app import App, Settings
from emulator.build.sizes import PRESETS
from emulator.clock import ManualClock
from emulator.store.usage import SECRET_MARK
from tests.support.emulator_client import Clients, mutate

DAY = 86_400
ALL = {"StartTime": "2020-01-01 00:00:00", "EndTime": "2030-01-01 00:00:00"}
LISTS = {
    "ListSQLExecAuditLog": ("SQLExecAuditLogList", "SQLExecAuditLog"),
    "ListInstanceLoginAuditLog": ("InstanceLoginAuditLogList", "InstanceLoginAuditLog"),
    "GetOpLog": ("OpLogDetails", "OpLogDetail"),
}


@pytest.fixture
def app() -> App:
    """The demo organization on 1 January 2026."""
    return App(Settings(sizes=PRESETS["demo"], limits={"dms": 0, "quickbi": 0}), ManualClock())


def rows(clients: Clients, action: str, **params: Any) -> list[dict[str, Any]]:
    """All rows of a log, page by page, checked against the total."""
    outer, inner = LISTS[action]
    found: list[dict[str, Any]] = []
    for number in range(1, 100):
        answer = clients.dms(action, **{**ALL, "PageSize": 100, "PageNumber": number, **params})
        page = answer[outer][inner]
        found += page
        if not page:
            assert answer["TotalCount"] == len(found)
            return found
    raise AssertionError("no end")


def seconds(text: str) -> int:
    return int(datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp())


def kept(app: App, event: dict[str, Any], instance_id: str) -> bool:
    """The rule of retention, written again."""
    mode = app.world.dms.instances[int(instance_id)].mode
    days = 1 if mode == "NONE_CONTROL" else 3 * 365
    return bool(event["at"] >= app.world.clock.now() - days * DAY)


def test_same_seed_same_usage_with_everything_that_can_mislead(app: App, clients: Clients) -> None:
    """Failed statements, silent people, a nickname twice, secrets, use that no log has."""
    usage = clients.control("GET", "usage")
    assert usage == App(Settings(sizes=PRESETS["demo"]), ManualClock()).world.usage.rows()
    assert usage != App(Settings(sizes=PRESETS["demo"], seed=2), ManualClock()).world.usage.rows()
    assert not any(
        App(Settings(sizes=PRESETS["demo"].with_overrides(["usage=0"])), ManualClock()).world.usage.rows().values()
    )
    statements = usage["dms_statements"]
    assert {row["state"] for row in statements} == {"SUCCESS", "FAIL", "CANCEL", "NOEXE", "RUNNING"}
    assert any(SECRET_MARK in row["sql"] for row in statements)
    assert any(SECRET_MARK in row["content"] for row in usage["dms_operations"])
    assert {row["through"] for row in statements} == {"dms", "native"}
    traces = {row["user_id"] for name in usage if name.startswith("dms") for row in usage[name]}
    assert {record.user_id for record in app.world.dms.records.values()} - traces
    nicks = [user.nick for user in app.world.dms.users.values()]
    assert len(set(nicks)) == len(nicks) - 1
    states: dict[tuple[str, str], set[str]] = {}
    for row in statements:
        states.setdefault((row["user_id"], row["db_id"]), set()).add(row["state"])
    assert {"FAIL"} in states.values()


def test_the_logs_show_the_truth_as_far_as_they_go(app: App, clients: Clients) -> None:
    """Each row of a log is an event of the truth, and only retention and native accounts leave some out."""
    usage, databases = clients.control("GET", "usage"), app.world.dms.databases
    shown = {(seconds(r["OpTime"]), str(r["UserId"]), str(r["InstanceId"]), str(r["DbId"] or ""), r["ExecState"])
             for r in rows(clients, "ListSQLExecAuditLog")}  # fmt: skip
    real = [row for row in usage["dms_statements"] if row["through"] == "dms"]
    expected = {(r["at"], r["user_id"], r["instance_id"], r["db_id"], r["state"]) for r in real
                if kept(app, r, r["instance_id"])}  # fmt: skip
    assert shown == expected and len(expected) < len(real)
    logins = {(seconds(r["OpTime"]), str(r["UserId"]), str(r["InstanceId"]))
              for r in rows(clients, "ListInstanceLoginAuditLog")}  # fmt: skip
    assert logins == {(r["at"], r["user_id"], r["instance_id"]) for r in usage["dms_logins"]
                      if kept(app, r, r["instance_id"])}  # fmt: skip
    uids = {user.uid: user.user_id for user in app.world.dms.users.values()}
    operations = {(seconds(r["OpTime"]), uids[r["UserId"]], r["Module"], r["OrderId"])
                  for r in rows(clients, "GetOpLog")}  # fmt: skip
    assert operations == {
        (r["at"], r["user_id"], r["module"], r["order_id"]) for r in usage["dms_operations"]
        if not r["db_id"] or kept(app, r, str(databases[int(r["db_id"])].instance_id))
    }  # fmt: skip
    # One day where nothing is controlled: what happens now is there, and gone the day after.
    instance = next(one for one in app.world.dms.instances.values() if one.mode == "NONE_CONTROL")
    database = next(one for one in databases.values() if one.instance_id == instance.instance_id)
    user = next(iter(app.world.dms.users))
    asked = {"SearchName": database.schema, "OpUserName": app.world.dms.users[user].nick}
    before = rows(clients, "ListSQLExecAuditLog", **asked)
    assert mutate(clients, op="dms_statement", user_id=user, db_id=str(database.db_id))
    assert len(rows(clients, "ListSQLExecAuditLog", **asked)) == len(before) + 1
    clients.control("POST", "clock", {"advance": DAY + 1})
    assert rows(clients, "ListSQLExecAuditLog", **asked) == []


def test_filters_and_modes_of_the_logs(app: App, clients: Clients) -> None:
    every = rows(clients, "ListSQLExecAuditLog")
    assert [r["OpTime"] for r in every] == sorted((r["OpTime"] for r in every), reverse=True)
    failed = rows(clients, "ListSQLExecAuditLog", ExecState="FAIL")
    assert (
        failed == [r for r in every if r["ExecState"] == "FAIL"] == rows(clients, "ListSQLExecAuditLog", ExecState="-1")
    )
    assert rows(clients, "ListSQLExecAuditLog", SqlType="UPDATE") == [r for r in every if r["SQLType"] == "UPDATE"]
    one = every[0]
    at = {"StartTime": one["OpTime"], "EndTime": one["OpTime"]}
    assert one in rows(clients, "ListSQLExecAuditLog", **at)
    day = {"StartTime": one["OpTime"][:10], "EndTime": one["OpTime"][:16]}
    assert rows(clients, "ListSQLExecAuditLog", **day)[-1]["OpTime"] >= day["StartTime"]
    app.world.modes.set("dms_log_end", "excluded")
    assert rows(clients, "ListSQLExecAuditLog", **at) == []
    app.world.modes.set("dms_log_end", "included")
    for mode, value in (("dms_log_zone", "china"), ("dms_log_order", "oldest"), ("dms_exec_state", "numbers")):
        app.world.modes.set(mode, value)
    moved = rows(clients, "ListSQLExecAuditLog")[-1]
    assert seconds(moved["OpTime"]) - seconds(one["OpTime"]) == 8 * 3600
    assert {r["ExecState"] for r in rows(clients, "ListSQLExecAuditLog")} == {"1", "0", "-1", "2", "-2"}
    exports = rows(clients, "GetOpLog", Module="DATA_EXPORT")
    assert exports and {r["Module"] for r in exports} == {"DATA_EXPORT"}
    assert all("@rm-demo" in r["Database"] for r in exports)
    app.world.modes.set("dms_op_log_module", "label")
    app.world.modes.set("dms_op_log_user", "user_id")
    labeled = rows(clients, "GetOpLog", Module="DATA_EXPORT")
    assert {r["Module"] for r in labeled} == {"数据导出"}
    assert {r["UserId"] for r in labeled} <= set(app.world.dms.users)


@pytest.mark.parametrize(
    ("action", "params", "code"),
    [
        ("ListSQLExecAuditLog", {"StartTime": ""}, "MissingStartTime"),
        ("ListSQLExecAuditLog", {"EndTime": "2026-01-31T00:00:00Z"}, "InvalidParameterValid"),
        ("ListSQLExecAuditLog", {"PageSize": 101}, "InvalidParameterValid"),
        ("ListInstanceLoginAuditLog", {"EndTime": ""}, "MissingEndTime"),
        ("ListInstanceLoginAuditLog", {"PageNumber": 0}, "InvalidParameterValid"),
        ("GetOpLog", {"PageSize": ""}, "MissingPageSize"),
        ("GetOpLog", {"PageNumber": ""}, "MissingPageNumber"),
        ("GetOpLog", {"PageSize": 20}, "InvalidParameterValid"),
        ("GetOpLog", {"StartTime": "2026-01-31"}, "InvalidParameterValid"),
        ("GetOpLog", {"Module": "EXPORT"}, "InvalidParameterValid"),
    ],
)
def test_what_the_logs_refuse(clients: Clients, action: str, params: dict[str, Any], code: str) -> None:
    assert clients.dms(action, **{**ALL, "PageSize": 30, "PageNumber": 1, **params})["Code"] == code


def test_a_page_behind_the_end_and_a_reversed_time_are_no_errors(clients: Clients) -> None:
    """The vendor's warning: an empty list beside a total that is not 0."""
    for action, (outer, inner) in LISTS.items():
        answer = clients.dms(action, **ALL, PageSize=100, PageNumber=90)
        assert answer[outer][inner] == [] and answer["TotalCount"] > 0
    reversed_time = {"StartTime": ALL["EndTime"], "EndTime": ALL["StartTime"]}
    assert rows(clients, "ListSQLExecAuditLog", **reversed_time) == []


def test_who_may_read_the_logs(app: App, clients: Clients) -> None:
    tool = next(person for person in app.world.people if person.is_tool)
    me = app.world.dms.users[tool.dms_user_id]
    for roles, refused in ((("DBA",), {"GetOpLog"}), (("SECURITY_ADMIN",), set()), (("USER",), set(LISTS))):
        me.roles = roles
        answers = {action: clients.dms(action, **ALL, PageSize=30, PageNumber=1) for action in LISTS}
        assert {action for action, answer in answers.items() if answer.get("Code") == "NoPermission"} == refused


def test_the_total_moves_while_pages_are_read(app: App, clients: Clients) -> None:
    """A fault lets somebody work on the day that is being read: the rows shift by one, the total grows."""
    database = next(iter(app.world.dms.databases.values()))
    user, at = next(iter(app.world.dms.users)), int(app.world.clock.now()) - 10
    op = {"op": "dms_statement", "user_id": user, "db_id": str(database.db_id), "at": at}
    fault = {"kind": "mutate", "action": "ListSQLExecAuditLog", "calls": [1], "ops": [op], "when": "after"}
    clients.control("POST", "faults", fault)
    pages = [clients.dms("ListSQLExecAuditLog", **ALL, PageSize=50, PageNumber=number) for number in (1, 2)]
    listed = [page["SQLExecAuditLogList"]["SQLExecAuditLog"] for page in pages]
    assert pages[1]["TotalCount"] == pages[0]["TotalCount"] + 1
    assert listed[1][0] == listed[0][-1]
    for op in (
        {"op": "dms_login", "user_id": user, "instance_id": str(database.instance_id), "at": at},
        {"op": "dms_operation", "user_id": user, "module": "DATA_EXPORT", "db_id": str(database.db_id), "at": at},
    ):
        action = "ListInstanceLoginAuditLog" if op["op"] == "dms_login" else "GetOpLog"
        before = rows(clients, action)
        assert mutate(clients, **op)
        assert len(rows(clients, action)) == len(before) + 1


def recent(clients: Clients, user_id: str, **params: Any) -> dict[str, Any]:
    answer: dict[str, Any] = clients.quickbi("ListRecentViewReports", UserId=user_id, **params)["Result"]
    return answer


def test_recent_views_are_the_last_looks_of_one_member(app: App, clients: Clients) -> None:
    """Grouped by work, in days, by type and name; times are milliseconds; silent members have none."""
    usage, now = clients.control("GET", "usage")["quickbi_views"], app.world.clock.now()
    counts: dict[str, int] = {}
    for row in usage:
        counts[row["user_id"]] = counts.get(row["user_id"], 0) + 1
    user = max(counts, key=lambda one: counts[one])
    for days in (10, 300):
        expected: dict[str, list[int]] = {}
        for row in usage:
            if row["user_id"] == user and row["at"] >= now - days * DAY:
                expected.setdefault(row["works_id"], []).append(row["at"])
        answer = recent(clients, user, OffsetDay=days, PageSize=9999, QueryMode="2")
        assert {r["TreeId"]: (r["ViewCount"], int(r["LatestViewTime"])) for r in answer["Data"]} == {
            work: (len(times), max(times) * 1000) for work, times in expected.items()
        }
        latest = [int(r["LatestViewTime"]) for r in answer["Data"]]
        assert latest == sorted(latest, reverse=True) and answer["TotalNum"] == len(latest)
    assert recent(clients, user)["Data"] == recent(clients, user, OffsetDay=10, PageSize=10)["Data"]
    portals = recent(clients, user, OffsetDay=300, TreeType="DATAPRODUCT", Keyword="Portal")["Data"]
    assert portals and {r["Type"] for r in portals} == {"DATAPRODUCT"}
    assert recent(clients, user, OffsetDay=300, TreeType="REPORT")["Data"] == []
    short = recent(clients, user, OffsetDay=300, PageSize=1)
    assert len(short["Data"]) == 1 < short["TotalNum"]
    silent = next(one for one in app.world.quickbi.users if one not in counts)
    assert recent(clients, silent, OffsetDay=300)["Data"] == []
    assert mutate(clients, op="quickbi_view", user_id=silent, works_id=next(iter(app.world.quickbi.works)))
    assert [r["Type"] for r in recent(clients, silent)["Data"]] == ["PAGE"]
    # A work that is gone is in no list, also for those who looked at it.
    app.world.quickbi.works.clear()
    assert recent(clients, silent)["Data"] == []


def test_recent_views_cut_off_in_silence(app: App, clients: Clients) -> None:
    usage, now = app.world.usage.views, app.world.clock.now()
    old = next(view for view in usage if view.at < now - 100 * DAY)
    assert old.works_id in {r["TreeId"] for r in recent(clients, old.user_id, OffsetDay=300, PageSize=999)["Data"]}
    app.world.modes.set("quickbi_recent_days", "90")
    shown = [int(r["LatestViewTime"]) for r in recent(clients, old.user_id, OffsetDay=300, PageSize=999)["Data"]]
    assert all(at / 1000 >= now - 90 * DAY for at in shown)
    mine = [view for view in usage if view.user_id == old.user_id and view.at >= now - 90 * DAY]
    assert len(shown) == len({view.works_id for view in mine})
    app.world.modes.set("quickbi_recent_totals", "withdrawn")
    assert set(recent(clients, old.user_id)) == {"Attention", "Data"}


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"UserId": "nobody"}, "Invalid.User.Organization"),
        ({"UserId": ""}, "MissingUserId"),
        ({"PageSize": 10_000}, "Invalid.Parameter.Error"),
        ({"OffsetDay": 0}, "Invalid.Parameter.Error"),
        ({"QueryMode": "3"}, "Invalid.Parameter.Error"),
    ],
)
def test_what_recent_views_refuse(app: App, clients: Clients, params: dict[str, Any], code: str) -> None:
    user = next(iter(app.world.quickbi.users))
    assert clients.quickbi("ListRecentViewReports", **{"UserId": user, **params})["Code"] == code


def test_menus_lead_to_dashboards_that_exist(app: App) -> None:
    """By the id of the work, or by an address that holds it."""
    uris = [menu.uri for portal in app.world.quickbi.portals.values() for menu in portal.leaves()]
    works = app.world.quickbi.works
    assert any(uri in works for uri in uris)
    assert any(uri.partition("pageId=")[2] in works for uri in uris if "://" in uri)
