"""Automatic approval: the deployment must allow it within limits, and the run must request it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from datetime import timedelta

from rescind.errors import NotApprovedError
from rescind.ledger import Ledger, Plan, Run
from rescind.model import Choice, ItemState
from rescind.settings import AutomaticApproval, Settings
from rescind.users import same_user

BY = "automatic"
"""The approver of an automatic approval."""
_DAY = timedelta(hours=24)


def require_automatic(ledger: Ledger, run: Run, plan: Plan, settings: Settings) -> None:
    """Check again before anything is sent that the plan may be executed with an automatic approval.

    :raises NotApprovedError: when it is not allowed or requested, or a limit is exceeded now.
    """
    _, reasons = measure(ledger, run, plan, settings.automatic_approval)
    if reasons:
        raise NotApprovedError(
            f"plan {plan.digest[:12]} was approved automatically, which is not allowed now: {'; '.join(reasons)}. "
            "Nothing was sent; start a new run"
        )


def measure(ledger: Ledger, run: Run, plan: Plan, allowed: AutomaticApproval | None) -> tuple[str, list[str]]:
    """Return the measured values with the deployment's limits, and every reason against automatic approval.

    The plan may be approved automatically exactly when there is no reason.
    """
    if allowed is None:
        return "", ["the setting automatic_approval is not set"]
    if not run.params.get("automatic"):
        return "", ["the run does not request automatic approval"]
    scopes, rules, planned, held = _planned(ledger, run)
    systems, items = {system for system, _ in scopes}, sum(scopes.values())
    whole = sum(count.grants for count in ledger.snapshot.counts(run.run_id) if count.complete)
    figures = (
        f"{items} of {allowed.max_revocations} grants, {items} of {whole} found (limit {allowed.max_percent} %), "
        f"rules {', '.join(sorted(rules))}, systems {', '.join(sorted(systems))}"
    )
    reasons = []
    if run.params.get("sparse"):
        reasons.append("calls may include cells without a grant")
    if run.params.get("close_paths") == "all":
        reasons.append("grants of groups may go, and people lose access that nobody named")
    if items + held != plan.items:
        reasons.append(f"the plan counts {plan.items} grants, but the ledger {items} and {held} held grants")
    if items > allowed.max_revocations:
        reasons.append(f"{items} grants are more than {allowed.max_revocations}")
    if items * 100 > allowed.max_percent * whole:
        reasons.append(f"{items} of {whole} grants are more than {allowed.max_percent} %")
    reasons += _over_the_day(ledger, run, scopes, allowed.per_day)
    if systems - set(allowed.systems):
        reasons.append(f"systems {', '.join(sorted(systems - set(allowed.systems)))} are not allowed")
    if rules - set(allowed.only_rules):
        reasons.append(f"rules {', '.join(sorted(rules - set(allowed.only_rules)))} are not allowed")
    return figures, reasons + _no_second_person(ledger, run, planned)


def _no_second_person(ledger: Ledger, run: Run, planned: Collection[str]) -> list[str]:
    """Return a reason where owners were asked and nobody answered, or the requester did."""
    silent = own = 0
    for question in ledger.questions.all(run.run_id):
        grants = sum(item.grant_id in planned for item in question.items)
        if question.method != "answer":
            silent += grants
        elif same_user(question.responded_by, run.requested_by):
            own += grants
    reasons = {"nobody": silent, "the requester": own}
    return [f"{who} answered for the owners of {grants} grants" for who, grants in reasons.items() if grants]


def _over_the_day(ledger: Ledger, run: Run, scopes: Counter[tuple[str, str]], limit: int) -> list[str]:
    """Return a reason for every scope in which all runs together would revoke more than the limit of one day."""
    others = ledger.attempts.revoked_by_others(run.run_id, _DAY)
    return [
        f"{items} grants of {system} {account} and {others.get((system, account), 0)} that other runs revoked there "
        f"within 24 hours are more than {limit} a day"
        for (system, account), items in sorted(scopes.items())
        if items + others.get((system, account), 0) > limit
    ]


def _planned(ledger: Ledger, run: Run) -> tuple[Counter[tuple[str, str]], set[str], set[str], int]:
    """Return counts by system and account, the rules that decided, the planned grants, and the number of held ones."""
    states = {item.grant_id: item.state for item in ledger.plans.items(run.run_id)}
    planned = {name for name, state in states.items() if state is not ItemState.HELD}
    scopes: Counter[tuple[str, str]] = Counter()
    rules: set[str] = set()
    for grant, decision in ledger.decisions.each(run.run_id, choice=Choice.REVOKE):
        if decision.grant_id in planned:
            scopes[grant.key.system, grant.key.account] += 1
            rules.add(decision.rule)
    return scopes, rules, planned, len(states) - len(planned)
