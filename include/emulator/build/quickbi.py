"""Quick BI's part of the organization."""

from __future__ import annotations

import random
import string
from datetime import timedelta

from emulator.build.sizes import Sizes
from emulator.store.people import Person
from emulator.store.quickbi import FOLDER_TYPE, BiUser, Group, Menu, Portal, Workspace
from emulator.store.receivers import GROUP, ORGANIZATION, USER, WORKSPACE, Receiver
from emulator.world import World

_ALPHABET = string.ascii_lowercase + string.digits
_ORG_ADMIN, _ORG_USER = 111111111, 111111113
_OWN_ROLE = (300_200_100, "Data service manager")


def build(world: World, rng: random.Random, sizes: Sizes) -> None:
    """Users, groups, workspaces, portals with menus, receivers."""
    staff = [person for person in world.people if not person.left and not person.protected and not person.is_tool]
    leavers = [person for person in world.people if person.left and not person.protected]
    _users(world, rng)
    _groups(world, rng, sizes, staff, leavers)
    _workspaces(world, rng, sizes, staff)
    _portals(world, rng, sizes, staff)
    places = [(portal, menu) for portal in world.quickbi.portals.values() for menu in portal.leaves()]
    _shared(world, rng, sizes, places)
    _special(world, places)
    for person in leavers:
        _give_leaver(world, rng, places, person, sizes.menu_pairs_per_leaver)
    _fill(world, rng, places, staff, sizes.menu_pairs)


def _users(world: World, rng: random.Random) -> None:
    joined = int(world.clock.now()) // 86_400 * 86_400 * 1000
    for person in world.people:
        admin = bool(person.protected) or person.is_tool
        world.quickbi.users[person.quickbi_user_id] = BiUser(
            person.quickbi_user_id, person.alibaba_uid, person.email.partition("@")[0], person.name, person.email,
            [_ORG_ADMIN if admin else _ORG_USER], deleted=person.left and rng.random() < 0.25,
            joined=joined - rng.randrange(100, 900) * 86_400_000,
        )  # fmt: skip
        if person.protected and not person.left:
            world.quickbi.owner = world.quickbi.owner or person.quickbi_user_id
    world.quickbi.custom_roles[_OWN_ROLE[0]] = _OWN_ROLE[1]


def _uuid(rng: random.Random) -> str:
    text = f"{rng.getrandbits(128):032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def _groups(world: World, rng: random.Random, sizes: Sizes, staff: list[Person], leavers: list[Person]) -> None:
    store, parents = world.quickbi, ["-1"]
    created = (world.clock.utc() - timedelta(days=400)).strftime("%Y-%m-%d 00:00:00")
    for number in range(sizes.groups):
        parent = "-1" if number < max(1, sizes.groups // 3) else rng.choice(parents[1:])
        group = Group(_uuid(rng), f"group-{number + 1:02d}", parent, created)
        for person in rng.sample(staff, min(len(staff), 8)):
            group.members[person.quickbi_user_id] = None
        store.groups[group.group_id] = group
        parents.append(group.group_id)
    first = store.groups[parents[1]] if sizes.groups else None
    for person in leavers[: sizes.leavers_in_groups] if first else []:
        assert first is not None
        first.members[person.quickbi_user_id] = None
        world.quickbi.users[person.quickbi_user_id].deleted = False


def _workspaces(world: World, rng: random.Random, sizes: Sizes, staff: list[Person]) -> None:
    for number in range(sizes.workspaces):
        owner = rng.choice(staff)
        space = Workspace(_uuid(rng), f"workspace-{number + 1:02d}", owner.quickbi_user_id)
        space.members[owner.quickbi_user_id] = 25
        for person in rng.sample(staff, min(len(staff), 12)):
            space.members.setdefault(person.quickbi_user_id, rng.choice([26, 27, 30, 30]))
        world.quickbi.workspaces[space.workspace_id] = space


def _portals(world: World, rng: random.Random, sizes: Sizes, staff: list[Person]) -> None:
    store, spaces = world.quickbi, list(world.quickbi.workspaces)
    created = (world.clock.utc() - timedelta(days=200)).strftime("%Y-%m-%d 00:00:00")
    for number in range(sizes.portals):
        portal = Portal(f"{rng.getrandbits(128):032x}", f"Portal {number + 1}", spaces[number % len(spaces)],
                        rng.choice(staff).quickbi_user_id, created)  # fmt: skip
        folder: Menu | None = None
        for index in range(sizes.menus_per_portal):
            if index % 10 == 0:
                folder = Menu(_menu_id(rng), f"Folder {index // 10 + 1}", FOLDER_TYPE)
                portal.roots.append(folder)
                portal.menus[folder.menu_id] = folder
            leaf = Menu(_menu_id(rng), f"Menu {index + 1}", rng.choice([0, 0, 1, 2, 5]), f"/view/{index + 1}")
            (folder.children if folder else portal.roots).append(leaf)
            portal.menus[leaf.menu_id] = leaf
        store.portals[portal.portal_id] = portal


def _menu_id(rng: random.Random) -> str:
    return "".join(_ALPHABET[int(rng.random() * 36)] for _ in range(12))


def _shared(world: World, rng: random.Random, sizes: Sizes, places: list[tuple[Portal, Menu]]) -> None:
    """Groups, the organization, workspaces, white lists, menus open to all."""
    store, groups = world.quickbi, list(world.quickbi.groups)
    first = Receiver(GROUP, groups[0]) if groups else None
    for number, (portal, menu) in enumerate(places):
        if groups and rng.random() < 0.45:
            store.seed(menu, Receiver(GROUP, rng.choice(groups)), rng.choice([1, 3, 3]))
        if first is not None and number % 25 == 3:
            store.seed(menu, first, 3)
        if number % 37 == 5:
            store.seed(menu, Receiver(ORGANIZATION, store.organization_id), 1)
        if number % 23 == 7:
            store.seed(menu, Receiver(WORKSPACE, portal.workspace_id), 1)
    step = max(1, len(places) // max(1, sizes.open_menus))
    for _, menu in places[step // 2 :: step][: sizes.open_menus]:
        menu.show_only_with_access = False
    for portal in list(store.portals.values())[:2]:
        portal.white[Receiver(WORKSPACE, portal.workspace_id)] = 1


def _special(world: World, places: list[tuple[Portal, Menu]]) -> None:
    for person in world.people:
        if person.protected or person.is_tool:
            for _, menu in places[:: max(1, len(places) // 3)][:3]:
                world.quickbi.seed(menu, Receiver(USER, person.quickbi_user_id), 11 if person.protected else 1)


def _give_leaver(
    world: World, rng: random.Random, places: list[tuple[Portal, Menu]], person: Person, wanted: int
) -> None:
    """A leaver held runs of neighboring menus in one or two portals, as departments are given them."""
    receiver, given, tries = Receiver(USER, person.quickbi_user_id), 0, 0
    while given < wanted and tries < 50:
        tries += 1
        start, length = rng.randrange(len(places)), rng.randrange(3, 9)
        for _, menu in places[start : start + length]:
            if given < wanted and world.quickbi.seed(menu, receiver, rng.choice([1, 3, 3])):
                given += 1


def _fill(world: World, rng: random.Random, places: list[tuple[Portal, Menu]], staff: list[Person], total: int) -> None:
    store, receivers = world.quickbi, [Receiver(USER, person.quickbi_user_id) for person in staff]
    tries, most = 0, max(1000, (total - store.count) * 6)
    points = [1, 3, 3, 3, 10, 11]
    while store.count < total and tries < most:
        tries += 1
        _, menu = places[int(rng.random() * len(places))]
        store.seed(menu, receivers[int(rng.random() * len(receivers))], points[int(rng.random() * 6)])
