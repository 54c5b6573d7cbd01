"""Policies: rules in YAML with conditions in CEL, checked whole before anything runs.

A policy decides for each grant ``keep``, ``revoke`` or ``ask``: the grant stays, unless a run asks the owner of the
resource and the owner (or the written rule for no answer) says that it goes. How several matching rules combine
is written out (``combine``), and so is what happens when none matches (``otherwise: keep``, the only answer).
The version of a policy is the digest of its content, so that formatting and comments do not change it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from cel_expr_python import cel
from pydantic import Field, StringConstraints

from rescind.errors import InputError
from rescind.model import Choice, digest
from rescind.review.files import Line, Strict, load
from rescind.review.patterns import check_pattern, matches
from rescind.review.policy.conditions import Condition, ConditionError, compile_condition, environment
from rescind.review.policy.params import read_params
from rescind.review.policy.schema import HINTS, VARIABLES, Source
from rescind.review.text import YamlFile

RESERVED = ("kept.", "requested")
"""Beginnings of rule names that belong to the fixed rules of ``decide``."""

Code = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.-]{0,63}$")]
Severity = Literal["low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high", "critical")


class RuleFile(Strict):
    """One rule as written."""

    id: Code
    description: Line
    when: Annotated[str, StringConstraints(min_length=1, max_length=4000)]
    decide: Literal["keep", "revoke", "ask"]
    reason: Code
    severity: Severity
    controls: list[Line] = Field(default_factory=list, max_length=50)
    acts_on_absence: bool = False


class ResourceClassFile(Strict):
    """Resources that a policy calls by one name: the first entry that fits a resource gives ``resource.class``."""

    name: Code = Field(alias="class")
    system: Line | None = None
    account: Line | None = None
    type: Line | None = None
    ids: list[Line] = Field(min_length=1, max_length=100_000)
    glob: bool = False


class PolicyFile(Strict):
    """A policy as written."""

    format: Literal[1]
    policy: Code
    description: Line
    combine: Literal["first_match", "most_restrictive"]
    params: dict[str, Any] = Field(default_factory=dict)
    resource_classes: list[ResourceClassFile] = Field(default_factory=list)
    rules: list[RuleFile] = Field(min_length=1, max_length=200)
    otherwise: Literal["keep"]


@dataclass(frozen=True)
class Rule:
    """A rule ready to run.

    :param decide: what happens without anybody's answer: a rule that asks keeps.
    :param asks: whether the owner of the resource is to be asked.
    :param absence: sources whose absences the rule believes; it is evaluated only where all are complete.
    :param by_use: it looks at when a grant was last used, or stands behind one that does. Then nothing goes without
        the answer of a person.
    """

    id: str
    description: str
    condition: Condition
    decide: Choice
    reason: str
    severity: Severity
    controls: tuple[str, ...]
    absence: frozenset[Source] = frozenset()
    asks: bool = False
    by_use: bool = False

    @property
    def effect(self) -> str:
        """``keep``, ``revoke`` or ``ask``, as the policy says."""
        return "ask" if self.asks else str(self.decide)


@dataclass(frozen=True)
class ResourceClass:
    """One entry of the policy's resource classes; fields that are None fit everything."""

    name: str
    system: str | None
    account: str | None
    type: str | None
    ids: frozenset[str]
    patterns: tuple[str, ...]

    def fits(self, system: str, account: str, kind: str, resource_id: str) -> bool:
        """Return whether the resource belongs to the class."""
        here = self.system in (None, system) and self.account in (None, account) and self.type in (None, kind)
        return here and (resource_id in self.ids or any(matches(p, resource_id, glob=True) for p in self.patterns))


@dataclass(frozen=True)
class Policy:
    """A checked policy.

    :param version: SHA-256 (hex) of the canonical content, parameters included.
    :param params: parameters as CEL values, by their name without ``params.``.
    """

    name: str
    version: str
    description: str
    source: str
    combine: Literal["first_match", "most_restrictive"]
    rules: tuple[Rule, ...]
    params: Mapping[str, Any]
    classes: tuple[ResourceClass, ...] = field(repr=False)
    file: PolicyFile = field(repr=False)

    def resource_class(self, system: str, account: str, kind: str, resource_id: str) -> str | None:
        """Return the class of a resource, or None."""
        return next((entry.name for entry in self.classes if entry.fits(system, account, kind, resource_id)), None)


def load_policy(text: bytes | str, *, source: str) -> Policy:
    """Return the policy in a YAML text.

    :param source: name of the file, for error messages.
    :raises InputError: naming file, line, rule and position in the condition.
    """
    model, file = load(PolicyFile, text, source=source)
    return _build(model, file, source)


def _build(model: PolicyFile, file: YamlFile, source: str) -> Policy:
    types, values = read_params(model.params, source)
    env = environment(types)
    classes = tuple(_classes(model, file, source))
    rules: list[Rule] = []
    for number, rule in enumerate(model.rules):
        where = f"{source}, line {file.line(('rules', number, 'when'))}, rule {rule.id}"
        if any(rule.id == other.id for other in rules):
            raise InputError(where, "a second rule with this id", "Give every rule an id of its own.")
        behind = model.combine == "first_match" and any(earlier.by_use for earlier in rules)
        rules.append(_rule(rule, env, model.combine, where, behind=behind))
    version = digest(model.model_dump(mode="json", by_alias=True))
    return Policy(model.policy, version, model.description, source, model.combine, tuple(rules), values, classes, model)


def _classes(model: PolicyFile, file: YamlFile, source: str) -> Iterator[ResourceClass]:
    for number, entry in enumerate(model.resource_classes):
        for place, pattern in enumerate(entry.ids):
            path = ("resource_classes", number, "ids", place)
            where = f"{source}, line {file.line(path)}, resource class {entry.name}"
            check_pattern(pattern, where=where, glob=entry.glob)
        exact = frozenset() if entry.glob else frozenset(entry.ids)
        patterns = tuple(entry.ids) if entry.glob else ()
        yield ResourceClass(entry.name, entry.system, entry.account, entry.type, exact, patterns)


def _rule(rule: RuleFile, env: cel.Env, combine: str, where: str, *, behind: bool) -> Rule:
    """Return one rule. ``behind``: a rule before it looks at the last use, and so decides which grants it gets."""
    if rule.id.startswith(RESERVED):
        raise InputError(where, f"ids that begin with {' or '.join(RESERVED)} are reserved", "Choose another id.")
    try:
        condition = compile_condition(env, rule.when)
    except ConditionError as error:
        place = f"{where}, condition {error.line}:{error.column}"
        raise InputError(place, error.problem, _remedy(error.problem)) from None
    if rule.decide != "keep" and not any(name in VARIABLES and name != "now" for name in condition.names):
        problem = "a rule that revokes or asks must look at a field of the grant, resource, principal or person"
        raise InputError(where, problem, "Name what to revoke; a condition that is always true is refused.")
    by_use = condition.reads(Source.LAST_USED)
    if rule.decide == "revoke" and (by_use or behind):
        problem = f"a rule {'that looks at' if by_use else 'behind one that looks at'} the last use must not revoke"
        remedy = "No platform shows every use. Write `decide: ask`, or let rules that revoke stand first."
        raise InputError(where, problem, remedy)
    return Rule(
        rule.id,
        rule.description,
        condition,
        Choice.REVOKE if rule.decide == "revoke" else Choice.KEEP,
        rule.reason,
        rule.severity,
        tuple(rule.controls),
        _absence(rule, condition, combine, where),
        rule.decide == "ask",
        by_use or behind,
    )


def _absence(rule: RuleFile, condition: Condition, combine: str, where: str) -> frozenset[Source]:
    """Return the sources whose silent loss could lead to more revocations, by this rule or by those after it.

    A rule that asks counts both ways: it can end in a revocation, and it holds back the rules after it.
    """
    loss: frozenset[str] = frozenset() if rule.decide == "keep" else condition.grows_on_loss
    if rule.decide != "revoke" and combine == "first_match":
        loss |= condition.shrinks_on_loss
    if loss and not rule.acts_on_absence:
        problem = f"missing data in {', '.join(sorted(loss))} could lead to more revocations"
        raise InputError(where, problem, "Invert the condition, or write `acts_on_absence: true` if that is intended.")
    if rule.acts_on_absence and not loss:
        raise InputError(where, "acts_on_absence has no meaning for this condition", "Remove it.")
    return frozenset(VARIABLES[name].source for name in loss)


def _remedy(problem: str) -> str:
    name = problem.split("'")[1] if "undeclared reference to '" in problem else ""
    if name in HINTS:
        return HINTS[name]
    close = difflib.get_close_matches(name, VARIABLES, n=3) if name else []
    if close:
        return f"Did you mean {' or '.join(close)}?"
    if name:
        return f"Fields: {', '.join(VARIABLES)}; parameters: params.<name>."
    return "Correct the condition at that position."
