"""The paths by which a person reaches what, each with what becomes of it in a run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rescind.ledger import SETTINGS, Ledger, Run, Scope
from rescind.model import KNOWN_ACCESS, Grant, GrantKey, PrincipalType
from rescind.plan.access_graph import Node
from rescind.review.text import printable
from rescind.run_state.states import GOES, GONE, STAYS, Fate, fate_of, words_of
from rescind.systems import system_named, titles
from rescind.systems.access_path import AccessPath, access_text
from rescind.workflow.closing.surroundings import Surroundings, complete_systems, ended_elsewhere, product
from rescind.workflow.offboarding.named_people import named_of

_STAYS = Fate(STAYS, "stays")
_PROVEN = ("verified_gone", "already_absent")
_REMAINS = ("still_effective", "record_gone")
User = tuple[str, str, str]
"""(system, account, id of the user there)."""


@dataclass(frozen=True, slots=True)
class MarkedPath:
    """A path, what becomes of it, and what of it goes.

    :param fate: of the whole path: it stays unless one of its steps goes.
    :param step: number of the step that goes: 0 is the person's own membership, the last one is the grant.
    """

    path: AccessPath
    fate: Fate
    step: int | None = None


@dataclass(frozen=True, slots=True)
class PersonPaths:
    """The paths of one user of an account, over all systems of a product that were listed completely for this user.

    :param own: ids of the grants that the user holds.
    :param name: of the user, where a grant has it.
    :param remains: what the checks say of records that are gone while access is not proven gone: words and text.
    :param proven: whether every planned grant of the user is proven gone.
    """

    principal: str
    systems: Sequence[str]
    account: str
    ways: Sequence[MarkedPath]
    own: frozenset[str] = field(default_factory=frozenset)
    name: str = ""
    remains: Sequence[tuple[str, str]] = ()
    proven: bool = True

    @property
    def title(self) -> str:
        """Who this is, in words."""
        return f"user {self.principal} ({', '.join(self.systems)}; {self.account})"


def person_paths(ledger: Ledger, run: Run, holders: Iterable[GrantKey]) -> Iterator[PersonPaths]:
    """Yield the paths of every user among these holders.

    :param holders: keys of grants; only those of users in completely listed systems count.
    """
    return user_paths(ledger, run, users_of(holders))


def users_of(holders: Iterable[GrantKey]) -> set[User]:
    """Return the users among the holders of these grants."""
    return {(key.system, key.account, key.principal_id) for key in holders if key.principal_type == PrincipalType.USER}


def user_paths(ledger: Ledger, run: Run, users: Iterable[User]) -> Iterator[PersonPaths]:
    """Yield the paths of these users; see :func:`person_paths`.

    A system of which only named people were listed counts for these alone.
    """
    complete, named = complete_systems(ledger, run), _named(ledger, run)
    people: dict[tuple[str, tuple[str, ...]], set[str]] = defaultdict(set)
    for where, account, user in sorted({(product(system), account, user) for system, account, user in users}):
        systems = [one for one in complete.get((where, account), ()) if user in named.get((one, account), {user})]
        if systems:
            people[account, tuple(systems)].add(user)
    for (account, names), found in people.items():
        yield from _in_account(ledger, run, account, list(names), found)


def gaps(ledger: Ledger, run: Run, users: Collection[User]) -> Iterator[str]:
    """Yield the systems about which the run says nothing for a person, each with the reason.

    :param users: the accounts of the person.
    """
    named, listed = _named(ledger, run), set[str]()
    known = _known(ledger.scopes.all(run.run_id))
    for count in ledger.snapshot.counts(run.run_id):
        listed.add(count.system)
        where = f"{system_named(count.system).title} ({printable(count.account)})"
        place = (product(count.system), count.account)
        mine = {user for system, account, user in users if (product(system), account) == place}
        if not count.complete:
            yield f"{where}: not listed completely"
        elif (count.system, count.account) in known:
            yield f"{where}: only known access was read"
        elif (only := named.get((count.system, count.account))) is not None and not (mine and mine <= only):
            yield f"{where}: listed only for the people of this run"
    recorded = ledger.inputs.facts(run.run_id, SETTINGS).get("record", {}).get("settings", {})
    for name in sorted(recorded.get("connections", {}).keys() - listed):
        yield f"{titles().get(name, name)}: not listed in this run"


def _named(ledger: Ledger, run: Run) -> dict[tuple[str, str], frozenset[str]]:
    """Return the users who alone were listed, by system and account; nobody where only known access was read."""
    scopes = ledger.scopes.all(run.run_id)
    named = {place: frozenset(note.get("users", ())) for place, note in named_of(scopes).items()}
    return named | dict.fromkeys(_known(scopes), frozenset[str]())


def _known(scopes: Iterable[Scope]) -> set[tuple[str, str]]:
    return {(scope.system, scope.account) for scope in scopes if scope.part == KNOWN_ACCESS}


def _can_send(ledger: Ledger, run: Run) -> bool:
    """Return whether anything planned can still go: nobody ended or rejected the run, or let its approval expire."""
    if run.dry_run or run.finished_at is not None or run.state == "abandoned":
        return False
    plan = ledger.plans.find(run.run_id)
    asked = ledger.approvals.get(run.run_id, plan.digest) if plan else None
    if asked is None:
        return True
    return asked.answer == "approve" if asked.answer else asked.valid_until > datetime.now(UTC)


def _in_account(ledger: Ledger, run: Run, account: str, systems: list[str], people: set[str]) -> Iterator[PersonPaths]:
    around = Surroundings(ledger, run, account, systems, people)
    ways = {person: list(around.paths(person)) for person in sorted(people)}
    ids = {grant.grant_id for grants in around.own.values() for grant in grants}
    ids |= {way.grant.grant_id for found in ways.values() for way in found}
    known, can_send = ledger.plans.standing(run.run_id, sorted(ids)), _can_send(ledger, run)
    fates = {
        ident: fate_of(state, verdict, can_send=can_send, reason=reason)
        for ident, (state, verdict, _, reason) in known.items()
    }
    going = frozenset(ident for ident, fate in fates.items() if fate.kind != STAYS)
    after = around
    if going:
        _, elsewhere = ended_elsewhere(ledger, run, going)
        after = Surroundings(ledger, run, account, systems, people, going | elsewhere)
    for person, before in ways.items():
        marked = _marked(person, before, around, after, fates)
        marked.sort(key=lambda one: (one.fate.kind != STAYS, len(one.path.through), one.path.describe()))
        nodes = around.nodes[person]
        every = (one for grants in around.own.values() for one in grants)
        mine = [one for one in every if (str(one.key.principal_type), one.key.principal_id) in nodes]
        own = frozenset(one.grant_id for one in mine)
        name = next((one.principal_name for one in mine if one.principal_name), "")
        planned = {one.grant_id: one for one in (*mine, *(way.grant for way in before)) if one.grant_id in known}
        proven = all(known[ident][1] in _PROVEN for ident in planned)
        remains = list(_remaining(planned, known, marked))
        yield PersonPaths(person, systems, account, marked, own, name, remains, proven)


def _remaining(
    planned: Mapping[str, Grant], known: Mapping[str, tuple[str, str, str, str]], marked: Collection[MarkedPath]
) -> Iterator[tuple[str, str]]:
    """Yield what a check says of each record that is gone while access is not; nothing twice."""
    shown = {one.path.describe() for one in marked if one.fate.kind == STAYS}
    for ident, grant in sorted(planned.items()):
        _, verdict, path, _ = known[ident]
        if verdict in _REMAINS and path not in shown:
            yield words_of(verdict), f"{access_text(grant)}: {path or 'no more is known'}"


def _marked(
    person: str, before: Iterable[AccessPath], around: Surroundings, after: Surroundings, fates: Mapping[str, Fate]
) -> list[MarkedPath]:
    """Return the paths with what becomes of each.

    A path that stays is one of what remains without everything that goes. So a path that a second membership keeps open
    is never shown as one that goes only.
    """
    found = {}
    for way in after.paths(person) if after is not around else ():
        found[way.through, way.grant.grant_id] = MarkedPath(way, fates.get(way.grant.grant_id, _STAYS))
    for way in before:
        place = (way.through, way.grant.grant_id)
        if place not in found:
            found[place] = _cut(way, person, around, after, fates)
    return list(found.values())


def _cut(
    way: AccessPath, person: str, around: Surroundings, after: Surroundings, fates: Mapping[str, Fate]
) -> MarkedPath:
    fate = fates.get(way.grant.grant_id, _STAYS)
    if fate.kind != STAYS:
        return MarkedPath(way, fate, len(way.through))
    if way.through and way.through[0][0] != PrincipalType.EVERYONE:
        nodes = [node for node in after.nodes[person] if way.through[0] in around.outward.get(node, ())]
        if not any(way.through[0] in after.outward.get(node, ()) for node in nodes):
            return MarkedPath(way, _ended(nodes, way.through[0], around, fates), 0)
    return MarkedPath(way, fate)


def _ended(nodes: Iterable[Node], container: Node, around: Surroundings, fates: Mapping[str, Fate]) -> Fate:
    """Return the fate of a membership that ends: it is gone only when every record of it is."""
    records: list[Grant] = [one for node in nodes for one in around.records.get((node, container), ())]
    kinds = [fates[one.grant_id] for one in records if one.grant_id in fates]
    open_ones = [fate for fate in kinds if fate.kind != GONE]
    found = next(iter(open_ones or kinds), Fate(GOES, "goes with another record"))
    return Fate(found.kind, f"membership {found.words}")


def paths_text(found: PersonPaths) -> Iterator[str]:
    """Yield the paths of one person as lines of text."""
    yield f"paths of {printable(found.title)}: {len(found.ways)}"
    yield from (f"  [{words}] {printable(text)}" for words, text in found.remains)
    for way in found.ways:
        yield f"  [{way.fate.words}] {printable(way.path.describe())}"
