"""Studio's part of the organization: a few folders, files and workflows in each project."""

from __future__ import annotations

import random

from emulator.store.studio import CODE, WORKFLOW, Holder, Node
from emulator.store.wedata import Project
from emulator.world import World

_ENGINEER = "308335260676890624"


def build(world: World, rng: random.Random) -> None:
    """Folder, folder in it, a file or workflow at the end; permissions of a member, a role and a leaver."""
    people = {person.wedata_uin: person for person in world.people}
    leavers = [person for person in world.people if person.left and not person.protected]
    for number, project in enumerate(world.projects.values()):
        members = [people[uin] for uin in project.members if uin in people and not people[uin].left]
        member = Holder("user", members[number % len(members)].wedata_user_id)
        for tree, privilege in ((CODE, "CAN_EDIT"), (WORKFLOW, "CAN_MANAGE")):
            top, inner, leaf = _chain(rng, project, tree)
            world.studio.seed([top, inner, leaf])
            leaf.holders[member] = {privilege}
            top.holders[Holder("role", _ENGINEER)] = {"CAN_MANAGE"}
            for leaver in leavers[number : number + 1]:
                inner.holders[Holder("user", leaver.wedata_user_id)] = {"CAN_MANAGE"}


def _chain(rng: random.Random, project: Project, tree: str) -> tuple[Node, Node, Node]:
    kind, name = ("script", "load_orders") if tree == CODE else ("workflow", "daily_orders")
    ids = [f"{rng.getrandbits(128):032x}" for _ in range(3)]
    place, owner = (project.project_id, tree), project.owner
    return (
        Node(ids[0], *place, "folder", "team", "", owner),
        Node(ids[1], *place, "folder", "jobs", ids[0], owner),
        Node(ids[2], *place, kind, name, ids[1], owner),
    )
