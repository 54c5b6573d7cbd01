"""Quick BI's ground truth: portals with menus and receivers, users, groups, workspaces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from emulator.journal import Journal
from emulator.store.authorizations import WorkAuthorizations
from emulator.store.datasets import Datasets
from emulator.store.receivers import GROUP, ORGANIZATION, USER, WORKSPACE, Receiver
from emulator.visibility import Visibility

FOLDER_TYPE = 4
WORKSPACE_ROLES = {
    25: ("role_workspace_admin", "Workspace administrator"),
    26: ("role_workspace_developer", "Workspace developer"),
    27: ("role_workspace_analyst", "Workspace analyst"),
    30: ("role_workspace_viewer", "Workspace viewer"),
}


@dataclass(slots=True)
class BiUser:
    """A member of the organization; ``deleted`` means deactivated."""

    user_id: str
    account_id: str
    account_name: str
    nick: str
    email: str
    roles: list[int]
    deleted: bool = False
    joined: int = 0


@dataclass(slots=True)
class Group:
    """A user group with direct members; the tree hangs on ``parent`` (``-1`` at the root)."""

    group_id: str
    name: str
    parent: str
    created: str
    members: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True)
class Workspace:
    """A workspace with members (user id to role id). ``creator`` is empty when the owner created it."""

    workspace_id: str
    name: str
    owner: str
    creator: str = ""
    members: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Menu:
    """A node of a portal's menu tree; type 4 is a folder and cannot be authorized."""

    menu_id: str
    name: str
    type: int
    uri: str = ""
    show_only_with_access: bool = True
    children: list[Menu] = field(default_factory=list)
    receivers: dict[Receiver, int] = field(default_factory=dict)


@dataclass(slots=True)
class Portal:
    """A data portal. ``menus`` holds the whole tree by id, ``roots`` the top."""

    portal_id: str
    name: str
    workspace_id: str
    owner: str
    created: str
    roots: list[Menu] = field(default_factory=list)
    menus: dict[str, Menu] = field(default_factory=dict)
    white: dict[Receiver, int] = field(default_factory=dict)

    def leaves(self) -> Iterator[Menu]:
        """Menus that can be authorized."""
        return (menu for menu in self.menus.values() if menu.type != FOLDER_TYPE)


@dataclass(slots=True)
class Work:
    """A work that is not a portal: a dashboard (``PAGE``) with an owner."""

    works_id: str
    name: str
    kind: str
    workspace_id: str
    owner: str
    created: str


@dataclass(slots=True)
class Share:
    """A work shared to a user (0), group (1) or the organization (2) until ``expires`` (epoch milliseconds)."""

    share_id: str
    works_id: str
    receiver: Receiver
    points: int
    expires: int


def _members_of(place: Group | Workspace) -> str:
    return "quickbi_group_members" if isinstance(place, Group) else "quickbi_workspace_members"


def _id_of(place: Group | Workspace) -> str:
    return place.group_id if isinstance(place, Group) else place.workspace_id


class QuickBiStore:
    """The organization."""

    def __init__(self, journal: Journal, visibility: Visibility, organization_id: str) -> None:
        self._journal = journal
        self._visibility = visibility
        self.organization_id = organization_id
        # The member who must stay an administrator, and roles of the organization beside the preset ones, by id.
        self.owner = ""
        self.custom_roles: dict[int, str] = {}
        self.users: dict[str, BiUser] = {}
        self.groups: dict[str, Group] = {}
        self.workspaces: dict[str, Workspace] = {}
        self.portals: dict[str, Portal] = {}
        self.works: dict[str, Work] = {}
        self.shares: dict[str, Share] = {}
        self.authorizations = WorkAuthorizations(journal, visibility)
        self.datasets = Datasets(journal, visibility)
        self.count = 0

    def seed(self, menu: Menu, receiver: Receiver, points: int) -> bool:
        """Authorize without telling the journal (building the organization); False when it was there."""
        if receiver in menu.receivers:
            return False
        menu.receivers[receiver] = points
        self.count += 1
        return True

    def add(self, portal: Portal, menu: Menu, receiver: Receiver, points: int) -> bool:
        """Authorize; False when the receiver has a record already."""
        added = self.seed(menu, receiver, points)
        if added:
            self._journal.effect("added", "quickbi_menus", self.row(portal, menu, receiver, points))
        return added

    def change(self, portal: Portal, menu: Menu, receiver: Receiver, points: int) -> bool:
        """Give an existing record other authorization points."""
        before = menu.receivers.get(receiver)
        if before is None or before == points:
            return False
        self._journal.effect("removed", "quickbi_menus", self.row(portal, menu, receiver, before))
        menu.receivers[receiver] = points
        self._journal.effect("added", "quickbi_menus", self.row(portal, menu, receiver, points))
        return True

    def remove(self, portal: Portal, menu: Menu, receiver: Receiver) -> bool:
        """Withdraw the whole record of a receiver; False when there is none."""
        points = menu.receivers.pop(receiver, None)
        if points is None:
            return False
        self.count -= 1
        self._journal.effect("removed", "quickbi_menus", self.row(portal, menu, receiver, points))
        self._visibility.removed("quickbi_menus", (portal.portal_id, menu.menu_id, receiver, points))
        return True

    def forget(self, receiver: Receiver) -> int:
        """Withdraw what a receiver that is being deleted has: menu records, white lists, rules, shares, authorizations.

        :returns: how many menu records there were.
        """
        for portal in self.portals.values():
            self.white(portal, receiver, remove=True)
        for share in [share for share in self.shares.values() if share.receiver == receiver]:
            self.unshare(share.share_id)
        self.authorizations.remove(receiver)
        self.datasets.forget(receiver)
        return sum(
            self.remove(portal, menu, receiver)
            for portal in self.portals.values()
            for menu in portal.leaves()
            if receiver in menu.receivers
        )

    def white(self, portal: Portal, receiver: Receiver, points: int = 1, *, remove: bool = False) -> bool:
        """Put a receiver on the white list of a portal or take it off; False when nothing changed."""
        if (receiver in portal.white) != remove:
            return False
        points = portal.white.pop(receiver) if remove else points
        if not remove:
            portal.white[receiver] = points
        self._journal.effect("removed" if remove else "added", "quickbi_white_lists", {
            "portal_id": portal.portal_id, "receiver_type": receiver.kind, "receiver_id": receiver.id,
            "auth_points": points,
        })  # fmt: skip
        return True

    def share(self, share: Share, *, quiet: bool = False) -> None:
        """Share a work; a share with the same id is replaced."""
        self.shares[share.share_id] = share
        if not quiet:
            self._journal.effect("added", "quickbi_shares", self.share_row(share))
            self._visibility.added("quickbi_shares", share)

    def unshare(self, share_id: str) -> bool:
        """Take a share back; False when there is none."""
        share = self.shares.pop(share_id, None)
        if share is not None:
            self._journal.effect("removed", "quickbi_shares", self.share_row(share))
            self._visibility.removed("quickbi_shares", share)
        return share is not None

    def listed_shares(self, works_id: str) -> list[Share]:
        """Shares of a work as a listing shows them, expired ones included."""
        late = [self._visibility.shown, self._visibility.hidden]
        shown, hidden = (one("quickbi_shares", lambda item: item.works_id == works_id) for one in late)
        held = [share for share in self.shares.values() if share.works_id == works_id]
        return [*(share for share in held if share not in hidden), *(share for share in shown if share not in held)]

    @staticmethod
    def share_row(share: Share) -> dict[str, Any]:
        """A share as a row of the truth."""
        return {
            "share_id": share.share_id, "works_id": share.works_id, "receiver_type": share.receiver.kind,
            "receiver_id": share.receiver.id, "auth_points": share.points, "expires": share.expires,
        }  # fmt: skip

    def changed(self, kind: str, fields: dict[str, Any]) -> None:
        """Tell the journal about a change of an owner or a role."""
        self._journal.effect("changed", f"quickbi_{kind}", fields)

    def receivers(self, portal: Portal, *, late: bool = True) -> dict[str, dict[Receiver, int]]:
        """Receivers of every leaf menu as a listing sees them."""
        shown = {menu.menu_id: menu.receivers for menu in portal.leaves()}
        if late:
            for _, menu_id, receiver, points in self._visibility.shown(
                "quickbi_menus", lambda item: item[0] == portal.portal_id
            ):
                if menu_id in shown:
                    shown[menu_id] = {receiver: points, **shown[menu_id]}
        return shown

    def groups_of(self, user_id: str, *, subgroups: bool) -> set[str]:
        """Groups a user is in, with the groups above them when ``subgroups``."""
        found = {group.group_id for group in self.groups.values() if user_id in group.members}
        for start in list(found) if subgroups else []:
            parent = self.groups[start].parent
            while parent in self.groups and parent not in found:
                found.add(parent)
                parent = self.groups[parent].parent
        return found

    def identities(self, user_id: str, *, subgroups: bool) -> set[Receiver]:
        """Every receiver through which a user gets access: own id, groups, workspaces, the organization."""
        found = {Receiver(USER, user_id), Receiver(ORGANIZATION, self.organization_id)}
        found |= {Receiver(GROUP, group) for group in self.groups_of(user_id, subgroups=subgroups)}
        found |= {Receiver(WORKSPACE, space.workspace_id) for space in self.workspaces.values()
                  if user_id in space.members}  # fmt: skip
        return found

    def join(self, place: Group | Workspace, user_id: str, role: int | None = None) -> bool:
        """Put a user into a group, or into a workspace with a role; False when nothing changed."""
        members: dict[str, Any] = place.members
        if user_id in members and members[user_id] == role:
            return False
        self.leave(place, user_id)
        members[user_id] = role
        self._journal.effect("added", _members_of(place), self.member_row(place, user_id))
        self._visibility.added(_members_of(place), (_id_of(place), user_id, role))
        return True

    def leave(self, place: Group | Workspace, user_id: str) -> bool:
        """Take a user out of a group or workspace; False when it is not in it."""
        members: dict[str, Any] = place.members
        if user_id not in members:
            return False
        self._journal.effect("removed", _members_of(place), self.member_row(place, user_id))
        self._visibility.removed(_members_of(place), (_id_of(place), user_id, members.pop(user_id)))
        return True

    def listed_members(self, place: Group | Workspace) -> dict[str, Any]:
        """Members (with the role, in a workspace) as a listing shows them."""
        late = [self._visibility.shown, self._visibility.hidden]
        shown, hidden = (one(_members_of(place), lambda item: item[0] == _id_of(place)) for one in late)
        gone = {(user_id, role) for _, user_id, role in hidden}
        held = {user_id: role for user_id, role in place.members.items() if (user_id, role) not in gone}
        return {**held, **{user_id: role for _, user_id, role in shown}}

    def set_roles(self, user: BiUser, roles: list[int]) -> bool:
        """Give a member these roles of the organization and no others; False when nothing changed."""
        before, user.roles = user.roles, roles
        for op, ids in (("removed", set(before) - set(roles)), ("added", set(roles) - set(before))):
            for role in sorted(ids):
                self._journal.effect(op, "quickbi_organization_roles", {"user_id": user.user_id, "role_id": role})
        if before != roles:
            self._visibility.removed("quickbi_organization_roles", (user.user_id, before))
        return before != roles

    def set_deleted(self, user: BiUser, deleted: bool) -> bool:
        """Deactivate or activate a member; False when nothing changed."""
        before, user.deleted = user.deleted, deleted
        if before != deleted:
            self.changed("users", {"user_id": user.user_id, "deleted": deleted})
            self._visibility.removed("quickbi_users", (user.user_id, before))
        return before != deleted

    def listed_users(self, user_id: str = "") -> list[BiUser]:
        """All members, or one, as listings show them: late roles and states included."""
        late = [dict(reversed(self._visibility.shown(kind, lambda item: user_id in ("", item[0]))))
                for kind in ("quickbi_organization_roles", "quickbi_users")]  # fmt: skip
        found = [self.users[user_id]] if user_id else list(self.users.values())
        if not any(late):
            return found
        return [replace(user, roles=late[0].get(user.user_id, user.roles),
                        deleted=late[1].get(user.user_id, user.deleted)) for user in found]  # fmt: skip

    @staticmethod
    def member_row(place: Group | Workspace, user_id: str) -> dict[str, Any]:
        """A membership as a row of the truth."""
        if isinstance(place, Group):
            return {"group_id": place.group_id, "parent": place.parent, "user_id": user_id}
        return {"workspace_id": place.workspace_id, "user_id": user_id, "role_id": place.members[user_id]}

    def visibility_changed(self, portal: Portal, menu: Menu) -> None:
        """Tell the journal that a menu was opened to all or closed."""
        self._journal.effect("changed", "quickbi_menu_visibility", {
            "portal_id": portal.portal_id, "menu_id": menu.menu_id,
            "show_only_with_access": menu.show_only_with_access,
        })  # fmt: skip

    @staticmethod
    def row(portal: Portal, menu: Menu, receiver: Receiver, points: int) -> dict[str, Any]:
        """A record as a row of the truth."""
        return {
            "portal_id": portal.portal_id, "menu_id": menu.menu_id, "receiver_type": receiver.kind,
            "receiver_id": receiver.id, "auth_points": points,
        }  # fmt: skip

    def rows(self) -> Iterator[dict[str, Any]]:
        """All records."""
        for portal in self.portals.values():
            for menu in portal.leaves():
                for receiver, points in menu.receivers.items():
                    yield self.row(portal, menu, receiver, points)
