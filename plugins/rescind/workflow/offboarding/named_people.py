"""Runs that list only the people whom they name, in systems that list by principal.

Such a scope has the part :data:`~rescind.ledger.NAMED_PEOPLE`. It proves what these people have left in this system,
and says nothing about anybody else: it is no baseline, no comparison and no source for a rule about absence. The share
of the population that a plan may revoke is measured against the last listing of the whole population.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from rescind.errors import ListingIncompleteError
from rescind.ledger import NAMED_PEOPLE, Ledger, Run, Scope, ScopeSpec
from rescind.ledger.runs.scopes import SealedPeople
from rescind.model import Grant, Principal, PrincipalType
from rescind.review import Decider, index_principals
from rescind.review.knowledge import PrincipalKey, principal_key
from rescind.settings import ReviewRequest, Settings
from rescind.snapshot_tree import PrincipalId
from rescind.systems import system_named
from rescind.workflow.inputs import inputs_of, own_ids

MOST_NAMED = 20
"""Most principals of a request that are listed one by one; with more of them the whole population is listed."""
NOTE = "named_people"
"""Name of the note of a scope: ``{"users": [id], "whole_run": number, "whole_at": time, "population": grants}``."""


def narrowed(
    ledger: Ledger, settings: Settings, request: ReviewRequest, specs: Sequence[ScopeSpec], now: datetime
) -> tuple[list[ScopeSpec], list[str]]:
    """Return the scopes of a run that begins, and why a whole population is listed although people are named.

    :param specs: every scope, each of a whole population.
    """
    hours = settings.targeted_discovery_hours
    if not hours or request.kind != "targets" or not request.principals:
        return list(specs), []
    found, lines = [], []
    for spec in specs:
        if not system_named(spec.system).lists_people:
            found.append(spec)
        elif why := _why_whole(ledger, request, spec, now - timedelta(hours=hours)):
            found.append(spec)
            lines.append(f"{system_named(spec.system).title}: the whole population is listed: {why}")
        else:
            found.append(replace(spec, part=NAMED_PEOPLE))
    return found, lines


def _why_whole(ledger: Ledger, request: ReviewRequest, spec: ScopeSpec, since: datetime) -> str:
    if len(request.principals) > MOST_NAMED:
        return f"the request names more than {MOST_NAMED} principals"
    if request.close_paths != "report":
        return "the run may also end other paths, and everybody else on them has to be known"
    whole = ledger.scopes.last_whole(spec.system, spec.account)
    if whole is None:
        return "it was never listed completely, so no share of it can be computed"
    if whole.ended_at < since:
        return f"its last complete listing, run {whole.run_number}, is of {whole.ended_at:%Y-%m-%d %H:%M} UTC"
    return ""


class RunPeople:
    """The people whom a run names, in one scope; see :class:`~rescind.systems.named_people.NamedPeople`.

    :param also: ids of further users to list, such as the holders of sentinels; the plan never takes from them.
    :ivar users: ids of the users whom the run names, once they were chosen.
    :raises ListingIncompleteError: when the ledger has no listing of the whole population any more.
    """

    def __init__(self, ledger: Ledger, run: Run, scope: Scope, also: Iterable[str] = ()) -> None:
        whole = ledger.scopes.last_whole(scope.system, scope.account)
        if whole is None:
            raise ListingIncompleteError("the last listing of the whole population", "the ledger has none any more")
        self._ledger, self._run, self._scope, self._whole = ledger, run, scope, whole
        self._also = frozenset(also)
        self.users: frozenset[str] = frozenset()

    def choose(self, principals: Iterable[Principal]) -> frozenset[str]:
        """Return everybody whose grants the decisions could count as named, and ``also``."""
        listed = [one for one in principals if one.principal_type == PrincipalType.USER]
        system = self._scope.system
        systems = frozenset(scope.system for scope in self._ledger.scopes.all(self._run.run_id))
        # Our own ids matter for protections only. This run notes them at the end of a discovery.
        own_ids = [(name, ident) for name in sorted(systems) for ident in self._ledger.scopes.own_ids(name)]
        base = inputs_of(self._ledger, self._run).context(own_ids, now=self._run.started_at.astimezone(UTC))
        decider = Decider(replace(base, principals=index_principals(listed), systems=systems))
        request = decider.request
        if request is None or not (request.people or request.ids or request.raw):
            raise ListingIncompleteError("the people of the run", "the run names nobody, so everybody must be listed")
        views = ((one.principal_id, decider.people.view(principal_key(one))) for one in listed)
        named = {ident for ident, view in views if view.named or view.perhaps}
        # The platform may not list them any more, and records of theirs may remain.
        spaces = (system, system_named(system).id_spaces[0])
        named |= {ident for space, ident in request.ids | request.theirs if space in spaces}
        named |= {ident for name, kind, ident in request.raw if (name, kind) == (system, PrincipalType.USER)}
        self.users = frozenset(named)
        return self.users | self._also

    async def known(self, users: Collection[str]) -> Collection[Grant]:
        """Return the grants of these users in the last listing of the whole population."""
        where = (self._whole.run_id, self._scope.system, self._scope.account)
        return await asyncio.to_thread(lambda: list(self._ledger.snapshot.grants_of_users(*where, users)))

    def note(self) -> dict[str, Any]:
        """Return the note of the scope, see :data:`NOTE`."""
        return {
            "users": sorted(self.users),
            "whole_run": self._whole.run_number,
            "whole_at": self._whole.ended_at.isoformat(),
            "population": self._whole.remaining,
        }


def sealed_people(ledger: Ledger, run: Run) -> SealedPeople | None:
    """Return what names the people of a run in each scope when its snapshot is sealed; None if it names nobody.

    Named is everybody whose grants the decisions could count as named, under every id, also without a grant.
    """
    request = ReviewRequest.model_validate(dict(run.params))
    if request.kind != "targets" or not request.principals:
        return None
    scopes = ledger.scopes.all(run.run_id)
    if not any(scope.state == "complete" for scope in scopes):
        return None  # nothing will be decided
    systems = frozenset(scope.system for scope in scopes)
    listed = list(ledger.snapshot.principals(run.run_id))
    base = inputs_of(ledger, run).context(own_ids(ledger, run), now=run.started_at.astimezone(UTC))
    decider = Decider(replace(base, principals=index_principals(listed), systems=systems))
    resolved, view = decider.request, decider.people.view
    if resolved is None:
        return None
    theirs = resolved.ids | resolved.theirs

    def people(scope: Scope, holders: Sequence[PrincipalId]) -> dict[str, Any]:
        system = system_named(scope.system)
        spaces = {scope.system, *system.id_spaces, system.member_space}
        mine = [one for one in listed if (one.system, one.account) == (scope.system, scope.account)]
        others = {(one.principal_type, one.principal_id): one.other_ids for one in mine}
        found = {
            (str(kind), ident)
            for kind, ident in {*others, *holders}
            if (who := view(PrincipalKey(scope.system, scope.account, kind, ident))).named or who.perhaps
        }
        found |= {(kind, ident) for name, kind, ident in resolved.raw if name == scope.system}
        ids = {pair for key in found for pair in others.get(key, ())} | theirs
        found |= {(str(PrincipalType.USER), ident) for space, ident in ids if space in spaces}
        return {"asked": list(request.principals), "principals": sorted(map(list, found))}

    return people


def named_of(scopes: Iterable[Scope]) -> Mapping[tuple[str, str], Mapping[str, Any]]:
    """Return the notes of the complete scopes of named people, by system and account."""
    return {
        (scope.system, scope.account): scope.notes.get(NOTE, {})
        for scope in scopes
        if scope.part == NAMED_PEOPLE and scope.state == "complete"
    }


def named_lines(ledger: Ledger, run: Run) -> Iterator[str]:
    """Yield one sentence for each system and account of which only named people were listed."""
    for (system, account), note in sorted(named_of(ledger.scopes.all(run.run_id)).items()):
        yield (
            f"{system_named(system).title} ({account}): only the named people ({len(note['users'])} users) were listed,"
            " and the objects on which they hold something. What they have left is proven; nothing is said about other"
            f" people, who were last listed in run {note['whole_run']} ({note['whole_at'][:16].replace('T', ' ')} UTC)"
        )
