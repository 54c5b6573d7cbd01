"""The allowed state transitions of items and calls, and the statements that move them.

The database enforces them: an UPDATE names the states it may start from, and the number of changed rows is compared
with the expected number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rescind.ledger.store.database import Connection
from rescind.ledger.store.digest import Digest
from rescind.ledger.store.errors import TransitionError
from rescind.model import ItemState

_S = ItemState

# Verdicts are not states: only verification writes them, in a separate table. Held, stale, expired and restored are
# final; anything further with such a grant needs a new plan.
ARROWS: Mapping[ItemState, frozenset[ItemState]] = {
    _S.PLANNED: frozenset({_S.APPROVED, _S.HELD, _S.STALE, _S.EXPIRED}),
    # Restored without a send: the grant was present already.
    _S.APPROVED: frozenset({_S.SENT, _S.HELD, _S.STALE, _S.EXPIRED, _S.RESTORED}),
    # Back to approved: the request was not executed.
    _S.SENT: frozenset({_S.ACCEPTED, _S.REFUSED, _S.UNKNOWN, _S.APPROVED}),
    # Back to approved: only with a read that shows the grant (Batches.reopen).
    _S.ACCEPTED: frozenset({_S.APPROVED, _S.RESTORED}),
    _S.REFUSED: frozenset({_S.APPROVED, _S.STALE, _S.RESTORED}),
    _S.UNKNOWN: frozenset({_S.APPROVED, _S.ACCEPTED, _S.STALE, _S.RESTORED}),
    _S.HELD: frozenset(),
    _S.STALE: frozenset(),
    _S.EXPIRED: frozenset(),
    _S.RESTORED: frozenset(),
}

# States that no caller may set directly: only an attempt, an approval or Batches.reopen sets them.
_RESERVED = frozenset({_S.APPROVED, _S.SENT, _S.PLANNED})

# A request with such an item would change a grant that the plan does not cover any more.
BLOCKING = (_S.PLANNED, _S.HELD, _S.STALE, _S.EXPIRED)


def sources(target: ItemState) -> list[str]:
    """Return the states from which ``target`` can be reached."""
    return [str(state) for state, targets in ARROWS.items() if target in targets]


def move_items(
    connection: Connection, run_no: int, moves: Mapping[str, tuple[ItemState, str]], *, call_id: Digest | None = None
) -> None:
    """Move single items, each to its state with its reason. Items that are in that state already stay.

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
    """Refuse states that only an attempt, an approval or a reopening may set.

    :raises TransitionError: when one of the targets is such a state.
    """
    asked = {state for state, _ in moves.values()} & _RESERVED
    if asked:
        raise TransitionError(
            f"ledger: {', '.join(sorted(asked))} cannot be set directly. Record an attempt or an approval"
        )


def move_call_items(
    connection: Connection,
    run_no: int,
    call_id: Digest,
    origin: Sequence[ItemState],
    target: ItemState,
    reason: str = "",
) -> int:
    """Move the items of one call that are in one of ``origin``; return how many moved."""
    allowed = [str(state) for state in origin if target in ARROWS[state]]
    return connection.execute(
        "UPDATE rescind.plan_item SET state = %s, reason = %s, updated_at = clock_timestamp()"
        " WHERE run_no = %s AND call_id = %s AND state = ANY(%s)",
        (str(target), reason, run_no, call_id, allowed),
    ).rowcount


def move_call(
    connection: Connection, run_no: int, call_id: Digest, origin: Sequence[str], target: str, reason: str = ""
) -> bool:
    """Move one call; return whether it was in one of ``origin``."""
    return (
        connection.execute(
            "UPDATE rescind.call SET state = %s, reason = %s, updated_at = clock_timestamp()"
            " WHERE run_no = %s AND call_id = %s AND state = ANY(%s)",
            (target, reason, run_no, call_id, list(origin)),
        ).rowcount
        == 1
    )
