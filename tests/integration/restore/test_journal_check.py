"""The journal checker finds what it is there to find; a whole review passes it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from local.demo.journal import problems
from tests.support.reviews.journal_check import journal_problems
from tests.support.reviews.review import Review, ReviewBench
from tests.support.servers.postgres import as_owner

pytestmark = pytest.mark.sockets

Bench = Callable[..., ReviewBench]


def test_a_whole_review_passes_and_every_kind_of_damage_is_found(bench: Bench) -> None:
    review = bench().run(dry_run=False)
    assert review.whole()["problems"] == []
    assert journal_problems(review) == []
    entries = review.bench.emulator.get("journal")["entries"]
    with review.ledger() as ledger:
        run_id = ledger.runs.find("access_review", review.run_id).run_id
    for damage, said in _DAMAGES.items():
        damaged = copy.deepcopy(entries)
        damage(damaged)
        assert any(said in problem for problem in problems(review.bench.ledger_dsn, run_id, damaged)), said
    _ledger_damage(review, run_id, entries)


def _writes(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [e for e in entries if e["kind"] == "request" and e["write"]]


def _second_arrival(entries: list[dict[str, Any]]) -> None:
    entries.append({**_writes(entries)[0], "seq": 10_000, "request_id": "other"})


def _foreign_call(entries: list[dict[str, Any]]) -> None:
    write = next(e for e in _writes(entries) if e["action"] == "RevokeUserPermission")
    write["params"]["UserAccessId"] = "1"


def _early(entries: list[dict[str, Any]]) -> None:
    _writes(entries)[0]["time"] -= 60


def _lost(entries: list[dict[str, Any]]) -> None:
    entries.remove(_writes(entries)[0])


def _replayed(entries: list[dict[str, Any]]) -> None:
    _writes(entries)[0]["resent"] = True


def _often(entries: list[dict[str, Any]]) -> None:
    entries.extend({**_writes(entries)[0], "seq": 10_000 + n} for n in range(5))


def _outside(entries: list[dict[str, Any]]) -> None:
    effect = next(e for e in entries if e["kind"] == "effect" and e["system"] == "wedata_privileges")
    effect["grant"]["privilege"] = "SOMETHING_ELSE"


def _given(entries: list[dict[str, Any]]) -> None:
    next(e for e in entries if e["kind"] == "effect")["op"] = "added"


_DAMAGES: dict[Callable[[list[dict[str, Any]]], None], str] = {
    _second_arrival: "arrived without an intent before it",
    _foreign_call: "is no call of the plan",
    _early: "arrived without an intent before it",
    _lost: "which the server never saw",
    _replayed: "sent twice",
    _often: "was written 6 times",
    _outside: "outside the plan",
    _given: "outside the plan",
}


def _ledger_damage(review: Review, run_id: str, entries: list[dict[str, Any]]) -> None:
    """Changes that somebody with the ledger's own rights could make, past its triggers."""
    for statement, said in (
        ("UPDATE rescind.plan_item SET state = 'sent' WHERE grant_id = (SELECT min(grant_id) FROM rescind.plan_item"
         " WHERE call_id IS NOT NULL)", "0 final states: sent"),
        ("UPDATE rescind.plan_item SET state = 'held' WHERE grant_id = (SELECT min(grant_id) FROM rescind.plan_item"
         " WHERE call_id IS NOT NULL)", "2 final states: held"),
        ("DELETE FROM rescind.verdict", "0 final states"),
        ("DELETE FROM rescind.plan_item", "grants of the approved digest are no items"),
        ("UPDATE rescind.plan_effect SET chunk = '\\x00'", "do not give the plan's digest"),
    ):  # fmt: skip
        with psycopg.connect(as_owner(review.bench.ledger_dsn)) as connection:
            connection.execute("SET LOCAL session_replication_role = replica")
            before = connection.execute("SELECT grant_id, state FROM rescind.plan_item").fetchall()
            connection.execute(statement)
            connection.commit()
            found = problems(review.bench.ledger_dsn, run_id, entries)
            assert any(said in problem for problem in found), (statement, found[:3])
            if "SET state" in statement:
                connection.execute("SET LOCAL session_replication_role = replica")
                connection.cursor().executemany(
                    "UPDATE rescind.plan_item SET state = %s WHERE grant_id = %s", [(s, g) for g, s in before]
                )
                connection.commit()
