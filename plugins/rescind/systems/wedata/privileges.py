"""Tencent WeData, catalog mode: privileges on metalake, catalogs, schemas and tables.

Discovery lists catalogs, then the databases, schemas and tables of each, then the permissions of each object. That
listing repeats inherited privileges on every child. A repeated row whose source grant was found is left out and counted
in the certificate as ``inherited``. The vendor lists by object only, so only the listing by resource proves absence.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, ClassVar

from rescind.cloud.answers.outcomes import Said
from rescind.cloud.base import Answer, Prepared, WriteRequest
from rescind.cloud.clients import WeDataClient
from rescind.cloud.paging import OTHER
from rescind.cloud.wedata.inventory import (
    ListCatalog,
    ListProjects,
)
from rescind.cloud.wedata.privileges import (
    AuthorizePrivileges,
    ListPermissions,
    Privilege,
    PrivilegeResource,
    PrivilegesWriteAnswer,
    RevokePrivileges,
)
from rescind.errors import BlastRadiusExceededError, ListingIncompleteError
from rescind.model import (
    CallShape,
    Cell,
    Grant,
    GrantKey,
    ItemState,
    Membership,
    PlannedCall,
    PrincipalType,
)
from rescind.systems.base import ListingScope, PartOutcome, PermissionSystem, Reading
from rescind.systems.population import Population
from rescind.systems.surfaces import NOT_COVERED, EndedMemberships, Surface, Untraceable
from rescind.systems.walker import Walker
from rescind.systems.wedata.catalog_objects import DOTTED, OWNER, objects_below
from rescind.systems.wedata.permission_grants import SUBJECTS, grant_of, subject_of
from rescind.systems.wedata.projects import (
    LIMITS,
    MEMBERS,
    ROLE_HOLDERS,
    UNTRACEABLE,
    discover_projects,
    ended_memberships,
    holders,
)

_STATES = {Said.ACCEPTED: ItemState.ACCEPTED, Said.REFUSED: ItemState.REFUSED, Said.UNKNOWN: ItemState.UNKNOWN}
_METALAKE = ("Metalake", "default")
_TOTAL = "TotalCounts"
"""Attribute of a grant: what the total of its listing was seen to count, where that is not rows."""
PERMISSIONS = Surface("permissions", "ListPermissions", "direct and inherited privileges on catalog, schema and table")
TABLE_OWNERS = Surface("table owners", "ListTable", "the owner of a table", "as text whose form is not documented")
SURFACES = (
    PERMISSIONS,
    TABLE_OWNERS,
    MEMBERS,
    ROLE_HOLDERS,
    Surface(
        "views, volumes, functions and models", "", "grants on them", "no action of this version lists these objects"
    ),
    Surface(
        "Studio folders, scripts and workflows",
        "",
        "permissions on code and on workflows",
        "wedata_studio_permissions reads them",
    ),
    Surface("tasks of an owner", "", "schedules that run with the rights of a person", NOT_COVERED),
    *LIMITS,
)


class WeDataPrivileges(PermissionSystem[WeDataClient]):
    """Grants are (object, subject, privilege); one call takes one pair from several objects of one type.

    The vendor's results come per object, so one (subject, privilege) pair per call gives an outcome per
    grant under either reading of the pairing.
    """

    name: ClassVar[str] = "wedata_privileges"
    title: ClassVar[str] = "WeData privileges"
    id_spaces: ClassVar[tuple[str, ...]] = ("wedata_user_id",)
    vendor: ClassVar[str] = "tencent"
    hook: ClassVar[str] = "rescind.hooks.wedata.WeDataHook"
    member_space: ClassVar[str] = "wedata_uin"
    surfaces: ClassVar[tuple[Surface, ...]] = SURFACES
    untraceable: ClassVar[Mapping[str, Untraceable]] = UNTRACEABLE
    shape: ClassVar[CallShape] = CallShape(max_rows=20, max_columns={"pair": 1})
    revoke_message: ClassVar[type[WriteRequest[Any]]] = RevokePrivileges
    restore_message: ClassVar[type[WriteRequest[Any]]] = AuthorizePrivileges
    restore_shape: ClassVar[CallShape] = shape
    reads: ClassVar[frozenset[str]] = frozenset(
        {
            "ListCatalog",
            "ListDatabase",
            "ListPermissions",
            "ListProjectMembers",
            "ListProjects",
            "ListSchema",
            "ListTable",
        }
    )
    admin_entitlements: ClassVar[frozenset[str]] = frozenset({"GRANT_PRIVILEGES", "ALL_PRIVILEGES"})
    reads_known: ClassVar[bool] = True

    def container(self, grant: Grant) -> str:
        """The object: the vendor lists by object."""
        return grant.key.resource_id

    async def discover(self, client: WeDataClient, found: Population) -> None:
        """List the metalake, then each catalog from the top down, so that sources come before inherited rows."""
        await self._discover(client, found, None)

    async def discover_known(self, client: WeDataClient, found: Population, containers: Collection[str]) -> None:
        """The same, with some objects and the objects above them only."""
        above = (".".join(uri.split(".")[:depth]) for uri in containers for depth in (1, 2))
        await self._discover(client, found, frozenset({*containers, *above}))

    async def _discover(self, client: WeDataClient, found: Population, only: frozenset[str] | None) -> None:
        walker = Walker(client, found)
        await discover_projects(walker, found, self.name)
        catalogs = sorted(catalog.Name for catalog in await walker.rows(ListCatalog()))
        top = _Sources()
        await _objects(walker, found, [_METALAKE], top)
        for catalog in catalogs:
            if only is not None and catalog not in only:
                continue
            if "." in catalog:
                found.not_reviewed("catalog", catalog, DOTTED)
                continue
            schemas, tables = await objects_below(walker, catalog, found, only)
            sources = _Sources(top.direct)
            for level in ([("Catalog", catalog)], schemas):
                await _objects(walker, found, level, sources)
            await _objects(walker, found, tables, sources, last=True)
        found.asked(PERMISSIONS.name)
        found.asked(TABLE_OWNERS.name)

    def cell(self, key: GrantKey) -> Cell:
        """One privilege of one subject on one object."""
        kind = PrincipalType.PLATFORM_ROLE if key.principal_type == PrincipalType.EVERYONE else key.principal_type
        subject = next((name for name, known in SUBJECTS.items() if known == kind), "")
        return Cell(key.resource_type, key.resource_id, "pair", (subject, key.principal_id, key.entitlement))

    def listing_scope(self, grant: Grant) -> ListingScope:
        """The object itself, and whether discovery saw that the total of its listing counts pairs."""
        return (grant.attributes["ResourceType"], grant.key.resource_id, grant.attributes.get(_TOTAL, ""))

    def listed_by(self, listings: Collection[ListingScope]) -> Mapping[str, Collection[str]]:
        """By object."""
        return {"resources": {ident for _, ident, _ in listings}}

    async def reread(self, client: WeDataClient, listings: Collection[ListingScope]) -> Reading:
        """One ListPermissions per object; shadows of a parent's grant are left out, as in discovery."""
        walker = Walker(client)
        listed = await walker.each(sorted(listings), lambda scope: _permissions(walker, scope, scope[2] == OTHER))
        grants = tuple(grant for grants in listed for grant in grants if not grant.inherited_from)
        return Reading(grants, frozenset(listings), walker.calls, tuple(walker.pages))

    def request(self, call: PlannedCall, grants: Sequence[Grant]) -> RevokePrivileges:
        """Objects of one type, one subject with one value, one privilege."""
        spelling = {grant.key.resource_id: grant.attributes["ResourceType"] for grant in grants}
        return RevokePrivileges(
            Resources=tuple(PrivilegeResource(ResourceType=spelling[row], ResourceUri=row) for row in call.rows),
            Subjects=tuple(subject_of(kind, value) for _, (kind, value, _name) in call.columns),
            Privileges=tuple(Privilege(Name=name) for _, (_t, _v, name) in call.columns),
        )

    def blast_radius(self, prepared: Prepared[Any]) -> frozenset[Cell]:
        """Return all objects times all values of all subjects times all privileges: the widest possible reading."""
        return frozenset(
            Cell(spelling.lower(), uri, "pair", (subject, value, name))
            for spelling, uri, subject, value, name in _product(prepared, "RevokePrivileges")
        )

    def outcome(self, call: PlannedCall, answer: Answer[Any]) -> list[PartOutcome]:
        """One part per object, matched by the echoed object."""
        reply: PrivilegesWriteAnswer = answer.value
        resources = tuple(PrivilegeResource(ResourceType=call.container, ResourceUri=row) for row in call.rows)
        return [
            PartOutcome(
                frozenset(Cell(call.container, said.resource_uri, kind, column) for kind, column in call.columns),
                _STATES[said.said],
                said.detail,
            )
            for said in reply.outcomes(resources)
        ]

    def inverse(self, grant: Grant) -> Mapping[str, Any] | None:
        """AuthorizePrivileges with exactly this object, subject and privilege."""
        kind, value, name = grant.cell.column
        return {
            "action": "AuthorizePrivileges",
            "ResourceType": grant.attributes["ResourceType"],
            "ResourceUri": grant.key.resource_id,
            "SubjectType": kind,
            "SubjectValue": value,
            "Privilege": name,
        }

    def restore_request(self, inverses: Sequence[Mapping[str, Any]]) -> AuthorizePrivileges:
        """Objects of one type, one subject with one value, one privilege."""
        ((kind, value, name),) = {(i["SubjectType"], i["SubjectValue"], i["Privilege"]) for i in inverses}
        objects = sorted((i["ResourceType"], i["ResourceUri"]) for i in inverses)
        return AuthorizePrivileges(
            Resources=tuple(PrivilegeResource(ResourceType=spelling, ResourceUri=uri) for spelling, uri in objects),
            Subjects=(subject_of(kind, value),),
            Privileges=(Privilege(Name=name),),
        )

    def given(self, prepared: Prepared[Any]) -> list[Mapping[str, Any]]:
        """Return the product of all lists, the widest possible reading."""
        names = ("ResourceType", "ResourceUri", "SubjectType", "SubjectValue", "Privilege")
        return [
            {"action": "AuthorizePrivileges", **dict(zip(names, single, strict=True))}
            for single in _product(prepared, "AuthorizePrivileges")
        ]

    async def ended_memberships(self, client: WeDataClient, memberships: Collection[Membership]) -> EndedMemberships:
        """Return memberships in projects and their roles that ended since discovery."""
        return await ended_memberships(client, memberships)

    async def gone_holders(self, client: WeDataClient, grants: Collection[Grant]) -> Mapping[str, str]:
        """Return the grants of deleted projects and of their roles. The vendor has no listing of users."""
        owned = {grant.grant_id: grant.key.principal_id.partition(".")[0] for grant in grants if _of_project(grant)}
        if not owned:
            return {}
        there = {project.ProjectId for project in await Walker(client).rows(ListProjects())}
        return {ident: "the project is gone" for ident, project in owned.items() if project not in there}

    async def own_ids(self, client: WeDataClient) -> frozenset[str]:
        """The caller's UIN. WeData's own user id is another number that no action returns: the connection names it."""
        return frozenset({client.identity.user_id}) if client.identity else frozenset()

    def parents(self, grant: Grant) -> Iterable[tuple[str, str]]:
        """The dotted path upward, then the metalake."""
        kind, parts = grant.key.resource_type, grant.key.resource_id.split(".")
        if kind not in ("catalog", "schema", "metalake") and len(parts) == 3:
            yield "schema", ".".join(parts[:2])
        if kind not in ("catalog", "metalake"):
            yield "catalog", parts[0]
        if kind != "metalake":
            yield "metalake", "default"

    def includes(self, held: str, entitlement: str) -> bool:
        """``ALL_PRIVILEGES`` and ownership give every privilege."""
        return held in (entitlement, "ALL_PRIVILEGES", OWNER)


class _Sources:
    """Direct grants of the objects above, as (object, column): what an inherited row can be the shadow of."""

    def __init__(self, above: Iterable[tuple[str, tuple[str, ...]]] = ()) -> None:
        self.direct = set(above)

    def without_shadows(self, grants: Iterable[Grant], *, last: bool) -> list[Grant]:
        """Leave out inherited rows whose source grant was found; the rest stays, as not revocable.

        :param last: True for objects that nothing inherits from: their grants need not be remembered.
        """
        if not last:
            self.direct.update((g.key.resource_id, g.cell.column) for g in grants if not g.inherited_from)
        return [g for g in grants if not g.inherited_from or (g.inherited_from, g.cell.column) not in self.direct]


async def _objects(
    walker: Walker[WeDataClient],
    found: Population,
    listings: Sequence[tuple[str, str]],
    sources: _Sources,
    *,
    last: bool = False,
) -> None:
    """The permissions on objects of one level."""

    def take(_: object, rows: list[Grant]) -> None:
        direct = sources.without_shadows(rows, last=last)
        found.add_grants(direct)
        found.add_principals(holders(direct))
        found.note("inherited", len(rows) - len(direct))

    reviewed = [item for item in listings if not found.leaves_out(item[0].lower(), item[1])]
    await walker.for_each(reviewed, lambda item: _permissions(walker, item, other_unit=True), take)
    found.note("objects", len(reviewed))


def _product(prepared: Prepared[Any], action: str) -> list[tuple[str, str, str, str, str]]:
    """(ResourceType, ResourceUri, SubjectType, value, privilege): the product of all lists of the final body.

    :raises BlastRadiusExceededError: when it cannot be read, or a list is empty.
    """
    body = json.loads(prepared.body)
    try:
        objects = [(str(r["ResourceType"]), r["ResourceUri"]) for r in body["Resources"]]
        subjects = [(s["SubjectType"], value) for s in body["Subjects"] for value in s["SubjectValues"]]
        names = [p["Name"] for p in body["Privileges"]]
    except (KeyError, TypeError) as error:
        raise BlastRadiusExceededError(f"the final {action} body cannot be read: {error!r}") from None
    if not objects or not subjects or not names:
        raise BlastRadiusExceededError(f"the final {action} body has an empty list")
    return [(*thing, *subject, name) for thing in objects for subject in subjects for name in names]


def _of_project(grant: Grant) -> bool:
    """Whether the holder is a project or one of a project's roles, whose ids begin with the project's."""
    kind, ident = grant.key.principal_type, grant.key.principal_id
    return kind == PrincipalType.PROJECT or (kind == PrincipalType.ROLE and "." in ident)


async def _permissions(walker: Walker[WeDataClient], item: Sequence[str], other_unit: bool) -> list[Grant]:
    """The permissions on one object.

    :param other_unit: accept a total that counts pairs. Verification does so only where discovery saw it: an answer
        that is cut could have as many pairs as there are rows.
    """
    kind, uri = item[:2]
    resource = PrivilegeResource(ResourceType=kind, ResourceUri=uri)
    listing = await walker.listing(ListPermissions(Resource=resource), other_unit=other_unit)
    counts = {_TOTAL: OTHER} if listing.record.unit == OTHER else {}
    for row in listing.rows:
        if row.Resource.ResourceUri != uri or (row.Resource.ResourceType or "").lower() != kind.lower():
            raise ListingIncompleteError(f"ListPermissions({kind} {uri})", "a row is about another object")
    found = {
        grant.key: grant
        for row in listing.rows
        for subject in row.SubjectDetails
        for detail in row.PermissionDetails
        for grant in [grant_of(walker.account, row, subject, detail, counts)]
    }
    return list(found.values())
