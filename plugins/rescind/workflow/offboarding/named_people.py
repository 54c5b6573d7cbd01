"""Runs about people that do not list everybody first.

In systems that list by principal such a run lists the people whom it names. The scope has the part
:data:`~rescind.ledger.NAMED_PEOPLE`: it proves what these people have left in this system. In others it reads the
containers in which the last whole listing shows them. That part, :data:`~rescind.ledger.KNOWN_ACCESS`, proves nothing
about other containers, so a run over everybody follows.

Both say nothing about anybody else: they are no baseline, no comparison and no source for a rule about absence. The
share of the population that a plan may revoke is measured against the last listing of the whole population.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from rescind.errors import ListingIncompleteError
from rescind.evidence.bundle.known import add_containers, containers
from rescind.ledger import NAMED_PEOPLE, SETTINGS, Ledger, Run, Scope, ScopeSpec
from rescind.ledger.runs.scopes import SealedPeople
from rescind.model import KNOWN_ACCESS, Grant, Principal, PrincipalType
from rescind.review import Decider, index_principals
from rescind.review.knowledge import PrincipalKey, principal_key
from rescind.settings import ReviewRequest, Settings
from rescind.snapshot_tree import PrincipalId
from rescind.systems import system_named
from rescind.systems.population import Sentinel
from rescind.workflow.inputs import inputs_of, own_ids

MOST_NAMED = 20
"""Most principals of a request that are listed one by one; with more of them the whole population is listed."""
NOTE = "named_people"
"""Name of the note of a scope: ``{"users": [id], "whole_run": number, "whole_at": time, "population": grants}``."""


def narrowed(
    ledger: Ledger,
    settings: Settings,
    request: ReviewRequest,
    specs: Sequence[ScopeSpec],
    now: datetime,
    *,
    known_first: bool = False,
) -> tuple[list[ScopeSpec], list[str]]:
    """Return the scopes of a run that begins, and what is to be said about them.

    :param specs: every scope, each of a whole population.
    :param known_first: whether the run may read known access only, because a run over everybody follows it. Then a
        system that can do neither is left to that run.
    """
    hours = settings.targeted_discovery_hours
    if not hours or request.kind != "targets" or not request.principals:
        return list(specs), []
    found, lines, left = list[ScopeSpec](), list[str](), list[ScopeSpec]()
    for spec in specs:
        system = system_named(spec.system)
        part = NAMED_PEOPLE if system.lists_people else KNOWN_ACCESS if known_first and system.reads_known else ""
        why = _why_whole(ledger, request, spec, now - timedelta(hours=hours)) if part else ""
        if why:
            lines.append(f"{system.title}: the whole population is listed: {why}")
        (found if part and not why else left).append(replace(spec, part="" if why else part))
    if any(spec.part == KNOWN_ACCESS for spec in found):
        names = ", ".join(sorted({system_named(spec.system).title for spec in left}))
        return found, [*lines, *([f"left to the run that follows: {names}"] if left else [])]
    listed = {(spec.system, spec.account): spec for spec in found}
    return [listed.get((spec.system, spec.account), spec) for spec in specs], lines


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
    :ivar read: ids of the containers that are read, where only known access is.
    :raises ListingIncompleteError: when the ledger has no listing of the whole population any more.
    """

    def __init__(self, ledger: Ledger, run: Run, scope: Scope, also: Iterable[str] = ()) -> None:
        whole = ledger.scopes.last_whole(scope.system, scope.account)
        if whole is None:
            raise ListingIncompleteError("the last listing of the whole population", "the ledger has none any more")
        self._ledger, self._run, self._scope, self._whole = ledger, run, scope, whole
        self._also = frozenset(also)
        self.users: frozenset[str] = frozenset()
        self.read: frozenset[str] | None = None

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

    def containers(self, sentinels: Iterable[Sentinel]) -> frozenset[str]:
        """Return the containers in which the last whole listing shows a revocable grant of the people, or a sentinel.

        What a group, a role or everybody holds there is read with the rest of the container. Containers in which only
        a group of theirs holds something are not read: no call of the run would take that.
        """
        snapshot, system = self._ledger.snapshot, system_named(self._scope.system)
        where = (self._whole.run_id, self._scope.system, self._scope.account)
        self.choose(snapshot.principals(*where))
        known = [one for one in snapshot.grants_of_users(*where, self.users) if one.revocable] if self.users else []
        wanted = {(one.principal, one.resource, one.entitlement) for one in sentinels}
        holders = {(kind, one[0]) for one in wanted for kind in PrincipalType}
        run_id, name, account = where
        for one in snapshot.grants(run_id, system=name, account=account, holders=holders) if wanted else ():
            if (one.key.principal_id, one.key.resource_id, one.key.entitlement) in wanted:
                known.append(one)
        self.read = frozenset(system.container(one) for one in known)
        return self.read

    def note(self) -> dict[str, Any]:
        """Return the note of the scope, see :data:`NOTE`."""
        return {
            "users": sorted(self.users),
            "whole_run": self._whole.run_number,
            "whole_at": self._whole.ended_at.isoformat(),
            "population": self._whole.remaining,
            **({} if self.read is None else {"containers": len(self.read)}),
        }


def sealed_people(ledger: Ledger, run: Run) -> SealedPeople | None:
    """Return what names the people of a run in each scope when its snapshot is sealed; None if it names nobody.

    Named is everybody whose grants the decisions could count as named, under every id, also without a grant, and the
    groups, roles and other containers that these are in, at any depth: the seal does not cover memberships.
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

    @cache
    def named(key: PrincipalKey) -> bool:
        return (who := view(key)).named or who.perhaps

    users = {ident for one in listed if named(principal_key(one)) for ident in _ids_of(one)}
    users |= {ident for _, ident in theirs} | {ident for _, _, ident in resolved.raw}
    above = _containers(ledger, run, users)

    def people(scope: Scope, holders: Sequence[PrincipalId]) -> dict[str, Any]:
        system = system_named(scope.system)
        spaces = {scope.system, *system.id_spaces, system.member_space}
        mine = [one for one in listed if (one.system, one.account) == (scope.system, scope.account)]
        others = {(one.principal_type, one.principal_id): one.other_ids for one in mine}
        keys = (PrincipalKey(scope.system, scope.account, *one) for one in {*others, *holders})
        found = {(str(key.principal_type), key.principal_id) for key in keys if named(key)}
        found |= {(kind, ident) for name, kind, ident in resolved.raw if name == scope.system}
        ids = {pair for key in found for pair in others.get(key, ())} | theirs
        found |= {(str(PrincipalType.USER), ident) for space, ident in ids if space in spaces}
        add_containers(found, above.get((scope.system, scope.account), {}))
        return {"asked": list(request.principals), "principals": sorted(map(list, found))}

    return people


def _ids_of(principal: Principal) -> list[str]:
    return [principal.principal_id, *(ident for _, ident in principal.other_ids)]


def _containers(
    ledger: Ledger, run: Run, users: Collection[str]
) -> Mapping[tuple[str, str], Mapping[PrincipalId, Collection[PrincipalId]]]:
    """Return the containers of these users and of every other member, by account."""
    asked = {(str(PrincipalType.USER), ident) for ident in users}
    return containers(
        (
            (edge.system, edge.account),
            (str(edge.member_type), edge.member_id),
            (str(edge.container_type), edge.container_id),
        )
        for edge in ledger.snapshot.memberships(run.run_id, users=asked)
    )


def named_of(
    scopes: Iterable[Scope], parts: Collection[str] = (NAMED_PEOPLE,)
) -> Mapping[tuple[str, str], Mapping[str, Any]]:
    """Return the notes of the complete scopes of named people, by system and account."""
    return {
        (scope.system, scope.account): scope.notes.get(NOTE, {})
        for scope in scopes
        if scope.part in parts and scope.state == "complete"
    }


def reads_known(ledger: Ledger, run: Run) -> bool:
    """Return whether a run reads known access only, in some systems, so that a run over everybody has to follow."""
    return any(scope.part == KNOWN_ACCESS for scope in ledger.scopes.all(run.run_id))


def named_lines(ledger: Ledger, run: Run) -> Iterator[str]:
    """Yield one sentence for each system and account of which only named people were listed, or only known access."""
    scopes = ledger.scopes.all(run.run_id)
    if run.follows:
        yield f"This run completes run {run.follows}, which read known access only: it lists everything else, too"
    for (system, account), note in sorted(named_of(scopes).items()):
        yield (
            f"{system_named(system).title} ({account}): only the named people ({len(note['users'])} users) were listed,"
            " and the objects on which they hold something. What they have left is proven; nothing is said about other"
            f" people, who were last listed in {_listed_in(note)}"
        )
    known = named_of(scopes, (KNOWN_ACCESS,))
    for (system, account), note in sorted(known.items()):
        yield (
            f"{system_named(system).title} ({account}): only known access was read: the {note['containers']} objects"
            f" on which {_listed_in(note)} showed a grant of the named people ({len(note['users'])} users). What they"
            " hold elsewhere, or got since then, is not known before the run over everybody that follows"
        )
    if names := systems_asked(ledger, run) - {scope.system for scope in scopes} if known else ():
        titles = ", ".join(sorted(system_named(name).title for name in names))
        yield f"Not read in this run, only in the run over everybody that follows: {titles}"


def systems_asked(ledger: Ledger, run: Run) -> set[str]:
    """Return the systems that a run asks about: those of its form, as far as they were connected when it began."""
    recorded = ledger.inputs.facts(run.run_id, SETTINGS).get("record", {}).get("settings", {})
    connected = {name for name, conn_ids in recorded.get("connections", {}).items() if conn_ids}
    return connected & set(run.params.get("systems") or connected)


def _listed_in(note: Mapping[str, Any]) -> str:
    return f"run {note['whole_run']} ({note['whole_at'][:16].replace('T', ' ')} UTC)"
