"""The audit logs: SQL statements, log-ons to instances, operations.

A log forgets: three years in the modes COMMON and STABLE, one day where nothing is controlled. It shows what went
through DMS only. Page numbers count in a list that grows while it is read.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from emulator.dms import DMS
from emulator.dms.common import PAGE, caller, cut, failure, optional_list
from emulator.registry import Call
from emulator.store.dms import TIME_FORMAT, Database, Instance
from emulator.store.usage import Login, Operation, Statement, between

_AUDITORS = ("ADMIN", "DBA", "SECURITY_ADMIN")
_KEPT_DAYS = {"COMMON": 3 * 365, "STABLE": 3 * 365, "NONE_CONTROL": 1}
_FUZZY = (TIME_FORMAT, "%Y-%m-%d %H:%M", "%Y-%m-%d")
_STATES = {"SUCCESS": "1", "NOEXE": "0", "FAIL": "-1", "RUNNING": "2", "CANCEL": "-2"}
_LABELS = {
    "PERMISSION": "权限", "SQL_CONSOLE_EXPORT": "查询结果导出", "DATA_EXPORT": "数据导出", "DATA_CHANGE": "数据变更",
    "DSQL_CONSOLE_EXPORT": "跨库查询结果导出",
}  # fmt: skip
_MODULES = frozenset(
    "PERMISSION OWNER SQL_CONSOLE SQL_CONSOLE_EXPORT DATA_CHANGE DATA_EXPORT SQL_REVIEW DT_SYNC DT_DETAIL DB_TASK "  # noqa: SIM905
    "INSTANCE_MANAGE USER_MANAGE SECURITY_RULE CONFIG_MANAGE RESOURCE_AUTH ACCESS_WHITE_IP NDDL DSQL_CONSOLE "
    "DSQL_CONSOLE_EXPORT DATA_TRACT DATA_QUALITY DATALINK_MANAGE DATASEC_MANAGE SELL".split()
)


def _offset(call: Call) -> timedelta:
    return timedelta(hours=8 if call.world.modes["dms_log_zone"] == "china" else 0)


def _moment(call: Call, name: str, forms: tuple[str, ...]) -> float:
    """A time parameter in seconds since the epoch.

    :raises ApiError: InvalidParameterValid for another form.
    """
    for form in forms:
        try:
            return (datetime.strptime(call.text(name), form).replace(tzinfo=UTC) - _offset(call)).timestamp()
        except ValueError:
            continue
    raise failure(call, "InvalidParameterValid", f"{name} must be a time such as 2026-01-31 23:59:59.", 400)


def _window(call: Call, forms: tuple[str, ...]) -> tuple[float, float]:
    first, last = _moment(call, "StartTime", forms), _moment(call, "EndTime", forms)
    return first, last if call.world.modes["dms_log_end"] == "included" else last - 1


def _time(call: Call, at: float) -> str:
    return (datetime.fromtimestamp(at, UTC) + _offset(call)).strftime(TIME_FORMAT)


def _kept(call: Call, at: float, instance_id: int) -> bool:
    """Whether a log still has what happened on an instance (0: on none)."""
    instance = call.world.dms.instances.get(instance_id)
    days = _KEPT_DAYS[instance.mode if instance else "COMMON"]
    return at >= call.world.clock.now() - days * 86_400


def _nick(call: Call, user_id: str) -> str:
    user = call.world.dms.users.get(user_id)
    return user.nick if user else ""


def _database_of(call: Call, db_id: int) -> Database | None:
    return call.world.dms.databases.get(db_id)


def _names(call: Call, instance_id: int, db_id: int) -> tuple[str, ...]:
    """What ``SearchName`` is compared with: the database, or the instance for what happened on it."""
    database, instance = _database_of(call, db_id), call.world.dms.instances[instance_id]
    return (database.schema,) if database else (instance.alias, instance.host)


def _listed(call: Call, events: Iterable[Any], instance_of: Any) -> list[Any]:
    """Events that the log still has, of the nickname that was asked for, in the order of the mode."""
    nick = call.text("OpUserName") or call.text("UserNick")
    found = [event for event in events if _kept(call, event.at, instance_of(event))
             and nick in ("", _nick(call, event.user_id))]  # fmt: skip
    return found[::-1] if call.world.modes["dms_log_order"] == "newest" else found


def _answer(call: Call, names: tuple[str, str], rows: list[dict[str, Any]], total: int) -> dict[str, Any]:
    answer: dict[str, Any] = {"TotalCount": total}
    optional_list(call, answer, names[0], rows, names[1])
    return answer


_LOG = f"Tid:int StartTime! EndTime! {PAGE} SearchName OpUserName"


@DMS.action("ListSQLExecAuditLog", f"{_LOG} SqlType ExecState")
def sql_log(call: Call) -> dict[str, Any]:
    """Statements in a time, failed and canceled ones too. A page behind the end is empty, its total is not 0."""
    caller(call, _AUDITORS)
    kind, state, name = call.text("SqlType"), call.text("ExecState"), call.text("SearchName")
    found = [
        event for event in _listed(call, between(call.world.usage.statements, *_window(call, _FUZZY)), _place)
        if event.through == "dms" and kind in ("", event.sql_type)
        and state in ("", event.state, _STATES[event.state])
        and any(name in shown for shown in _names(call, event.instance_id, event.db_id))
    ]  # fmt: skip
    rows = [_statement(call, event) for event in cut(call, found)]
    return _answer(call, ("SQLExecAuditLogList", "SQLExecAuditLog"), rows, len(found))


def _place(event: Statement | Login) -> int:
    return event.instance_id


def _statement(call: Call, event: Statement) -> dict[str, Any]:
    instance: Instance = call.world.dms.instances[event.instance_id]
    database = _database_of(call, event.db_id)
    done, numbers = event.state == "SUCCESS", call.world.modes["dms_exec_state"] == "numbers"
    return {
        "OpTime": _time(call, event.at), "UserId": int(event.user_id), "UserName": _nick(call, event.user_id),
        "InstanceId": event.instance_id, "InstanceName": instance.alias,
        "DbId": event.db_id or None, "Logic": bool(database and database.logic),
        "SchemaName": database.schema if database else "", "SQL": event.sql, "SQLType": event.sql_type,
        "ExecState": _STATES[event.state] if numbers else event.state, "AffectRows": 20 if done else 0,
        "ElapsedTime": 12 if done else 0, "Remark": "" if done else f"error near: {event.sql}",
    }  # fmt: skip


@DMS.action("ListInstanceLoginAuditLog", _LOG)
def login_log(call: Call) -> dict[str, Any]:
    """Log-ons to instances in a time."""
    caller(call, _AUDITORS)
    name = call.text("SearchName")
    found = [event for event in _listed(call, between(call.world.usage.logins, *_window(call, _FUZZY)), _place)
             if any(name in shown for shown in _names(call, event.instance_id, 0))]  # fmt: skip
    rows = [
        {"OpTime": _time(call, event.at), "UserId": int(event.user_id), "UserName": _nick(call, event.user_id),
         "InstanceId": event.instance_id, "InstanceName": call.world.dms.instances[event.instance_id].alias,
         "DbUser": event.db_user, "RequestIp": event.ip}
        for event in cut(call, found)
    ]  # fmt: skip
    return _answer(call, ("InstanceLoginAuditLogList", "InstanceLoginAuditLog"), rows, len(found))


@DMS.action(
    "GetOpLog", "Tid:int StartTime! EndTime! PageNumber!:int PageSize!:int Module UserNick DatabaseName"
)  # fmt: skip
def operation_log(call: Call) -> dict[str, Any]:
    """Operations in a time; a database is given by name only. A DBA may not read it."""
    caller(call, ("ADMIN", "SECURITY_ADMIN"))
    module, name = call.text("Module"), call.text("DatabaseName")
    if module and module not in _MODULES:
        raise failure(call, "InvalidParameterValid", "Module is not one of the documented ones.", 400)

    def place(event: Operation) -> int:
        database = _database_of(call, event.db_id)
        return database.instance_id if database else 0

    window = between(call.world.usage.operations, *_window(call, (TIME_FORMAT,)))
    found = [event for event in _listed(call, window, place)
             if module in ("", event.module) and name in _database_name(call, event.db_id)]  # fmt: skip
    rows = [_operation(call, event) for event in cut(call, found, sizes=(30, 50, 100))]
    return _answer(call, ("OpLogDetails", "OpLogDetail"), rows, len(found))


def _database_name(call: Call, db_id: int) -> str:
    """As the vendor's sample writes it: ``schema@host:port【instance】``."""
    database = _database_of(call, db_id)
    if database is None:
        return ""
    instance = call.world.dms.instances[database.instance_id]
    return f"{database.schema}@{instance.host}:{instance.port}【{instance.alias}】"


def _operation(call: Call, event: Operation) -> dict[str, Any]:
    modes, user = call.world.modes, call.world.dms.users.get(event.user_id)
    cloud = modes["dms_op_log_user"] == "uid" and user is not None
    labels = modes["dms_op_log_module"] == "label"
    return {
        "OpTime": _time(call, event.at), "Module": _LABELS.get(event.module, event.module) if labels else event.module,
        "UserId": user.uid if user is not None and cloud else event.user_id, "UserNick": _nick(call, event.user_id),
        "OpUserId": int(event.user_id), "Database": _database_name(call, event.db_id), "OpContent": event.content,
        "OrderId": event.order_id,
    }  # fmt: skip
