"""Evaluate the rules of a policy for grants, and cache the answers.

A condition is a pure function of the fields that it names. Its answer is kept under the values of those
fields, so that a rule about people is evaluated once for each principal and not once for each grant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from rescind.model import Choice, Grant, GrantKey
from rescind.review.people import View
from rescind.review.policy.load import SEVERITIES, Policy, Rule
from rescind.review.policy.schema import VARIABLES, Scope, Source

REMEMBERED = 100_000
"""Answers kept in all rules together, and resource classes; a rule forgets its own all at once."""

_UNIQUE = frozenset({"grant.id", "grant.native_id"})  # never the same twice: nothing to remember

MAX_LISTED = 20
"""At most this many entries of a list are shown as facts."""

READS: Mapping[str, tuple[str, ...]] = {
    "grant.id": GrantKey._fields,
    "grant.system": (),
    "grant.account": (),
    "grant.entitlement": ("entitlement",),
    "grant.native_id": ("native_id",),
    "grant.origin": ("origin",),
    "grant.has_end": ("expires_at", "expires_raw"),
    "grant.expires_at": ("expires_at",),
    "grant.attributes": ("attributes",),
    "grant.last_used_days": ("last_used_days",),
    "resource.type": ("resource_type",),
    "resource.id": ("resource_id",),
    "resource.name": ("resource_name",),
    "resource.class": (),
}
"""Field -> what is read of a grant for it, beside its principal, system and account, which every decision reads.

``resource.class`` is read of the resource, see :mod:`rescind.review.fact_tuples`.
"""

Classes = dict[tuple[str, str, str, str], str | None]
Getter = Callable[[Grant], Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What one rule says of one grant.

    :param holds: true, false, or None when something that the rule needs is unknown.
    :param facts: what the rule looked at, as shown to a reviewer.
    """

    holds: bool | None
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a policy says of one grant: the rule that decided (None: no rule did) and its facts.

    :param unreadable: rules that could not be answered because something was unknown.
    """

    rule: Rule | None
    facts: Mapping[str, Any]
    unreadable: tuple[str, ...] = ()
    blocked: bool = False


class RuleRunner:
    """One rule of one run."""

    def __init__(self, rule: Rule, policy: Policy, now: datetime, complete: frozenset[str], classes: Classes) -> None:
        self.rule = rule
        self._most = max(1_000, REMEMBERED // len(policy.rules))
        names = rule.condition.names
        scopes = {name: VARIABLES[name].scope for name in names if name in VARIABLES}
        self._constants = {f"params.{name}": value for name, value in policy.params.items()}
        self._constants = {name: value for name, value in self._constants.items() if name in names}
        if "now" in names:
            self._constants["now"] = now
        self._who = [name for name in names if scopes.get(name) in (Scope.PRINCIPAL, Scope.PERSON)]
        what = [name for name in names if scopes.get(name) in (Scope.GRANT, Scope.RESOURCE)]
        getters = _getters(policy, classes)
        self._what: list[tuple[str, Getter]] = [(name, getters[name]) for name in what]
        self._runnable = all(source == Source.SNAPSHOT or source in complete for source in rule.absence)
        self._once = not _UNIQUE.isdisjoint(names)
        self._answers: dict[tuple[Any, ...], Answer] = {}

    def answer(self, grant: Grant, view: View) -> Answer:
        """Return what the rule says of the grant."""
        if not self._runnable:
            return Answer(None, {"incomplete": sorted(self.rule.absence)})
        if self._once:
            return self._evaluate(grant, view)
        key = (view.serial if self._who else 0, *[getter(grant) for _, getter in self._what])
        answer = self._answers.get(key)
        if answer is None:
            if len(self._answers) >= self._most:
                self._answers.clear()
            answer = self._answers[key] = self._evaluate(grant, view)
        return answer

    def _evaluate(self, grant: Grant, view: View) -> Answer:
        data = dict(self._constants)
        for name in self._who:
            if name in view.data:
                data[name] = view.data[name]
        for name, getter in self._what:
            value = getter(grant)
            if value is not None:
                data[name] = dict(value) if name == "grant.attributes" else value
        return Answer(self.rule.condition.holds(data), self._facts(data, view))

    def _facts(self, data: Mapping[str, Any], view: View) -> dict[str, Any]:
        facts: dict[str, Any] = {}
        for name in self.rule.condition.names:
            if name.startswith("params."):
                continue
            if name not in data:
                facts[name] = "unknown"
            elif isinstance(data[name], dict):
                facts |= {f"{name}.{k}": data[name].get(k, "unknown") for k in self.rule.condition.keys.get(name, ())}
            else:
                facts[name] = as_fact(data[name])
        return {**facts, **view.facts} if self._who else facts


def as_fact(value: Any) -> Any:
    """Return a value as a reviewer sees it: plain JSON without floats."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return str(value)
    if isinstance(value, list | tuple):
        shown = [as_fact(item) for item in value[:MAX_LISTED]]
        return [*shown, f"and {len(value) - MAX_LISTED} more"] if len(value) > MAX_LISTED else shown
    return value


class PolicyRunner:
    """All rules of a policy for one run."""

    def __init__(self, policy: Policy, now: datetime, complete: frozenset[str]) -> None:
        classes: Classes = {}
        self.policy = policy
        self.runners = [RuleRunner(rule, policy, now, complete, classes) for rule in policy.rules]
        self._first = policy.combine == "first_match"

    def ruling(self, grant: Grant, view: View) -> Ruling:
        """Return what the policy says of the grant.

        ``first_match``: the first rule that holds decides; a rule that would keep or ask and cannot be answered keeps,
        since nobody knows what it would have said. ``most_restrictive``: a rule that revokes wins over rules that
        ask, these over rules that keep, and the most severe one names the decision.
        """
        return self._first_match(grant, view) if self._first else self._most_restrictive(grant, view)

    def _first_match(self, grant: Grant, view: View) -> Ruling:
        unreadable: tuple[str, ...] = ()
        for runner in self.runners:
            answer = runner.answer(grant, view)
            if answer.holds:
                return Ruling(runner.rule, answer.facts, unreadable)
            if answer.holds is None:
                if runner.rule.decide is Choice.KEEP:
                    return Ruling(runner.rule, answer.facts, unreadable, blocked=True)
                unreadable += (runner.rule.id,)
        return Ruling(None, {}, unreadable)

    def _most_restrictive(self, grant: Grant, view: View) -> Ruling:
        found: list[tuple[Rule, Answer]] = []
        unreadable: tuple[str, ...] = ()
        for runner in self.runners:
            answer = runner.answer(grant, view)
            if answer.holds:
                found.append((runner.rule, answer))
            elif answer.holds is None:
                unreadable += (runner.rule.id,)
        if not found:
            return Ruling(None, {}, unreadable)
        rule, answer = max(found, key=lambda pair: _weight(pair[0]))
        return Ruling(rule, answer.facts, unreadable)


def _weight(rule: Rule) -> tuple[bool, bool, bool, int]:
    """What a rule weighs. Where two ask, what is known of the use must not change what no answer means."""
    return rule.decide is Choice.REVOKE, rule.asks, not rule.by_use, SEVERITIES.index(rule.severity)


def _getters(policy: Policy, classes: Classes) -> dict[str, Getter]:
    """Return field -> how to read it off a grant; None stands for unknown."""

    def resource_class(grant: Grant) -> str | None:
        key = (grant.key.system, grant.key.account, grant.key.resource_type, grant.key.resource_id)
        if key not in classes:
            if len(classes) >= REMEMBERED:
                classes.clear()
            classes[key] = policy.resource_class(*key)
        return classes[key]

    return {
        "grant.id": lambda grant: grant.grant_id,
        "grant.system": lambda grant: grant.key.system,
        "grant.account": lambda grant: grant.key.account,
        "grant.entitlement": lambda grant: grant.key.entitlement,
        "grant.native_id": lambda grant: grant.key.native_id,
        "grant.origin": lambda grant: grant.origin,
        "grant.has_end": _has_end,
        "grant.expires_at": _expires_at,
        "grant.attributes": lambda grant: tuple(sorted(grant.attributes.items())),
        "grant.last_used_days": lambda grant: grant.last_used_days,
        "resource.type": lambda grant: grant.key.resource_type,
        "resource.id": lambda grant: grant.key.resource_id,
        "resource.name": lambda grant: grant.resource_name or None,
        "resource.class": resource_class,
    }


def _expires_at(grant: Grant) -> datetime | None:
    moment = grant.expires_at
    return moment if moment is not None and moment.tzinfo is not None else None


def _has_end(grant: Grant) -> bool | None:
    """Return True with a readable end, False without an end, None (unknown) with an unreadable one."""
    if _expires_at(grant) is not None:
        return True
    return None if grant.expires_raw or grant.expires_at is not None else False
