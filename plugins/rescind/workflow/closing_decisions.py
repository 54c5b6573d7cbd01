"""Decisions that close the paths to what a plan ends: memberships of the same person that go with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from rescind.errors import GuardTrippedError
from rescind.ledger import Ledger, Run
from rescind.model import Choice, Decision
from rescind.workflow.close_paths import CLOSES_PATH, MOST_PATHS, ClosingPlanner, PersonClosing
from rescind.workflow.closing_proposal import NAMED
from rescind.workflow.revoke_planner import Planner

ROUNDS = 10
"""How often removals are computed again because a guard holds one of them."""
_FIRST = "decided_first"


def close_own(ledger: Ledger, run: Run, planner: Planner) -> list[PersonClosing]:
    """Compute the memberships whose end closes the paths of the plan, and decide to revoke them.

    Decisions that an earlier planning of this run made are undone first.

    :param planner: a planner that is used for nothing else.
    :raises GuardTrippedError: when too many planned grants have a path.
    """
    if any(True for _ in ledger.decisions.bare(run.run_id, fact=_FIRST)):
        _decide(ledger, run, {})
    planned = planner.preview()
    barred: dict[str, str] = {}
    for _ in range(ROUNDS):
        people = ClosingPlanner(ledger, run, own=True, barred=barred).people(planned)
        if people is None:
            what = f"more than {MOST_PATHS} planned grants stay reachable"
            raise GuardTrippedError("close_paths", f"{MOST_PATHS} grants", what, "Narrow the run, or choose report.")
        held = planner.would_hold(one.records[removal.ident] for one in people for removal in one.closing.removals)
        if not held:
            _decide(ledger, run, dict(_decisions(ledger, run, people)))
            return people
        barred |= held
    raise GuardTrippedError("close_paths", f"{ROUNDS} rounds", "guards hold further removals", "Choose report.")


def _decisions(ledger: Ledger, run: Run, people: Sequence[PersonClosing]) -> Iterator[tuple[str, Decision]]:
    """Yield the decisions that close paths, by grant id."""
    for one in people:
        walks = {removal: walk for walk, _ in one.closing.packing for removal in (walk.first, walk.way.removal)}
        for removal in one.closing.removals:
            before = ledger.decisions.get(run.run_id, removal.ident)
            ended = ledger.decisions.get(run.run_id, walks[removal.ident].demand)
            if before is None or ended is None:
                continue
            facts = {
                **before.facts,
                "closes": walks[removal.ident].demand,
                "also_loses": [access for _, access in sorted(removal.collateral)][:NAMED],
                "also_loses_count": len(removal.collateral),
                _FIRST: {"rule": before.rule, "reason": before.reason, "severity": before.severity},
            }
            reason = f"closes the path {one.path(walks[removal.ident])}"
            yield (
                removal.ident,
                Decision(removal.ident, Choice.REVOKE, CLOSES_PATH, reason, ended.severity, ended.controls, facts),
            )


def _decide(ledger: Ledger, run: Run, closing: Mapping[str, Decision]) -> None:
    """Write these decisions; all others that closed a path return to what was decided first."""
    every = ledger.decisions.bare(run.run_id)
    ledger.decisions.write(run.run_id, (closing.get(one.grant_id) or _first(one) for one in every))


def _first(decision: Decision) -> Decision:
    first = decision.facts.get(_FIRST)
    if first is None:
        return decision
    added = {_FIRST, "closes", "also_loses", "also_loses_count"}
    facts = {name: value for name, value in decision.facts.items() if name not in added}
    return replace(decision, choice=Choice.KEEP, controls=(), facts=facts, **first)
