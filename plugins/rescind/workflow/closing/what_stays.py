"""What people may not lose with a removal that closes a path: what is protected, or has an exception."""

from __future__ import annotations

from collections.abc import Callable

from rescind.ledger import Ledger, Run
from rescind.model import Grant
from rescind.review import Decider
from rescind.review.decide import EXCEPTION, PROTECTED
from rescind.workflow.closing.group_audience import as_own
from rescind.workflow.inputs import decision_context


def what_stays(ledger: Ledger, run: Run) -> tuple[Callable[[Grant, str], str], Callable[[Grant, str], str]]:
    """Return what says why a person may not lose what a group's grant gives: as if it was the person's own grant.

    :returns: for a grant of a group that goes; and for a record of the person that goes, where the person may lose
        something.
    """
    decider = Decider(decision_context(ledger, run))
    waivers = decider.ctx.exceptions.at(decider.ctx.now)

    def spared(grant: Grant, person: str) -> str:
        decision = decider.decide(as_own(grant, person))
        return decision.reason if decision.rule in (PROTECTED, EXCEPTION) else ""

    def kept(grant: Grant, person: str) -> str:
        waiver = waivers.find(as_own(grant, person))
        return decider.protections.resource(grant.key) or (waiver.reason if waiver else "")

    return spared, kept
