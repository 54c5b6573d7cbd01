"""Tencent WeData: who may use a data source, by project or as a single user of a project.

The vendor lists by data source only, so only the listing by resource proves absence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from rescind.cloud.base import Answer, Prepared, WriteRequest
from rescind.cloud.clients import WeDataClient
from rescind.cloud.fields import UNNAMEABLE, is_numeric_id
from rescind.cloud.wedata.data_sources import (
    AuthorizeDataSource,
    DataSource,
    DescribeDataSourceAuthority,
    FromProject,
    FromUser,
    ListDataSources,
    RevokeDataSourceAuthorization,
    ToProject,
    ToUsers,
)
from rescind.cloud.wedata.inventory import ListProjects
from rescind.cloud.wedata.projects import PROJECT_ADMINISTRATOR
from rescind.errors import BlastRadiusExceededError, PlanError
from rescind.model import CallShape, Cell, Grant, GrantKey, ItemState, Membership, PlannedCall, PrincipalType, digest
from rescind.systems.base import ListingScope, PartOutcome, PermissionSystem, Reading
from rescind.systems.population import Population
from rescind.systems.surfaces import CERTAIN_IN, UNCERTAIN, EndedMemberships, Gap, Surface, Untraceable
from rescind.systems.walker import Walker
from rescind.systems.wedata.projects import (
    LIMITS,
    MEMBERS,
    ROLE_HOLDERS,
    UNTRACEABLE,
    discover_projects,
    ended_memberships,
    holders,
)

AUTHORIZATIONS = Surface("authorizations", "DescribeDataSourceAuthority", "projects and single users of projects")
DEFAULT_AUDIENCE = Surface(
    "default audience", "ListDataSources", "the creating project with its administrators, and the creator"
)
SHARING_MODE = Surface(
    "sharing mode", "", "whether the whole project or only its administrators may use a source", "no action shows it"
)
_ENTRY = re.compile(r"([1-9][0-9]*)_([1-9][0-9]*)")


class WeDataDataSources(PermissionSystem[WeDataClient]):
    """One call revokes one data source from one project, or from one user of one project.

    Without a selector the vendor's call revokes the data source from everybody. The typed request cannot express that,
    and :meth:`blast_radius` refuses it again on the final bytes.
    """

    name: ClassVar[str] = "wedata_data_sources"
    title: ClassVar[str] = "WeData data sources"
    id_spaces: ClassVar[tuple[str, ...]] = ("wedata_user_id",)
    vendor: ClassVar[str] = "tencent"
    hook: ClassVar[str] = "rescind.hooks.wedata.WeDataHook"
    member_space: ClassVar[str] = "wedata_uin"
    surfaces: ClassVar[tuple[Surface, ...]] = (
        AUTHORIZATIONS,
        DEFAULT_AUDIENCE,
        MEMBERS,
        SHARING_MODE,
        ROLE_HOLDERS,
        *LIMITS,
    )
    untraceable: ClassVar[Mapping[str, Untraceable]] = UNTRACEABLE
    shape: ClassVar[CallShape] = CallShape(max_rows=1, max_columns={"project": 1, "user": 1}, max_cells=1)
    revoke_message: ClassVar[type[WriteRequest[Any]]] = RevokeDataSourceAuthorization
    restore_message: ClassVar[type[WriteRequest[Any]]] = AuthorizeDataSource
    restore_shape: ClassVar[CallShape] = CallShape(max_rows=1, max_columns={"project": 1, "user": 20})
    reads: ClassVar[frozenset[str]] = frozenset(
        {
            "DescribeDataSourceAuthority",
            "ListDataSources",
            "ListProjectMembers",
            "ListProjects",
        }
    )
    reads_known: ClassVar[bool] = True

    async def discover(self, client: WeDataClient, found: Population) -> None:
        """Data sources of every project, then the authority of each."""
        await self._discover(client, found, None)

    async def discover_known(self, client: WeDataClient, found: Population, containers: Collection[str]) -> None:
        """The same, with some data sources only."""
        await self._discover(client, found, containers)

    async def _discover(self, client: WeDataClient, found: Population, only: Collection[str] | None) -> None:
        walker = Walker(client, found)
        projects = await discover_projects(walker, found, self.name)
        names: dict[str, str] = {}

        def note(project: str, sources: Sequence[DataSource]) -> None:
            for source in sources:
                if only is not None and source.Id not in only:
                    continue
                if source.Id not in names and not found.leaves_out("data_source", source.Id):
                    names[source.Id] = source.Name or source.Id
                    found.add_grants(_default_audience(walker.account, source, project))
                    if not source.CreateUser:
                        why = f"ListDataSources does not tell who created data source {source.Id}"
                        found.could_not_tell(Gap(DEFAULT_AUDIENCE.name, why, ("data_source", source.Id)))

        def take(_: str, grants: list[Grant]) -> None:
            found.add_grants(grants)
            found.add_principals(holders(grants))

        await walker.for_each(projects, lambda project: walker.rows(ListDataSources(ProjectId=project)), note)
        found.asked(DEFAULT_AUDIENCE.name)
        await walker.for_each(sorted(names), lambda ident: self._authority(walker, ident, names[ident]), take)
        found.asked(AUTHORIZATIONS.name)
        found.note("objects", len(names))
        found.note("authority_reads", len(names))

    async def _authority(self, walker: Walker[WeDataClient], source: str, name: str) -> list[Grant]:
        """The grants of one data source. One answer holds both lists whole; a missing ``Data`` is an error."""
        answer = await walker.client.read(DescribeDataSourceAuthority(Id=source))
        walker.pages.append(digest(answer.value.model_dump(mode="json")))
        account = walker.account
        grants = [
            _grant(account, source, name, PrincipalType.PROJECT, project, "", ("project", (project,)))
            for project in dict.fromkeys(answer.value.project_ids)
        ]
        for entry in dict.fromkeys(answer.value.users):
            match = _ENTRY.fullmatch(entry)
            if match:
                pair = (match[1], match[2])
                grants.append(_grant(account, source, name, PrincipalType.USER, match[2], entry, ("user", pair)))
            else:
                grants.append(_grant(account, source, name, PrincipalType.UNKNOWN, entry, entry, ("unknown", (entry,))))
        return grants

    def cell(self, key: GrantKey) -> Cell:
        """A project, or the user of one project, on a data source."""
        match = _ENTRY.fullmatch(key.native_id)
        column = ("user", (match[1], match[2])) if match else ("project", (key.principal_id,))
        return Cell(key.resource_id, key.resource_id, *column)

    def listing_scope(self, grant: Grant) -> ListingScope:
        """The data source; its default audience is in no listing of authorizations."""
        return (grant.cell.container, grant.resource_name)

    async def reread(self, client: WeDataClient, listings: Collection[ListingScope]) -> Reading:
        """One DescribeDataSourceAuthority per data source."""
        walker = Walker(client)
        found = await walker.each(sorted(listings), lambda scope: self._authority(walker, scope[0], scope[1]))
        grants = tuple(g for grants in found for g in grants)
        return Reading(grants, frozenset(listings), len(listings), tuple(walker.pages))

    def request(self, call: PlannedCall, grants: Sequence[Grant]) -> RevokeDataSourceAuthorization:
        """Return the request with exactly one selector."""
        ((kind, column),) = call.columns
        (row,) = call.rows
        if kind == "project":
            return RevokeDataSourceAuthorization(
                DataSourceId=row, target=FromProject(project_id=column[0], whole_project=True)
            )
        return RevokeDataSourceAuthorization(DataSourceId=row, target=FromUser(project_id=column[0], user_id=column[1]))

    def blast_radius(self, prepared: Prepared[Any]) -> frozenset[Cell]:
        """Return one cell. Anything but one well-formed selector is refused, because it could mean everybody."""
        body = json.loads(prepared.body)
        source = body.get("DataSourceId") if isinstance(body, dict) else None
        selectors = {name: value for name, value in body.items() if name != "DataSourceId"} if source else {}
        if not isinstance(source, str) or not source.isdigit() or len(selectors) != 1:
            raise BlastRadiusExceededError(
                "RevokeDataSourceAuthorization without exactly one selector would wipe the data source"
            )
        ((name, value),) = selectors.items()
        if name == "RevokeProjectId" and isinstance(value, str) and value.isdigit():
            return frozenset({Cell(source, source, "project", (value,))})
        match = _ENTRY.fullmatch(value) if name == "RevokeUser" and isinstance(value, str) else None
        if match is None:
            raise BlastRadiusExceededError(f"RevokeDataSourceAuthorization with an unreadable selector {name}")
        return frozenset({Cell(source, source, "user", (match[1], match[2]))})

    def outcome(self, call: PlannedCall, answer: Answer[Any]) -> list[PartOutcome]:
        """``Status`` true is accepted, false is refused, null says nothing."""
        state = {True: ItemState.ACCEPTED, False: ItemState.REFUSED}.get(answer.value.Status, ItemState.UNKNOWN)
        return [
            PartOutcome(call.cells(), state, "" if state is ItemState.ACCEPTED else f"Status {answer.value.Status}")
        ]

    async def own_ids(self, client: WeDataClient) -> frozenset[str]:
        """As for privileges: the UIN; the connection names WeData's own user id."""
        return frozenset({client.identity.user_id}) if client.identity else frozenset()

    def inverse(self, grant: Grant) -> Mapping[str, Any] | None:
        """AuthorizeDataSource with the same project or user."""
        column = grant.cell.column
        inverse = {"action": "AuthorizeDataSource", "DataSourceId": grant.key.resource_id, "project_id": column[0]}
        return inverse if grant.cell.kind == "project" else {**inverse, "user_id": column[1]}

    def restore_group(self, grant: Grant) -> str:
        """Return one group per project for its users, and one for whole projects."""
        return f"user of {grant.cell.column[0]}" if grant.cell.kind == "user" else "project"

    def restore_request(self, inverses: Sequence[Mapping[str, Any]]) -> AuthorizeDataSource:
        """Exactly one selector: a project, or users of one project."""
        (source,) = {inverse["DataSourceId"] for inverse in inverses}
        (project,) = {inverse["project_id"] for inverse in inverses}
        users = tuple(sorted(inverse["user_id"] for inverse in inverses if "user_id" in inverse))
        if users and len(users) != len(inverses):
            raise PlanError("a project and single users do not fit into one AuthorizeDataSource. Plan again")
        target = (
            ToUsers(project_id=project, user_ids=users) if users else ToProject(project_id=project, whole_project=True)
        )
        return AuthorizeDataSource(DataSourceId=source, target=target)

    def given(self, prepared: Prepared[Any]) -> list[Mapping[str, Any]]:
        """The one project, or the users, of the final body."""
        body = json.loads(prepared.body)
        source = body.get("DataSourceId") if isinstance(body, dict) else None
        selectors = {name: value for name, value in body.items() if name != "DataSourceId"} if source else {}
        common = {"action": "AuthorizeDataSource", "DataSourceId": source}
        if len(selectors) == 1 and isinstance(source, str):
            ((name, value),) = selectors.items()
            if name == "AuthProjectId" and isinstance(value, str) and value.isdigit():
                return [{**common, "project_id": value}]
            entries = value if name == "AuthUsers" and isinstance(value, list) else []
            pairs = [match for entry in entries if isinstance(entry, str) and (match := _ENTRY.fullmatch(entry))]
            if pairs and len(pairs) == len(entries):
                return [{**common, "project_id": pair[1], "user_id": pair[2]} for pair in pairs]
        raise BlastRadiusExceededError(
            "the final AuthorizeDataSource body names no project and no users that can be read"
        )

    def includes(self, held: str, entitlement: str) -> bool:
        """There is one right: using the source."""
        return True

    async def ended_memberships(self, client: WeDataClient, memberships: Collection[Membership]) -> EndedMemberships:
        """Return memberships in projects and their roles that ended since discovery."""
        return await ended_memberships(client, memberships)

    async def gone_holders(self, client: WeDataClient, grants: Collection[Grant]) -> Mapping[str, str]:
        """Projects that are gone; the vendor has no listing of users."""
        there = {project.ProjectId for project in await Walker(client).rows(ListProjects())}
        return {g.grant_id: "the project is gone" for g in grants if g.cell.column[0] not in there}


def _default_audience(account: str, source: DataSource, listed_in: str) -> Iterator[Grant]:
    """Who may use a source without an authorization.

    The administrators of the project that created it may, in both sharing modes. Whether all members of that project
    may depends on the mode, which no action shows; its creator may in one mode, and in the other as a member.
    """
    project = source.ProjectId or listed_in
    administrators = f"{project}.{PROJECT_ADMINISTRATOR}"
    unknown = {UNCERTAIN: SHARING_MODE.name}
    holders: list[tuple[PrincipalType, str, str, dict[str, str]]] = [
        (PrincipalType.PROJECT, project, "default use of the creating project", unknown),
        (PrincipalType.ROLE, administrators, "administrator of the creating project", {}),
    ]
    if source.CreateUser:
        holders.append((PrincipalType.USER, source.CreateUser, "creator", {**unknown, CERTAIN_IN: project}))
    for kind, ident, entitlement, attributes in holders:
        yield Grant(
            key=GrantKey("wedata_data_sources", account, "data_source", source.Id, kind, ident, entitlement),
            # No call takes it and no listing of authorizations shows it.
            cell=Cell("", source.Id, "default", (kind, ident)),
            revocable=False,
            why_not="comes with the data source, not with an authorization",
            resource_name=source.Name or source.Id,
            attributes=attributes,
        )


def _grant(
    account: str,
    source: str,
    name: str,
    kind: PrincipalType,
    principal: str,
    entry: str,
    column: tuple[str, tuple[str, ...]],
) -> Grant:
    why_not = ""
    if kind is PrincipalType.UNKNOWN:
        why_not = "the authorization entry does not have the form <project>_<user>"
    elif not all(is_numeric_id(ident) for ident in (source, *column[1])):
        why_not = UNNAMEABLE
    return Grant(
        key=GrantKey("wedata_data_sources", account, "data_source", source, kind, principal, "use", entry),
        cell=Cell(source, source, *column),
        revocable=not why_not,
        why_not=why_not,
        resource_name=name,
    )
