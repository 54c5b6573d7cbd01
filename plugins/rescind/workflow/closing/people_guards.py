"""Guards that look at people behind groups: nobody protected loses access, and no administration is left to nobody."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from rescind.ledger import Ledger, Run
from rescind.model import Grant, Membership, PrincipalType
from rescind.plan.access_graph import Node
from rescind.plan.guards import AdminSlot, admin_slot
from rescind.review import Decider, PrincipalKey
from rescind.systems import system_named
from rescind.systems.effective import CONTAINERS
from rescind.workflow.closing.group_audience import GroupAudience
from rescind.workflow.closing.surroundings import complete_systems, product
from rescind.workflow.inputs import decision_context

Place = tuple[str, str]
"""(product, account)."""


@dataclass
class PeopleGuards:
    """What planned grants do to people behind groups."""

    ledger: Ledger
    run: Run

    def hold_protected(self, planned: Collection[Grant]) -> dict[str, str]:
        """Return by grant id the grants of groups with which a protected person or our own identity loses access.

        Who is protected by kind only, such as a service account, may lose what a group has.
        """
        held: dict[str, str] = {}
        groups = [grant for grant in planned if grant.key.principal_type in CONTAINERS]
        gone = {grant.grant_id for grant in planned}
        decider = Decider(decision_context(self.ledger, self.run)) if groups else None
        for (_, account), systems, grants in self._by_place(groups):
            audience = GroupAudience(self.ledger, self.run, account, systems)
            people = {one for grant in grants for one in audience.people(_holder(grant))}
            assert decider is not None
            reasons = {
                one: why
                for one in people
                for name in systems
                if (why := decider.protections.principal(decider.people.ids(_user(name, account, one))))
            }
            for ident, losing in audience.losing(grants, gone, reasons.keys()).items():
                if who := min(losing, default=""):
                    held[ident] = f"{who} is behind the group and would lose access: {reasons[who]}"
        return held

    def hold_last_people(self, planned: Collection[Grant]) -> dict[str, str]:
        """Return by grant id the memberships whose end leaves a group that holds an administration without people.

        Only where nobody else holds it.
        """
        held: dict[str, str] = {}
        for (_, account), systems, grants in self._by_place(planned):
            edges = {grant.grant_id: system_named(grant.key.system).memberships(grant) for grant in grants}
            ending = [edge for found in edges.values() for edge in found]
            if not ending:
                continue
            gone = {grant.grant_id for grant in grants}
            slots = self._group_slots(systems, account, gone)
            if not slots:
                continue
            before = GroupAudience(self.ledger, self.run, account, systems)
            after = GroupAudience(self.ledger, self.run, account, systems, ending)
            for slot, holders in slots.items():
                if not any(before.people(one) for one in holders) or any(after.people(one) for one in holders):
                    continue
                inside = set(holders).union(*(before.containers(one) for one in holders))
                why = f"would leave {slot.resource_type} {slot.resource_id} without a person who has {slot.entitlement}"
                held |= {ident: why for ident, found in edges.items() if any(_into(edge) in inside for edge in found)}
        return held

    def _group_slots(
        self, systems: Collection[str], account: str, gone: Collection[str]
    ) -> dict[AdminSlot, list[Node]]:
        """Return the administrations that groups hold and no person holds by a grant that stays, with the groups."""
        slots: dict[AdminSlot, list[Node]] = defaultdict(list)
        personal: set[AdminSlot] = set()
        for name in systems:
            wanted = system_named(name).admin_entitlements
            grants = self.ledger.snapshot.grants
            found = grants(self.run.run_id, system=name, account=account, entitlements=wanted)
            for grant in found if wanted else ():
                if grant.grant_id in gone:
                    continue
                if grant.key.principal_type in CONTAINERS:
                    slots[admin_slot(grant.key)].append(_holder(grant))
                else:
                    personal.add(admin_slot(grant.key))
        return {slot: holders for slot, holders in slots.items() if slot not in personal}

    def _by_place(self, grants: Collection[Grant]) -> Iterator[tuple[Place, list[str], list[Grant]]]:
        found: dict[Place, list[Grant]] = defaultdict(list)
        for grant in grants:
            found[product(grant.key.system), grant.key.account].append(grant)
        complete: Mapping[Place, list[str]] = complete_systems(self.ledger, self.run) if found else {}
        for place, mine in sorted(found.items()):
            yield place, complete.get(place, []), mine


def _holder(grant: Grant) -> Node:
    return (str(grant.key.principal_type), grant.key.principal_id)


def _user(system: str, account: str, ident: str) -> PrincipalKey:
    return PrincipalKey(system, account, PrincipalType.USER, ident)


def _into(edge: Membership) -> Node:
    return (str(edge.container_type), edge.container_id)
