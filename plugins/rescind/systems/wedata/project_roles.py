"""Tencent WeData: who is in which project, and with which roles.

A grant is one user's membership in one project, or one role of a member. What a project or one of its roles may use,
its members may use, so that both are ways into data sources and tables. Members carry a UIN, not the user id of other
grants: people are known by the roster's column ``wedata_uin``.

A role alone goes by RemoveMemberProjectRole, which names it. A membership goes by DeleteProjectMember, which ends every
role too; one call then stands for the membership with all its roles. What that call would end is read again right
before it (:meth:`WeDataProjectRoles.also_ended`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from rescind.cloud.base import Prepared, WriteRequest
from rescind.cloud.clients import WeDataClient
from rescind.cloud.fields import UNNAMEABLE, is_numeric_id
from rescind.cloud.wedata.base import MAX_ENTRIES
from rescind.cloud.wedata.inventory import ListProjectMembers, ListProjectRoles, ListProjects, Project, ProjectMember
from rescind.cloud.wedata.members import (
    CreateProjectMember,
    DeleteProjectMember,
    GrantMemberProjectRole,
    RemoveMemberProjectRole,
)
from rescind.cloud.wedata.projects import (
    PROJECT_ADMINISTRATOR,
    PROJECT_DATA_ENGINEER,
    PROJECT_MEMBER,
    PROJECT_OPERATIONS_ENGINEER,
)
from rescind.errors import BlastRadiusExceededError, NotFoundError, PlanError, RefusedError
from rescind.model import CallShape, Cell, Grant, GrantKey, Membership, PlannedCall, Principal, PrincipalType
from rescind.systems.base import ListingScope, PermissionSystem, Reading
from rescind.systems.final_bytes import body_fields
from rescind.systems.population import Population
from rescind.systems.surfaces import Surface, Untraceable
from rescind.systems.walker import Walker
from rescind.systems.wedata.projects import (
    LIMITS,
    MEMBERS,
    NAMELESS,
    ROLE_HOLDERS,
    UNTRACEABLE,
    holders,
    project_principal,
)

MEMBERSHIP = "membership"
ADMINISTRATOR = "administrator"
ROLES = {
    PROJECT_ADMINISTRATOR: ADMINISTRATOR,
    PROJECT_DATA_ENGINEER: "data engineer",
    PROJECT_OPERATIONS_ENGINEER: "operations engineer",
    PROJECT_MEMBER: "ordinary member",
}
"""Built-in roles by id. A custom role is named ``role <id>``."""
_IDS = {name: role for role, name in ROLES.items()}
_CUSTOM = "role "
_ROLELESS = "Roleless"
PROJECT_ROLES = Surface(
    "roles of a project", "ListProjectRoles", "built-in and custom roles", "what a custom role allows is not told"
)
_NO_ID = "the vendor lists this member without an id"
_OWNER = "owns the project; hand it over first"
_CREATOR = "created the project; no page says whether its creator can be taken out"
_NOT_TOLD = "the vendor does not tell whether this member owns or created the project"
_NO_ROLES = "the vendor does not tell the roles of this member, and the call would end them all"
_UNLISTED = "the project does not list this role, so it could not be restored"
_ENTRIES = (
    "no page says whether the call also ends what data sources of the project grant to the member, and a restore would "
    "not bring that back"
)
_LAST_ROLE = "it is the member's last role here, and no page says what then becomes of the membership: revoke both"


class WeDataProjectRoles(PermissionSystem[WeDataClient]):
    """Memberships and roles in projects; one call takes roles off one member, or one member out of one project."""

    name: ClassVar[str] = "wedata_project_roles"
    title: ClassVar[str] = "WeData project roles"
    id_spaces: ClassVar[tuple[str, ...]] = ("wedata_uin",)
    vendor: ClassVar[str] = "tencent"
    hook: ClassVar[str] = "rescind.hooks.wedata.WeDataHook"
    admin_entitlements: ClassVar[frozenset[str]] = frozenset({ADMINISTRATOR})
    surfaces: ClassVar[tuple[Surface, ...]] = (MEMBERS, PROJECT_ROLES, ROLE_HOLDERS, *LIMITS)
    untraceable: ClassVar[Mapping[str, Untraceable]] = UNTRACEABLE
    shape: ClassVar[CallShape] = CallShape(max_rows=1, max_columns={"member": 1, "role": MAX_ENTRIES})
    revoke_message: ClassVar[type[WriteRequest[Any]]] = RemoveMemberProjectRole
    revoke_also: ClassVar[tuple[type[WriteRequest[Any]], ...]] = (DeleteProjectMember,)
    restore_message: ClassVar[type[WriteRequest[Any]]] = GrantMemberProjectRole
    restore_also: ClassVar[tuple[type[WriteRequest[Any]], ...]] = (CreateProjectMember,)
    restore_shape: ClassVar[CallShape] = shape
    reads: ClassVar[frozenset[str]] = frozenset({"ListProjectMembers", "ListProjectRoles", "ListProjects"})

    async def discover(self, client: WeDataClient, found: Population) -> None:
        """List the projects, then roles and members of each."""
        walker = Walker(client, found)
        projects = {project.ProjectId: project for project in await walker.rows(ListProjects())}
        found.shown(PrincipalType.PROJECT, projects)
        found.add_principals(project_principal(self.name, walker.account, each) for each in projects.values())
        reviewed = [ident for ident in sorted(projects) if not found.leaves_out("project", ident)]

        def take(_: str, grants: list[Grant]) -> None:
            found.add_grants(grants)
            found.add_principals(holders(grants))
            found.add_memberships(edge for grant in grants for edge in self.memberships(grant))

        await walker.for_each(reviewed, lambda ident: self._project(walker, projects[ident], found), take)
        found.asked(MEMBERS.name)
        found.asked(PROJECT_ROLES.name)
        found.note("objects", len(reviewed))

    async def _project(self, walker: Walker[WeDataClient], project: Project, found: Population) -> list[Grant]:
        ident, account = project.ProjectId, walker.account
        roles = {role.RoleId: role for role in await walker.rows(ListProjectRoles(ProjectId=ident))}
        found.add_principals(
            Principal(self.name, account, PrincipalType.ROLE, f"{ident}.{role.RoleId}", kind="system",
                      name=role.RoleDisplayName or role.RoleName or "")
            for role in roles.values()
        )  # fmt: skip
        rows = await walker.rows(ListProjectMembers(ProjectId=ident))
        scope = (ident, project.DisplayName or project.ProjectName or "")
        return list(_grants(account, scope, rows, owner=project.ProjectOwnerUin or "", roles={*ROLES, *roles}))

    def cell(self, key: GrantKey) -> Cell:
        """Return the membership, or one role, of one user in one project."""
        return _cell(key.resource_id, key.principal_id, key.entitlement)

    def listing_scope(self, grant: Grant) -> ListingScope:
        """Return the project and its name: one listing shows all members with their roles."""
        return (grant.key.resource_id, grant.resource_name)

    async def reread(self, client: WeDataClient, listings: Collection[ListingScope]) -> Reading:
        """List the members of each project again."""
        walker = Walker(client)

        async def one(scope: ListingScope) -> list[Grant]:
            return list(_grants(walker.account, scope, await walker.rows(ListProjectMembers(ProjectId=scope[0]))))

        found = await walker.each(sorted(listings), one)
        grants = tuple(grant for grants in found for grant in grants)
        return Reading(grants, frozenset(listings), walker.calls, tuple(walker.pages))

    def request(self, call: PlannedCall, grants: Sequence[Grant]) -> WriteRequest[Any]:
        """Return DeleteProjectMember where the membership goes, else RemoveMemberProjectRole with the roles."""
        (user,) = call.rows
        rights = {grant.key.entitlement for grant in grants}
        if MEMBERSHIP in rights:
            return DeleteProjectMember(ProjectId=call.container, UserUins=(user,))
        return RemoveMemberProjectRole(ProjectId=call.container, UserUin=user, RoleIds=tuple(map(_id, sorted(rights))))

    def divisible(self, call: PlannedCall) -> bool:
        """Return False where a membership goes: it goes with every role or not at all."""
        return super().divisible(call) and all(kind == "role" for kind, _ in call.columns)

    def blast_radius(self, prepared: Prepared[Any]) -> frozenset[Cell]:
        """Return the roles, or the membership, that the final body names.

        The cell of a membership stands for every role of the member too. The body does not name them:
        :meth:`also_ended` compares them with the call right before it is sent.
        """
        project, user, rights = _named(prepared, {"RemoveMemberProjectRole", "DeleteProjectMember"})
        return frozenset(_cell(project, user, right) for right in rights)

    def ended_besides(
        self, planned: Collection[Grant], there: Iterable[Grant], elsewhere: Container[str] = ()
    ) -> Mapping[str, str]:
        """Hold a membership while one of its roles stays, and the last role of a membership that stays."""
        held = _by_place(there)
        return {
            ident: why
            for place, grants in _by_place(planned).items()
            for ident, why in _more(grants, held[place]).items()
        }

    async def also_ended(self, client: WeDataClient, grants: Collection[Grant]) -> Mapping[str, str]:
        """List the project again and compare the member as it is now with the grants of the call."""
        try:
            shown = (await self.reread(client, {self.listing_scope(grant) for grant in grants})).grants
        except (NotFoundError, RefusedError) as error:
            return {grant.grant_id: f"the vendor does not show the members ({error.code})" for grant in grants}
        mine = [one for one in shown if _place(one) in {_place(grant) for grant in grants}]
        if any(one.key.principal_id == NAMELESS for one in shown) and not mine:
            why = "the member is not listed by id any more, and the project has members without an id"
        elif not mine:
            why = "the user is no member of the project any more"
        else:
            why = next((one.why_not for one in mine if not one.revocable), "")
        return {grant.grant_id: why for grant in grants} if why else self.ended_besides(grants, mine)

    def inverse(self, grant: Grant) -> Mapping[str, Any] | None:
        """Return the same member, with the role of a role. Without any role a user cannot be put into a project."""
        key = grant.key
        where = {"ProjectId": key.resource_id, "UserUin": key.principal_id}
        if key.entitlement == MEMBERSHIP:
            return None if _ROLELESS in grant.attributes else {"action": "CreateProjectMember", **where}
        return {"action": "GrantMemberProjectRole", **where, "RoleId": _id(key.entitlement)}

    def unfaithful(self, grant: Grant) -> str:
        """Return a reason for a membership: no page says what ends with it in the data sources of the project."""
        return _ENTRIES if grant.key.entitlement == MEMBERSHIP else super().unfaithful(grant)

    def restore_request(self, inverses: Sequence[Mapping[str, Any]]) -> WriteRequest[Any]:
        """Return CreateProjectMember where the membership comes back, else GrantMemberProjectRole."""
        ((project, user),) = {(inverse["ProjectId"], inverse["UserUin"]) for inverse in inverses}
        roles = tuple(sorted(inverse["RoleId"] for inverse in inverses if "RoleId" in inverse))
        if len(roles) == len(inverses):
            return GrantMemberProjectRole(ProjectId=project, UserUin=user, RoleIds=roles)
        if not roles:
            raise PlanError("a member of a WeData project has at least one role. Restore one of the roles with it")
        return CreateProjectMember(ProjectId=project, UserUins=(user,), RoleIds=roles)

    def given(self, prepared: Prepared[Any]) -> list[Mapping[str, Any]]:
        """Return the membership and the roles that the final body gives."""
        project, user, rights = _named(prepared, {"GrantMemberProjectRole", "CreateProjectMember"})
        where = {"ProjectId": project, "UserUin": user}
        return [
            {"action": "CreateProjectMember", **where}
            if right == MEMBERSHIP
            else {"action": "GrantMemberProjectRole", **where, "RoleId": _id(right)}
            for right in rights
        ]

    async def gone_holders(self, client: WeDataClient, grants: Collection[Grant]) -> Mapping[str, str]:
        """Return the grants of projects that are gone; the vendor has no listing of users."""
        there = {project.ProjectId for project in await Walker(client).rows(ListProjects())}
        return {grant.grant_id: "the project is gone" for grant in grants if grant.key.resource_id not in there}

    def memberships(self, grant: Grant) -> tuple[Membership, ...]:
        """Return the membership in the project or in the role."""
        key, role = grant.key, grant.key.entitlement
        kind, ident = (PrincipalType.PROJECT, key.resource_id)
        if role != MEMBERSHIP:
            kind, ident = PrincipalType.ROLE, f"{key.resource_id}.{_id(role)}"
        return (Membership(self.name, key.account, key.principal_type, key.principal_id, kind, ident),)

    def could_end(self, membership: Membership) -> bool:
        """Return whether it is a project, or a role in one."""
        project, dot, role = membership.container_id.partition(".")
        in_one = membership.container_type == PrincipalType.ROLE and bool(dot) and is_numeric_id(role)
        return is_numeric_id(project) and (in_one or membership.container_type == PrincipalType.PROJECT)

    def also_needed(self, planned: Collection[Grant], there: Iterable[Grant]) -> Mapping[str, Sequence[Grant]]:
        """Return the other roles for a membership, and the membership for the last roles."""
        going, held = _by_place(planned), _by_place(there)
        found: dict[str, Sequence[Grant]] = {}
        for place, grants in going.items():
            staying = [held[place][right] for right in sorted(held[place].keys() - grants.keys())]
            roles = [grant for grant in staying if grant.key.entitlement != MEMBERSHIP]
            if MEMBERSHIP in grants and roles:
                found[grants[MEMBERSHIP].grant_id] = roles
            elif staying and not roles:
                found |= dict.fromkeys((grant.grant_id for grant in grants.values()), staying)
        return found

    async def own_ids(self, client: WeDataClient) -> frozenset[str]:
        """Return the UIN of the caller."""
        return frozenset({client.identity.user_id}) if client.identity else frozenset()

    def includes(self, held: str, entitlement: str) -> bool:
        """Every role includes the membership. What one role allows beyond another is not known."""
        return held == entitlement or entitlement == MEMBERSHIP


def _grants(
    account: str,
    scope: ListingScope,
    rows: Iterable[ProjectMember],
    *,
    owner: str = "",
    roles: Collection[str] | None = None,
) -> Iterator[Grant]:
    """Yield membership and roles of every row.

    :param owner: UIN of the project's owner, if it is known.
    :param roles: ids of the roles that can be given in the project; None: not compared.
    """
    for row in rows:
        kept = _why_kept(row, owner)
        rights = {MEMBERSHIP: kept or ("" if row.Roles is not None else _NO_ROLES)}
        for role in row.Roles or ():
            why = UNNAMEABLE if not is_numeric_id(role.RoleId) else _UNLISTED
            fits = is_numeric_id(role.RoleId) and (roles is None or role.RoleId in roles)
            rights[ROLES.get(role.RoleId, f"{_CUSTOM}{role.RoleId}")] = kept or ("" if fits else why)
        who = (PrincipalType.USER, row.UserUin) if row.UserUin else (PrincipalType.UNKNOWN, NAMELESS)
        for right, why_not in rights.items():
            key = GrantKey(WeDataProjectRoles.name, account, "project", scope[0], *who, right)
            yield Grant(
                key=key,
                cell=_cell(scope[0], key.principal_id, right),
                revocable=not why_not,
                why_not=why_not,
                principal_name=row.DisplayName or row.UserName or "",
                resource_name=scope[1],
                attributes={_ROLELESS: "true"} if right == MEMBERSHIP and not row.Roles else {},
            )


def _why_kept(row: ProjectMember, owner: str) -> str:
    """Return why nothing of this member may go, or an empty text."""
    if not row.UserUin:
        return _NO_ID
    if row.IsProjectOwner or row.UserUin == owner:
        return _OWNER
    if row.IsCreator:
        return _CREATOR
    if row.IsProjectOwner is None or row.IsCreator is None:
        return _NOT_TOLD
    return "" if is_numeric_id(row.UserUin) else UNNAMEABLE


def _more(going: Mapping[str, Grant], held: Mapping[str, Grant]) -> dict[str, str]:
    """Return why grants of one member in one project must stay, by grant id."""
    staying = sorted(held.keys() - going.keys() - {MEMBERSHIP})
    if MEMBERSHIP in going:
        why = f"the call would also end {', '.join(staying)} of this member"
        return {going[MEMBERSHIP].grant_id: why} if staying else {}
    return {} if staying else {grant.grant_id: _LAST_ROLE for grant in going.values()}


def _cell(project: str, user: str, right: str) -> Cell:
    return Cell(project, user, "member" if right == MEMBERSHIP else "role", (right,))


def _by_place(grants: Iterable[Grant]) -> dict[tuple[str, str], dict[str, Grant]]:
    """Return the grants of each member in each project by right."""
    found: dict[tuple[str, str], dict[str, Grant]] = defaultdict(dict)
    for grant in grants:
        found[_place(grant)][grant.key.entitlement] = grant
    return found


def _place(grant: Grant) -> tuple[str, str]:
    return grant.key.resource_id, grant.key.principal_id


def _id(right: str) -> str:
    """Return the role id of an entitlement."""
    return _IDS.get(right) or right.removeprefix(_CUSTOM)


def _named(prepared: Prepared[Any], actions: Collection[str]) -> tuple[str, str, list[str]]:
    """Return project, user and rights of the final body, written from the vendor's page."""
    body, action = body_fields(prepared), prepared.action
    one = action in ("RemoveMemberProjectRole", "GrantMemberProjectRole")
    users = [body.pop("UserUin", "")] if one else body.pop("UserUins", [])
    roles = body.pop("RoleIds", None) if action != "DeleteProjectMember" else []
    project = body.pop("ProjectId", "")
    lists = isinstance(users, list) and isinstance(roles, list) and len(users) == 1
    ids = [project, *users, *roles] if lists else [None]
    if action not in actions or body or not all(isinstance(each, str) and is_numeric_id(each) for each in ids):
        raise BlastRadiusExceededError(f"the final {action} body does not name one project, one user and its roles")
    if action != "DeleteProjectMember" and not roles:
        raise BlastRadiusExceededError(f"the final {action} body names no role; it was not sent")
    rights = [ROLES.get(role, f"{_CUSTOM}{role}") for role in roles]
    return project, users[0], rights if one else [MEMBERSHIP, *rights]
