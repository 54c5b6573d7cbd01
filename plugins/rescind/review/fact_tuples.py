"""Decide for many grants at a time: grants that agree in all facts that a decision can read share the decision.

A million grants have some thousand distinct *fact tuples*. Which fields are in the tuple follows from the rules, the
exceptions and the request. A resource counts only by what is concluded from it (protected, its class, named by the
request, named by exceptions): each group of resources that are equal in that is represented by one of them. A rule that
reads ``resource.id`` or ``grant.id`` puts the ids into the tuple: then the tuples are as many as the resources, or as
the grants, and the decisions are the same.

A field that is not in the tuple cannot be read: see :class:`Unread`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, NoReturn

from rescind.model import Cell, Decision, Grant, GrantKey, Resource
from rescind.review.decide import Decider
from rescind.review.exceptions import Waiver
from rescind.review.policy.rules import READS

ALWAYS = (
    "system",
    "account",
    "principal_type",
    "principal_id",
    "revocable",
    "why_not",
    "inherited_from",
)
"""Fields that every decision reads."""
_CELL = Cell("", "", "", ())


class Unread:
    """Stands for a field that is not in the fact tuple. Whatever is done with it raises an error.

    So a decision that reads a field that was forgotten here stops the run. It is never another grant's decision.
    """

    def _refuse(self, *_: object) -> NoReturn:
        raise AssertionError("a decision reads a field of a grant that is not in its fact tuple")

    __bool__ = __eq__ = __hash__ = __str__ = __repr__ = __iter__ = __len__ = __getattr__ = _refuse


_UNREAD: Any = Unread()


class FactTuples:
    """What the decisions of one run read of a grant, and the decision for each combination of it.

    :ivar columns: fields of :class:`~rescind.model.GrantKey` and :class:`~rescind.model.Grant` in the tuple.
    :ivar by_resource: whether resources are represented by others (:meth:`representatives`) before tuples are
        compared; ``columns`` contain the two fields of the representative then.
    """

    def __init__(self, decider: Decider) -> None:
        self._decider = decider
        ctx = decider.ctx
        names = {name for rule in ctx.policy.rules for name in rule.condition.names} if ctx.policy else set()
        self._waivers = [waiver for waiver in ctx.exceptions.waivers if ctx.now < waiver.end]
        read = {field for name in names for field in READS.get(name, ())}
        read |= {field for waiver in self._waivers for field, _ in waiver.match if field not in Resource._fields}
        self._typed = "resource_type" in read or bool(ctx.request and ctx.covering)
        self._classed = "resource.class" in names
        about_resources = any(_of_resource(waiver) for waiver in self._waivers)
        counts = self._typed or self._classed or about_resources or bool(ctx.protections.resources) or bool(ctx.request)
        self.by_resource = counts and "resource_id" not in read
        if counts or "resource_id" in read:
            read |= set(Resource._fields)
        self.columns = (*ALWAYS, *sorted(read - set(ALWAYS)))

    def representatives(self, resources: Iterable[Resource]) -> Mapping[Resource, Resource]:
        """Return for each resource the one that stands for it. Decisions cannot tell the two apart."""
        first: dict[Hashable, Resource] = {}
        exact, others = self._resource_waivers()
        found = {}
        for resource in resources:
            named = [*exact.get(resource.resource_id, ()), *others]
            found[resource] = first.setdefault(self._concluded(resource, named), resource)
        return found

    def values(self, grant: Grant, resource: Resource | None = None) -> tuple[Any, ...]:
        """Return the fact tuple of a grant, with the resource that stands for its own."""
        own = resource._asdict() if resource else {}
        return tuple(
            own.get(name, getattr(grant.key if name in GrantKey._fields else grant, name)) for name in self.columns
        )

    def decide(self, values: Sequence[Any]) -> Decision:
        """Return the decision for a fact tuple, without an id.

        A fact ``resource.id`` is the representative's: who writes the decision to a grant fills in the grant's own.

        :param values: in the order of ``columns``.
        """
        known = dict(zip(self.columns, values, strict=True))
        key = GrantKey(*(known.pop(name, _UNREAD) for name in GrantKey._fields))
        rest = {
            field.name: known.get(field.name, _UNREAD) for field in fields(Grant) if field.name not in ("key", "cell")
        }
        return self._decider.judge(Grant(key, _CELL, **rest), "")

    def _concluded(self, resource: Resource, waivers: Iterable[Waiver]) -> Hashable:
        """Return everything that a decision can read of a resource, by which resources are compared."""
        ctx = self._decider.ctx
        key = GrantKey(*resource, "", "", "")
        request = self._decider.request
        return (
            resource.system,
            resource.account,
            resource.resource_type if self._typed else "",
            self._decider.protections.resource(key),
            ctx.policy.resource_class(*resource) if ctx.policy and self._classed else None,
            request is not None and resource.resource_id in request.resources,
            tuple(waiver.id for waiver in waivers if waiver.covers_resource(key)),
        )

    def _resource_waivers(self) -> tuple[Mapping[str, Sequence[Waiver]], Sequence[Waiver]]:
        """Return the exceptions that name an exact resource, by its id, and those that name resources otherwise."""
        exact: dict[str, list[Waiver]] = {}
        others = []
        for waiver in filter(_of_resource, self._waivers):
            ident = dict(waiver.match).get("resource_id")
            if ident is None or waiver.glob:
                others.append(waiver)
            else:
                exact.setdefault(ident, []).append(waiver)
        return exact, others


def _of_resource(waiver: Waiver) -> bool:
    return any(field in ("resource_type", "resource_id") for field, _ in waiver.match)
