"""Decisions that remove all access of a principal, including grants that are added before the call.

Such a decision depends only on the principal: a leaver has left, or a form names somebody without resources. A grant
that appears between snapshot and call would get the same decision. Therefore a call may cover absent cells of that
principal. If any rule or exception could keep such a grant, the decision does not count as emptying.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from rescind.model import Choice, GrantKey
from rescind.review.decide import REQUESTED
from rescind.review.exceptions import Exceptions, Waiver
from rescind.review.patterns import matches
from rescind.review.policy.load import Policy, Rule
from rescind.review.policy.schema import VARIABLES, Scope, Source
from rescind.review.request import RequestedTargets

_PRINCIPAL = ("system", "account", "principal_type", "principal_id")
_RESOURCE = frozenset({"system", "account", "resource_type", "resource_id"})
_SAME_FOR_ALL = frozenset({"grant.system", "grant.account"})


class Emptying:
    """The rules of one run that remove all access of a principal, and the exceptions that limit them.

    :param policy: the policy, or None for a run that a person asked for with ``request``.
    :param now: the time of the review; exceptions that have ended by then are ignored.
    """

    def __init__(
        self, policy: Policy | None, request: RequestedTargets | None, exceptions: Exceptions, *, now: datetime
    ) -> None:
        whole = request is not None and bool(request.principals) and not request.resources
        self.rules = frozenset(_rules(policy)) if policy else frozenset({REQUESTED} if whole else ())
        self._waivers = [waiver for waiver in exceptions.waivers if now < waiver.end and not _by_resource(waiver)]
        self._waived: dict[tuple[str, ...], bool] = {}

    def empties(self, key: GrantKey, rule: str) -> bool:
        """Return whether the rule that revokes this grant revokes every grant of its principal in the same scope."""
        if rule not in self.rules:
            return False
        who = tuple(getattr(key, name) for name in _PRINCIPAL)
        waived = self._waived.get(who)
        if waived is None:
            waived = self._waived[who] = any(_may_cover(waiver, key) for waiver in self._waivers)
        return not waived


def _rules(policy: Policy) -> Iterator[str]:
    """Yield the rules that revoke by the principal alone, up to the first rule that could keep a single grant.

    Rules about a missing person are left out: an incomplete roster would make them wrong.
    """
    for rule in policy.rules:
        alone = _by_principal(rule)
        if rule.decide is Choice.REVOKE and alone and not rule.absence:
            yield rule.id
        if rule.decide is not Choice.REVOKE and not alone and policy.combine == "first_match":
            return


def _by_principal(rule: Rule) -> bool:
    """Return whether the condition is equal for all grants of a principal, including future ones."""
    for name in rule.condition.names:
        variable = VARIABLES.get(name)
        if variable is None or name in _SAME_FOR_ALL:
            continue
        if variable.scope in (Scope.GRANT, Scope.RESOURCE) or variable.source is Source.HOLDINGS:
            return False
    return True


def _by_resource(waiver: Waiver) -> bool:
    """Return whether the exception keeps everything on a resource, so that no call names the resource."""
    return not waiver.glob and {name for name, _ in waiver.match} <= _RESOURCE


def _may_cover(waiver: Waiver, key: GrantKey) -> bool:
    """Return whether the exception could keep some grant of this principal."""
    who = [(name, value) for name, value in waiver.match if name in _PRINCIPAL]
    return all(matches(value, getattr(key, name), glob=waiver.glob) for name, value in who)
