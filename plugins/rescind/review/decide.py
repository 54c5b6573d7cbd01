"""Decisions: one for every grant, with the rule, the reason and the facts.

The order is fixed: a grant is kept when the system's call cannot revoke it, when it is protected, or when it
has an exception. Then the policy, or an explicit request, decides. A grant that no rule matches is kept, and so is
a grant for which something needed is unknown.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from json.encoder import encode_basestring
from typing import Any

from rescind.errors import InputError
from rescind.model import ASKED_FOR, PERHAPS_OWN, Choice, Decision, Grant, GrantKey, Principal, PrincipalType
from rescind.review.exceptions import Exceptions, Waiver
from rescind.review.knowledge import Holdings, Memberships, PrincipalKey
from rescind.review.people import UNCERTAIN, People, View
from rescind.review.policy.load import Policy
from rescind.review.policy.rules import PolicyRunner, Ruling, as_fact
from rescind.review.policy.schema import Source
from rescind.review.protections import Protections
from rescind.review.request import RequestedTargets, resolve_request
from rescind.review.roster.admit import AdmittedRoster

UNSUPPORTED = "kept.unsupported"
PROTECTED = "kept.protected"
EXCEPTION = "kept.exception"
UNREADABLE = "kept.unreadable"
NOT_REQUESTED = "kept.not_requested"
OTHERWISE = "kept.otherwise"
REQUESTED = "requested"

_RECEIVERS = frozenset(PrincipalType) - {PrincipalType.UNKNOWN, PrincipalType.ORGANIZATION, PrincipalType.WORKSPACE}
_REMEMBERED = 50_000


@dataclass(frozen=True)
class DecisionContext:
    """Everything that decisions depend on beside the grants. Exactly one of ``policy`` and ``request``.

    :param now: the time of the review, timezone-aware; never read from a clock in here.
    :param protections: from :func:`~rescind.review.protections.load_protections`.
    :param spaces: system -> id spaces: of the grant's principal id first, then of ``Principal.other_ids``.
    :param systems: the permission systems whose grants are decided on; empty for all of ``spaces``.
    :param roster: an admitted roster, or None: then nobody is known and no rule about people applies.
    :param principals: what the platforms say about principals.
    :param complete: sources (``roster``, ``membership``, ``holdings``, ``usage``) whose absences may be believed.
        Rules with ``acts_on_absence`` run only where theirs are named here.
    :param covering: system -> resource types whose grants reach what is in them, see
        :attr:`rescind.systems.base.PermissionSystem.covering`.
    """

    now: datetime
    protections: Protections
    spaces: Mapping[str, tuple[str, ...]]
    exceptions: Exceptions = field(default_factory=Exceptions.none)
    policy: Policy | None = None
    request: RequestedTargets | None = None
    roster: AdmittedRoster | None = None
    principals: Mapping[PrincipalKey, Principal] = field(default_factory=dict)
    memberships: Memberships | None = None
    holdings: Holdings | None = None
    complete: frozenset[str] = frozenset()
    systems: frozenset[str] = frozenset()
    covering: Mapping[str, frozenset[str]] = field(default_factory=dict)


def decide(grants: Iterable[Grant], ctx: DecisionContext) -> Iterator[Decision]:
    """Yield one decision for each grant, in their order, as they come (memory does not grow with the grants).

    :raises InputError: before the first decision, when the context contradicts itself, a protected id or a
        requested id cannot be resolved.
    """
    decider = Decider(ctx)
    return (decider.decide(grant) for grant in grants)


def grant_id(key: GrantKey) -> str:
    """Return :attr:`rescind.model.GrantKey.grant_id`, ten times as fast (a test compares the two)."""
    return hashlib.sha256(("[" + ",".join(map(encode_basestring, key)) + "]").encode()).hexdigest()


class Decider:
    """Decides on grants of one run; :func:`decide` is the ordinary way in."""

    def __init__(self, ctx: DecisionContext) -> None:
        _check(ctx)
        self.ctx = ctx
        self.request = resolve_request(ctx.request, ctx.roster, ctx.spaces) if ctx.request else None
        self.protections = ctx.protections.bind(ctx.roster, ctx.spaces, ctx.systems)
        self.people = People(
            ctx.roster, ctx.principals, self.protections, ctx.spaces, ctx.memberships, ctx.holdings, self.request
        )
        self.runner = PolicyRunner(ctx.policy, ctx.now, ctx.complete) if ctx.policy else None
        self._waivers = ctx.exceptions.at(ctx.now)
        self._resources: dict[tuple[str, str, str, str], str] = {}

    def view(self, grant: Grant) -> View:
        """Return the principal of a grant."""
        key = grant.key
        return self.people.view(PrincipalKey(key.system, key.account, key.principal_type, key.principal_id))

    def decide(self, grant: Grant) -> Decision:
        """Return the decision on one grant."""
        return self.judge(grant, grant_id(grant.key))

    def judge(self, grant: Grant, name: str) -> Decision:
        """Return the decision on one grant, under a given id.

        What this reads of a grant must be in :class:`rescind.review.fact_tuples.FactTuples`, which decides for many at
        a time.
        """
        view = self.view(grant)
        why_not = unsupported(grant)
        if why_not:
            return Decision(name, Choice.KEEP, UNSUPPORTED, why_not, facts=self._kept_facts(grant, view))
        protected = view.protected or self._resource(grant.key)
        if protected:
            return Decision(name, Choice.KEEP, PROTECTED, protected, facts=self._kept_facts(grant, view))
        waiver = None if self._waivers.empty else self._waivers.find(grant)
        if waiver is not None:
            return _waived(name, waiver, self._kept_facts(grant, view))
        if self.runner is None:
            return self._requested(name, grant, view)
        return _ruled(name, self.runner.ruling(grant, view), view)

    def _resource(self, key: GrantKey) -> str:
        if not self.ctx.protections.resources:
            return ""
        place = (key.system, key.account, key.resource_type, key.resource_id)
        reason = self._resources.get(place)
        if reason is None:
            if len(self._resources) >= _REMEMBERED:
                self._resources.clear()
            reason = self._resources[place] = self.protections.resource(key)
        return reason

    def _asked_for(self, grant: Grant, view: View) -> bool:
        """Return whether the request names this grant; False in a review by policy."""
        return view.named and self._within(grant)

    def _within(self, grant: Grant) -> bool:
        """Return whether the grant is on a resource and in a system of the request."""
        request = self.request
        if request is None:
            return False
        on_resource = not request.resources or grant.key.resource_id in request.resources
        return on_resource and grant.key.system in request.systems

    def _covers(self, grant: Grant) -> bool:
        """Return whether the grant, on another resource, may reach one that the request names."""
        request = self.request
        types = self.ctx.covering.get(grant.key.system, ())
        return bool(request and request.resources and grant.key.system in request.systems and types) and (
            grant.key.resource_type in types
        )

    def _kept_facts(self, grant: Grant, view: View) -> Mapping[str, Any]:
        """Return the facts of a grant that stays whatever policy or request say.

        A grant that is only inherited ends with the grant that it comes from, so it is no access that is left by
        itself. It may stay where a system gives a reason of its own, and where the request is about some resources:
        the grant that it comes from is on another one.
        """
        some = self.request is not None and bool(self.request.resources)
        ends = _only_inherited(grant) and grant.why_not in ("", inherited(grant)) and not some
        if not (view.named or view.perhaps) or not (self._covers(grant) or (self._within(grant) and not ends)):
            return view.facts
        return {**view.about, **view.facts, ASKED_FOR: "yes"}

    def _requested(self, name: str, grant: Grant, view: View) -> Decision:
        request = self.request
        assert request is not None
        if not self._asked_for(grant, view):
            reason = "the request does not name this grant"
            if view.perhaps and self._within(grant):
                reason = (
                    f"it may belong to a person whom the request names, but not for certain: {UNCERTAIN[view.method]}"
                )
            elif self._covers(grant):
                reason += ", but what it is on may hold a resource that the request names"
            return Decision(name, Choice.KEEP, NOT_REQUESTED, reason, facts=self._kept_facts(grant, view))
        facts = {
            **view.about,
            **view.facts,
            "principal.id": grant.key.principal_id,
            "resource.id": grant.key.resource_id,
        }
        return Decision(name, Choice.REVOKE, REQUESTED, request.reason or "requested", "high", facts=facts)


def inherited(grant: Grant) -> str:
    """Return the reason of a grant that is inherited and nothing else."""
    return f"inherited from {grant.inherited_from}"


def _only_inherited(grant: Grant) -> bool:
    return bool(grant.inherited_from) and grant.why_not != PERHAPS_OWN


def unsupported(grant: Grant) -> str:
    """Return why no call may revoke this grant, or an empty text."""
    if not grant.revocable:
        return grant.why_not or "the system's call cannot take this kind of grant away"
    if _only_inherited(grant):
        return inherited(grant)
    if grant.key.principal_type not in _RECEIVERS:
        return f"receivers of type {grant.key.principal_type} are kept and reported"
    return ""


def _check(ctx: DecisionContext) -> None:
    if (ctx.policy is None) == (ctx.request is None):
        raise InputError("policy, request", "exactly one of the two must be given", "Run a policy or a request.")
    if ctx.now.tzinfo is None:
        raise InputError("now", "a time without a UTC offset", "Give it a time zone.")
    unknown = ctx.complete - set(Source)
    if unknown:
        raise InputError("complete", f"unknown sources {sorted(unknown)}", f"Use {', '.join(Source)}.")
    if Source.ROSTER in ctx.complete and ctx.roster is None:
        raise InputError("complete", "roster without a roster", "Give the admitted roster.")
    if Source.MEMBERSHIP in ctx.complete and ctx.memberships is None:
        raise InputError("complete", "membership without memberships", "Give the memberships.")
    if Source.HOLDINGS in ctx.complete and ctx.holdings is None:
        raise InputError("complete", "holdings without holdings", "Give the holdings.")


def _waived(name: str, waiver: Waiver, known: Mapping[str, Any]) -> Decision:
    facts = {**known, "exception": waiver.id, "owner": waiver.owner, "end": as_fact(waiver.end)}
    if waiver.compensating_control:
        facts["compensating_control"] = waiver.compensating_control
    return Decision(name, Choice.KEEP, EXCEPTION, waiver.reason, facts=facts)


def _ruled(name: str, ruling: Ruling, view: View) -> Decision:
    """How the principal was matched is part of every decision, whatever the rule looked at."""
    rule = ruling.rule
    if rule is None:
        if not ruling.unreadable:
            return Decision(name, Choice.KEEP, OTHERWISE, "no rule applies", facts=view.facts)
        unreadable = {**view.facts, "unreadable": list(ruling.unreadable)}
        return Decision(name, Choice.KEEP, OTHERWISE, "no rule applies", facts=unreadable)
    facts = ruling.facts if "matched_by" in ruling.facts else {**ruling.facts, **view.facts}
    if ruling.blocked:
        reason = f"rule {rule.id} would {rule.effect} and cannot be answered"
        return Decision(name, Choice.KEEP, UNREADABLE, reason, facts=facts)
    if rule.decide is Choice.REVOKE or rule.asks:
        facts = {**view.about, **facts}
    return Decision(name, rule.decide, rule.id, rule.reason, rule.severity, rule.controls, facts, rule.asks)
