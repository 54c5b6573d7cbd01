"""Decisions that close the paths to what a plan ends: what goes with it, from the same people or from groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from rescind.errors import GuardTrippedError
from rescind.ledger import Ledger, Run
from rescind.model import Choice, Decision
from rescind.workflow.closing.close_paths import MOST_PATHS, ClosingPlanner
from rescind.workflow.closing.part import ClosingPart
from rescind.workflow.closing.proposal import NAMED
from rescind.workflow.closing.removable import CLOSES_PATH
from rescind.workflow.closing.what_stays import what_stays
from rescind.workflow.plan_part import LOSING, LOST_BESIDE
from rescind.workflow.revoke_planner import Planner

ROUNDS = 10
"""How often removals are computed again because a guard holds one of them."""
_FIRST = "decided_first"


def plan_closings(
    ledger: Ledger, run: Run, planner: Planner, *, allowed: Literal["own", "all"] = "own"
) -> list[ClosingPart]:
    """Compute the removals that close the paths of the plan, and decide to revoke them.

    Decisions that an earlier planning of this run made are removed first.

    :param planner: a planner that is used for nothing else.
    :param allowed: ``own``: the people's own memberships, roles, shares and proxy accounts. ``all``: also their other
        grants, and grants of groups.
    :raises GuardTrippedError: when too many planned grants have a path.
    """
    if any(True for _ in ledger.decisions.bare(run.run_id, fact=_FIRST)):
        _decide(ledger, run, {})
    planned = planner.preview()
    barred: dict[str, str] = {}
    spared, kept = what_stays(ledger, run)
    for _ in range(ROUNDS):
        parts = ClosingPlanner(ledger, run, allowed, barred, spared, kept).parts(planned)
        if parts is None:
            what = f"more than {MOST_PATHS} planned grants stay reachable"
            raise GuardTrippedError("close_paths", f"{MOST_PATHS} grants", what, "Narrow the run, or choose report.")
        held = planner.would_hold(grant for part in parts for grant in part.going().values())
        if not held:
            _decide(ledger, run, dict(_decisions(ledger, run, parts)))
            return parts
        barred |= held
    raise GuardTrippedError("close_paths", f"{ROUNDS} rounds", "guards hold further removals", "Choose report.")


def _decisions(ledger: Ledger, run: Run, parts: Sequence[ClosingPart]) -> Iterator[tuple[str, Decision]]:
    """Yield the decisions that close paths, by grant id."""
    for part in parts:
        walks = {removal: walk for walk, _ in part.closing.packing for removal in (walk.first, walk.way.removal)}
        for removal in part.closing.removals:
            walk, lost = walks[removal.ident], part.lost(removal.ident)
            ended = ledger.decisions.get(run.run_id, walk.demand)
            losing = [] if removal.ident in part.holders else sorted(person for person, _ in removal.collateral)
            for number, grant in enumerate(part.records[removal.ident]):
                before = ledger.decisions.get(run.run_id, grant.grant_id)
                if before is None or ended is None:
                    continue
                facts = {
                    **before.facts,
                    "closes": walk.demand,
                    "also_loses": lost[:NAMED],
                    "also_loses_count": len(lost),
                    LOSING: losing,
                    LOST_BESIDE: 0 if number or losing else len(lost),
                    _FIRST: {"rule": before.rule, "reason": before.reason, "severity": before.severity},
                }
                reason = f"closes the path {part.path(walk)}"
                what = (Choice.REVOKE, CLOSES_PATH, reason, ended.severity, ended.controls, facts)
                yield grant.grant_id, Decision(grant.grant_id, *what)


def _decide(ledger: Ledger, run: Run, closing: Mapping[str, Decision]) -> None:
    """Write these decisions; all others that closed a path return to what was decided first."""
    every = ledger.decisions.bare(run.run_id)
    ledger.decisions.write(run.run_id, (closing.get(one.grant_id) or _first(one) for one in every))


def _first(decision: Decision) -> Decision:
    first = decision.facts.get(_FIRST)
    if first is None:
        return decision
    added = {_FIRST, "closes", "also_loses", "also_loses_count", LOSING, LOST_BESIDE}
    facts = {name: value for name, value in decision.facts.items() if name not in added}
    return replace(decision, choice=Choice.KEEP, controls=(), facts=facts, **first)
