"""The ways in that are no grants: for each, one leaver who still has it (``--size paths=0`` leaves them out).

Built last and from a stream of its own, so that grants, people and objects are the same with and without it.
Each leaver gets one way in each system as far as there are enough of them, so that it can be told apart.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import cycle

from emulator.build import studio
from emulator.build.sizes import Sizes
from emulator.store.authorizations import WorkAuthorization, day_starts
from emulator.store.datasets import ROW, Dataset, Rule
from emulator.store.dms import TIME_FORMAT, Instance, Proxy, ProxyAccess
from emulator.store.people import Person
from emulator.store.policies import Policy
from emulator.store.quickbi import Group, Menu, Portal, Share, Work, Workspace
from emulator.store.receivers import GROUP, ORGANIZATION, USER, WORKSPACE, Receiver
from emulator.world import World

_ADMIN, _AUTH_ADMIN, _MEMBER = 111111111, 111111112, 111111113
_ORDINARY_MEMBER, _OPERATIONS = "308335260945326080", "308335260844662784"
_CUSTOM_ROLE = ("data_reader", 6001)
_DAY = 86_400_000


def build(world: World, rng: random.Random, sizes: Sizes) -> None:
    """Give each way in to a leaver."""
    leavers = [person for person in world.people if person.left and not person.protected]
    # From the end of the list: the first leavers have the group, the policy and the last administration.
    _dashboards(world, rng)
    _datasets(world, rng)
    studio.build(world, rng)
    if sizes.paths and leavers:
        _wedata(world, cycle(reversed(leavers)))
        _quickbi(world, rng, cycle(reversed(leavers)))
        _dms(world, cycle(reversed([person for person in leavers if person.dms_user_id] or leavers)))


def _wedata(world: World, leavers: Iterator[Person]) -> None:
    """Creator and owner of a project, a project role with privileges, creator of a data source."""
    projects = list(world.projects.values())
    creator, owner, role, member, source_creator = (next(leavers) for _ in range(5))
    projects[-1].creator = creator.wedata_uin
    projects[-1].members.setdefault(creator.wedata_uin, {_ORDINARY_MEMBER})
    projects[0].owner = owner.wedata_uin
    projects[-1].members[role.wedata_uin] = {_OPERATIONS}
    projects[0].members.setdefault(member.wedata_uin, {_ORDINARY_MEMBER})
    owned = [source for source in world.data_sources.sources.values() if source.share_mode == "owner"]
    if owned:
        user = source_creator.wedata_user_id
        held = (source for source in owned if any(user == holder for _, holder in source.users))
        next(held, owned[-1]).creator = source_creator.wedata_uin


def _quickbi(world: World, rng: random.Random, leavers: Iterator[Person]) -> None:
    store, now = world.quickbi, int(world.clock.now()) // 86_400 * _DAY
    portals, spaces = list(store.portals.values()), list(store.workspaces.values())

    def leaver() -> str:
        """The next leaver, active, so that access is more than a record."""
        user = store.users[next(leavers).quickbi_user_id]
        user.deleted = False
        return user.user_id

    portals[0].white[Receiver(USER, leaver())] = 1
    for number, portal in enumerate(portals[1:2]):
        store.share(Share(f"share-{number + 1:08d}", portal.portal_id, Receiver(USER, leaver()), 3, now + 90 * _DAY),
                    quiet=True)  # fmt: skip
    store.share(Share("share-90000001", portals[0].portal_id, Receiver(ORGANIZATION, store.organization_id), 1,
                      now - 3 * _DAY), quiet=True)  # fmt: skip
    _nested_group(world, rng, leaver(), portals, now)
    spaces[-1].members[leaver()] = 25
    spaces[0].members[leaver()] = 26
    _own(spaces[len(spaces) // 2], leaver())
    spaces[-1].members[leaver()] = 30
    owner = leaver()
    seen = (portal for portal in portals if any(Receiver(USER, owner) in menu.receivers for menu in portal.leaves()))
    next(seen, portals[-1]).owner = owner
    for role in (_AUTH_ADMIN, _ADMIN):
        store.users[leaver()].roles = [_MEMBER, role]


def _own(space: Workspace, user_id: str) -> None:
    """Make a user the owner of a workspace; the former owner stays its creator and a member."""
    space.creator, space.owner = space.owner, user_id
    space.members[user_id] = 30


def _nested_group(world: World, rng: random.Random, user_id: str, portals: list[Portal], now: int) -> None:
    """A member of a small group below a group that is a receiver, on a white list and shared to."""
    store = world.quickbi
    created = (world.clock.utc()).strftime("%Y-%m-%d 00:00:00")
    first = next(iter(store.workspaces.values())).owner
    outer = Group(f"{rng.getrandbits(128):032x}", "contractors", "-1", created, {first: None})
    inner = Group(f"{rng.getrandbits(128):032x}", "contractors-night", outer.group_id, created, {user_id: None})
    store.groups |= {outer.group_id: outer, inner.group_id: inner}
    receiver = Receiver(GROUP, outer.group_id)
    _hand_over(world, [menu for portal in reversed(portals) for menu in portal.leaves()], receiver)
    store.share(Share("share-80000001", portals[len(portals) // 2].portal_id, receiver, 1, now + 30 * _DAY), quiet=True)


def _hand_over(world: World, menus: list[Menu], receiver: Receiver) -> None:
    """Give the first record of somebody who stays to another receiver, so that the number of grants does not change."""
    staff = {person.quickbi_user_id for person in world.people if person.status == "active" and not person.protected}
    for menu in menus:
        for held in menu.receivers:
            if held.kind == USER and held.id in staff:
                del menu.receivers[held]
                menu.receivers[receiver] = 1
                return


def _dashboards(world: World, rng: random.Random) -> None:
    """A dashboard in each workspace, with authorizations of a user, a group and the workspace."""
    store, now = world.quickbi, day_starts(world.today[:10])
    created = world.clock.utc().strftime("%Y-%m-%d 00:00:00")
    for number, space in enumerate(store.workspaces.values()):
        work = Work(f"{rng.getrandbits(128):032x}", f"Dashboard {number + 1}", "PAGE", space.workspace_id, space.owner,
                    created)  # fmt: skip
        store.works[work.works_id] = work
        receivers = [Receiver(USER, next(iter(space.members))), Receiver(WORKSPACE, space.workspace_id)]
        receivers += [Receiver(GROUP, group) for group in list(store.groups)[:1]]
        for receiver in receivers:
            ident = f"auth-9{number:03d}{receiver.kind:04d}"
            store.authorizations.seed(
                WorkAuthorization(ident, work.works_id, "dashboard", receiver, 3, now + 300 * _DAY, created)
            )


def _datasets(world: World, rng: random.Random) -> None:
    """A dataset in each workspace: rows restricted for the first group, a member and the last group not."""
    store = world.quickbi
    created = world.clock.utc().strftime("%Y-%m-%d 00:00:00")
    groups = list(store.groups)
    for number, space in enumerate(store.workspaces.values()):
        dataset = Dataset(
            f"{rng.getrandbits(128):032x}", f"Dataset {number + 1}", space.workspace_id, space.owner, created
        )
        level = dataset.levels[ROW]
        level.open = True
        level.white = dict.fromkeys([Receiver(USER, next(iter(space.members)))])
        rule = Rule(f"{rng.getrandbits(128):032x}", "own region")
        for group in groups[:1]:
            rule.receivers[Receiver(GROUP, group)] = None
            level.white[Receiver(GROUP, groups[-1])] = None
        level.rules[rule.rule_id] = rule
        store.datasets[dataset.dataset_id] = dataset


def _dms(world: World, leavers: Iterator[Person]) -> None:
    """Owners of every kind, a DBA, two roles, a policy through a custom role, a proxy account."""
    store = world.dms

    def leaver() -> str:
        """The next leaver, enabled."""
        user = store.users[next(leavers).dms_user_id]
        user.state = "NORMAL"
        return user.user_id

    instances = list(store.instances.values())
    physical = [database for database in store.databases.values() if not database.logic]
    logical = [database for database in store.databases.values() if database.logic]

    def used(user_id: str) -> Instance:
        """An instance on which a user has a record, so that the way in remains beside it; the last one by default."""
        held = [record.target.instance_id for record in store.of_user(user_id)]
        return store.instances[held[-1]] if held else instances[-1]

    owner = leaver()
    used(owner).owners.append(owner)
    instances[0].dba = leaver()
    for databases in (physical, logical):
        for database in databases[-1:]:
            database.owners.append(leaver())
            for table in database.tables[:1]:
                table.owners.append(leaver())
    store.custom_roles[_CUSTOM_ROLE[0]] = _CUSTOM_ROLE[1]
    reader = leaver()
    read = [record.target for record in store.of_user(reader) if record.perm == "QUERY" and record.target.db_id]
    place = next((target for target in read if target.ds_type == "DATABASE"), None)
    on = (place.instance_id, place.db_id) if place else (physical[-1].instance_id, physical[-1].db_id)
    store.policies.append(Policy(9002, "readers-of-another", "QUERY", *on, [], [_CUSTOM_ROLE[1]]))
    store.users[reader].roles = ("USER", _CUSTOM_ROLE[0])
    if len(instances) > 3:
        instances[3].mode = "NONE_CONTROL"
    created = world.clock.utc().strftime(TIME_FORMAT)
    holder = leaver()
    behind = used(holder)
    proxy = Proxy(7001, behind.instance_id, behind.dba)
    proxy.accesses[8801] = ProxyAccess(8801, 7001, holder, "proxy_reader", "Permission ticket 88001", created)
    store.proxies[7001] = proxy
    for role in ("STRUCT_READ_ONLY", "SECURITY_ADMIN", "DBA", "ADMIN"):
        store.users[leaver()].roles = ("USER", role)
