"""Which state an item or a call may reach from which, and the one statement that moves them.

The arrows are enforced where the rows are: an UPDATE names the states it may start from, and the
number of rows it changed is compared with the number that was meant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rescind.ledger.store.database import Connection
from rescind.ledger.store.digest import Digest
from rescind.ledger.store.errors import TransitionError
from rescind.model import ItemState

_S = ItemState

# Verdicts are no states: only verification writes them, in a table of their own. Held, stale, expired
# and restored are ends; what shall happen to such a grant after all needs a new plan.
ARROWS: Mapping[ItemState, frozenset[ItemState]] = {
    _S.PLANNED: frozenset({_S.APPROVED, _S.HELD, _S.STALE, _S.EXPIRED}),
    # Restored without a send: what was to be given back was there already.
    _S.APPROVED: frozenset({_S.SENT, _S.HELD, _S.STALE, _S.EXPIRED, _S.RESTORED}),
    # Back to approved: the request was certainly not executed.
    _S.SENT: frozenset({_S.ACCEPTED, _S.REFUSED, _S.UNKNOWN, _S.APPROVED}),
    # Back to approved: only with an observation that the grant is still there (Batches.reopen).
    _S.ACCEPTED: frozenset({_S.APPROVED, _S.RESTORED}),
    _S.REFUSED: frozenset({_S.APPROVED, _S.STALE, _S.RESTORED}),
    _S.UNKNOWN: frozenset({_S.APPROVED, _S.ACCEPTED, _S.STALE, _S.RESTORED}),
    _S.HELD: frozenset(),
    _S.STALE: frozenset(),
    _S.EXPIRED: frozenset(),
    _S.RESTORED: frozenset(),
}

# Arrows that no caller may ask for by name: they belong to an attempt, an approval or a reopening.
_RESERVED = frozenset({_S.APPROVED, _S.SENT, _S.PLANNED})

# A request over such an item would take away what the plan no longer covers.
BLOCKING = (_S.PLANNED, _S.HELD, _S.STALE, _S.EXPIRED)


def sources(target: ItemState) -> list[str]:
    """The states from which ``target`` can be reached."""
    return [str(state) for state, targets in ARROWS.items() if target in targets]


def move_items(
    connection: Connection, run_no: int, moves: Mapping[str, tuple[ItemState, str]], *, call_id: Digest | None = None
) -> None:
    """Move single items, each to its state with its reason. An item that is there already stays.

    :param call_id: allow items of this call only.
    :raises TransitionError: when a state cannot be reached from where an item is; nothing is moved then.
    """
    grouped: dict[tuple[ItemState, str], list[Digest]] = {}
    for grant_id, (state, reason) in moves.items():
        grouped.setdefault((state, reason), []).append(Digest(grant_id))
    for (state, reason), ids in grouped.items():
        row = connection.execute(
            "WITH moved AS (UPDATE rescind.plan_item SET state = %(to)s, reason = %(reason)s, updated_at ="
            " clock_timestamp() WHERE run_no = %(run)s AND grant_id = ANY(%(ids)s) AND state = ANY(%(from)s)"
            " AND (%(call)s::bytea IS NULL OR call_id = %(call)s) RETURNING grant_id)"
            " SELECT (SELECT count(*) FROM moved) AS moved, (SELECT count(*) FROM rescind.plan_item WHERE run_no ="
            " %(run)s AND grant_id = ANY(%(ids)s) AND state = %(to)s AND (%(call)s::bytea IS NULL OR call_id ="
            " %(call)s)) AS there",
            {"to": str(state), "reason": reason, "run": run_no, "ids": ids, "from": sources(state), "call": call_id},
        ).fetchone()
        done = 0 if row is None else int(row["moved"]) + int(row["there"])
        if done != len(ids):
            raise TransitionError(
                f"ledger: {len(ids) - done} of {len(ids)} items cannot become {state}: they are not in a state that"
                f" allows it ({', '.join(sources(state)) or 'none'}), or not part of this plan or call"
            )


def refuse_reserved(moves: Mapping[str, tuple[ItemState, str]]) -> None:
    """Keep callers from walking arrows that belong to an attempt, an approval or a reopening.

    :raises TransitionError: when one of the targets is such a state.
    """
    asked = {state for state, _ in moves.values()} & _RESERVED
    if asked:
        raise TransitionError(
            f"ledger: {', '.join(sorted(asked))} cannot be set by hand. Record an attempt or an approval"
        )


def move_call_items(
    connection: Connection,
    run_no: int,
    call_id: Digest,
    origin: Sequence[ItemState],
    target: ItemState,
    reason: str = "",
) -> int:
    """Move the items of one call that are in one of ``origin``; returns how many moved."""
    allowed = [str(state) for state in origin if target in ARROWS[state]]
    return connection.execute(
        "UPDATE rescind.plan_item SET state = %s, reason = %s, updated_at = clock_timestamp()"
        " WHERE run_no = %s AND call_id = %s AND state = ANY(%s)",
        (str(target), reason, run_no, call_id, allowed),
    ).rowcount


def move_call(
    connection: Connection, run_no: int, call_id: Digest, origin: Sequence[str], target: str, reason: str = ""
) -> bool:
    """Move one call; returns whether it was in one of ``origin``."""
    return (
        connection.execute(
            "UPDATE rescind.call SET state = %s, reason = %s, updated_at = clock_timestamp()"
            " WHERE run_no = %s AND call_id = %s AND state = ANY(%s)",
            (target, reason, run_no, call_id, list(origin)),
        ).rowcount
        == 1
    )
