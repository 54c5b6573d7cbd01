"""Convert values to what evidence may hold: no secrets by name, no floats, times as text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar

from rescind.evidence.bundle.answers.owners import HANDED
from rescind.evidence.bundle.format import moment
from rescind.ledger import AttemptRecord, Question, QuestionItem
from rescind.model import LAST_USE, Decision, Grant

T = TypeVar("T")

_SECRET = re.compile(
    r"(?i)(secret|passw|signature|authori[sz]ation$|(access|security|session|id)_?token|^token$|cookie|private_?key)"
)
_REMOVED = "[removed: a secret has no place in evidence]"


@lru_cache(maxsize=1024)  # names of fields come again in every record
def _secret(name: str) -> bool:
    return _SECRET.search(name) is not None


def plain(value: Any) -> Any:
    """Return a free-form JSON value as evidence may hold it."""
    if type(value) is str:
        return value
    if isinstance(value, Mapping):
        return {str(k): _REMOVED if _secret(str(k)) else plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, datetime):
        return moment(value)
    return str(value) if isinstance(value, str) else value


def grant_record(grant: Grant) -> dict[str, Any]:
    """Return a grant as a record. What is known of its last use is in it only where the run read that."""
    key, cell = grant.key, grant.cell
    used = {name: getattr(grant, name) for name in LAST_USE} if grant.last_use else {}
    return {
        "grant_id": key.grant_id,
        "system": key.system,
        "account": key.account,
        "resource_type": key.resource_type,
        "resource_id": key.resource_id,
        "principal_type": str(key.principal_type),
        "principal_id": key.principal_id,
        "entitlement": key.entitlement,
        "native_id": key.native_id,
        "container": cell.container,
        "row": cell.row,
        "column_kind": cell.kind,
        "column": list(cell.column),
        "revocable": grant.revocable,
        "why_not": grant.why_not,
        "inherited_from": grant.inherited_from,
        "expires_at": moment(grant.expires_at),
        "expires_raw": grant.expires_raw,
        "created_raw": grant.created_raw,
        "origin": grant.origin,
        "principal_name": grant.principal_name,
        "resource_name": grant.resource_name,
        "attributes": plain(grant.attributes),
        **used,
    }


def question_record(question: Question, item: QuestionItem) -> dict[str, Any]:
    """Return one grant of a question to an owner. Due date, comment and hand-over are left out where there is none."""
    handed = question.handover
    return {
        "question": question.digest,
        "reviewer": question.reviewer,
        "no_answer": question.no_answer,
        "asked_at": moment(question.asked_at),
        **({"answer_until": moment(question.due_at)} if question.due_at else {}),
        **(dict(zip(HANDED, (handed.by, handed.to, moment(handed.at), handed.comment), strict=True)) if handed else {}),
        "method": question.method,
        "responded_by": question.responded_by,
        "responded_at": moment(question.responded_at),
        **({"comment": question.comment} if question.comment else {}),
        "grant_id": item.grant_id,
        "shown": item.shown,
        "answer": item.answer,
    }


def terminated_at(decision: Decision | None) -> str | None:
    """Return when the employment of a decision's person ended, as the roster says it; None when it does not."""
    value = decision.facts.get("person.terminated_at") if decision else None
    return str(value) if value and value != "unknown" else None


def lookup(rows: Iterable[T], key: Callable[[T], str]) -> Callable[[str], T | None]:
    """Return a function that finds rows by key in one pass. Rows and questions are ordered by key."""
    rest = iter(rows)
    current: T | None = next(rest, None)

    def find(wanted: str) -> T | None:
        nonlocal current
        while current is not None and key(current) < wanted:
            current = next(rest, None)
        return current if current is not None and key(current) == wanted else None

    return find


def sent_at(attempts: Iterable[AttemptRecord]) -> dict[str, datetime | None]:
    """Return, by call, when the last request that may have had an effect was sent."""
    return {
        one.call_id: one.sent_at or one.intent_at for one in attempts if one.outcome in ("accepted", "unknown", None)
    }
