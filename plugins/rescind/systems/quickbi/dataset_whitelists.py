"""Alibaba Quick BI: who is on the white list of a dataset, and so sees all its rows or columns whatever the rules say.

A grant is one user or group on one of the two lists of a dataset. Rules are not touched: to take somebody out of a rule
may show them more. One action adds and deletes, so each reading of a final request looks at its operation first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

from rescind.cloud.base import Prepared, WriteRequest
from rescind.cloud.clients import QuickBiClient
from rescind.cloud.fields import UNNAMEABLE, is_named_id
from rescind.cloud.quickbi.datasets import (
    MAX_TARGETS,
    AddDataLevelPermissionWhiteList,
    Dataset,
    ListDataLevelPermissionWhiteList,
    QueryDatasetList,
)
from rescind.cloud.quickbi.inventory import QueryOrganizationWorkspaceList
from rescind.errors import BlastRadiusExceededError, InputError, MalformedResponseError, NotFoundError, RefusedError
from rescind.model import CallShape, Cell, Grant, Membership, Principal, PrincipalType, digest
from rescind.systems.final_bytes import query_fields
from rescind.systems.membership import Container, Member, MembershipSystem, Named
from rescind.systems.population import Population
from rescind.systems.quickbi.access import GROUPS
from rescind.systems.quickbi.people import QuickBiPeople, discover_groups
from rescind.systems.quickbi.users import organization_users
from rescind.systems.surfaces import NOT_COVERED, PlatformAnswer, Surface
from rescind.systems.walker import Walker

DATASET = "dataset"
ENTITLEMENTS: Mapping[Any, str] = {"ROW_LEVEL": "all_rows", "COLUMN_LEVEL": "all_columns"}
"""What a white list gives, by the kind of rules that it sets aside."""
_RULES: Mapping[str, Any] = {name: rule for rule, name in ENTITLEMENTS.items()}
_TARGETS: Mapping[str, Any] = {PrincipalType.USER: "1", PrincipalType.GROUP: "2"}

WHITE_LISTS = Surface(
    "white lists of datasets", "ListDataLevelPermissionWhiteList", "users and groups whom no rule of a dataset limits"
)
RULES = Surface(
    "row and column rules",
    "",
    "whether rules are switched on, whom they limit, and what people see whom none names",
    f"{NOT_COVERED}, so access is never proven gone here",
)
SURFACES = (
    WHITE_LISTS,
    GROUPS,
    RULES,
    Surface("use of the dataset", "", "who may open it at all", "quickbi_work_authorizations reads authorizations"),
)


class QuickBiDatasetWhitelists(QuickBiPeople, MembershipSystem[QuickBiClient]):
    """White lists of datasets; one call takes users or groups off one list."""

    name: ClassVar[str] = "quickbi_dataset_whitelists"
    title: ClassVar[str] = "Quick BI dataset white lists"
    id_spaces: ClassVar[tuple[str, ...]] = ("quickbi_user_id", "alibaba_uid")
    vendor: ClassVar[str] = "alibaba"
    hook: ClassVar[str] = "rescind.hooks.quickbi.QuickBiHook"
    container_type: ClassVar[str] = DATASET
    container_kind: ClassVar[PrincipalType] = PrincipalType.UNKNOWN
    shape: ClassVar[CallShape] = CallShape(max_rows=1, max_columns=dict.fromkeys(map(str, _TARGETS), MAX_TARGETS))
    revoke_message: ClassVar[type[WriteRequest[Any]]] = AddDataLevelPermissionWhiteList
    restore_message: ClassVar[type[WriteRequest[Any]]] = AddDataLevelPermissionWhiteList
    restore_shape: ClassVar[CallShape] = shape
    surfaces: ClassVar[tuple[Surface, ...]] = SURFACES
    reads: ClassVar[frozenset[str]] = frozenset(
        {
            "ListDataLevelPermissionWhiteList",
            "ListUserGroupsByUserId",
            "QueryDatasetList",
            "QueryOrganizationWorkspaceList",
            "QueryUserGroupListByParentId",
            "QueryUserGroupMember",
            "QueryUserInfoByAccount",
            "QueryUserList",
        }
    )

    async def discover(self, client: QuickBiClient, found: Population) -> None:
        """List users and groups with their members; then every dataset with its two white lists."""
        walker = Walker(client, found)
        people = await self.people(walker)
        found.shown(PrincipalType.USER, (person.principal_id for person in people))
        found.add_principals(people)
        await discover_groups(walker, found, self.name)
        datasets = [row for row in await _datasets(walker) if not found.leaves_out(DATASET, row.DatasetId)]
        found.shown(DATASET, (row.DatasetId for row in datasets))
        await walker.for_each(
            datasets,
            lambda row: self._entries(walker, row, found),
            lambda _, grants: found.add_grants(grants),
        )
        found.asked(WHITE_LISTS.name)
        found.note("objects", len(datasets))

    async def _entries(self, walker: Walker[QuickBiClient], row: Dataset, found: Population) -> list[Grant]:
        """Return the entries of one dataset. One whose white lists are not shown is not reviewed."""
        try:
            return await self._grants(walker, (row.DatasetId, row.DatasetName or ""))
        except (NotFoundError, RefusedError, MalformedResponseError, InputError) as error:
            why = f"its white lists are not shown: {type(error).__name__}: {error}"[:300]
            found.not_reviewed(DATASET, row.DatasetId, why)
            return []

    async def people(self, walker: Walker[QuickBiClient]) -> Sequence[Principal]:
        """Return the users of the organization."""
        return await organization_users(walker, self.name)

    async def containers(self, walker: Walker[QuickBiClient]) -> Mapping[str, Container]:
        """Return every dataset of every workspace."""
        return {row.DatasetId: Container(row.DatasetName or "") for row in await _datasets(walker)}

    async def members(self, walker: Walker[QuickBiClient], container: str) -> list[Member]:
        """Return the entries of both white lists of one dataset.

        :raises MalformedResponseError: when a list is null or about another dataset.
        """
        members: list[Member] = []
        for rule, entitlement in ENTITLEMENTS.items():
            asks = ListDataLevelPermissionWhiteList(CubeId=container, RuleType=rule)
            answer = (await walker.client.read(asks)).value
            walker.calls += 1
            walker.pages.append(digest(answer.model_dump(mode="json")))
            for kind, ids in ((PrincipalType.USER, answer.users), (PrincipalType.GROUP, answer.groups)):
                for ident in dict.fromkeys(ids):
                    nameable = is_named_id(container) and is_named_id(ident)
                    members.append(Member(ident, kind, "", entitlement, "" if nameable else UNNAMEABLE))
        return members

    def call_group(self, kind: str, role: str) -> str:
        """Return the list and the kind of its entries: one call names entries of one kind on one list."""
        return f"{role} {kind}"

    def remove(
        self, containers: tuple[str, ...], members: tuple[str, ...], group: str
    ) -> AddDataLevelPermissionWhiteList:
        """Return the call that takes users or groups off one list of the one dataset."""
        entitlement, _, kind = group.partition(" ")
        return _write("DELETE", containers, members, entitlement, kind)

    def add(
        self, containers: tuple[str, ...], members: tuple[str, ...], like: Mapping[str, Any]
    ) -> AddDataLevelPermissionWhiteList:
        """Return the call that puts users or groups back on one list of the one dataset."""
        return _write("ADD", containers, members, like["role"], like["member_type"])

    def named(self, prepared: Prepared[Any]) -> Named:
        """Return dataset, entries, list and operation of the final query string."""
        fields = query_fields(prepared)
        kind = {"1": PrincipalType.USER, "2": PrincipalType.GROUP}.get(fields.get("TargetType", ""))
        listed = {"ROW_LEVEL": "all_rows", "COLUMN_LEVEL": "all_columns"}.get(fields.get("RuleType", ""))
        wanted = {"CubeId", "RuleType", "OperateType", "TargetType", "TargetIds"}
        if kind is None or listed is None or set(fields) != wanted or "," in fields["CubeId"]:
            raise BlastRadiusExceededError(f"the final {prepared.action} query does not name entries of one white list")
        terms = {"OperateType": fields["OperateType"]}
        return Named((fields["CubeId"],), tuple(fields["TargetIds"].split(",")), kind, listed, terms)

    def blast_radius(self, prepared: Prepared[Any]) -> frozenset[Cell]:
        """Return every entry that the final query string deletes. One that adds ends nothing and is refused here."""
        if self._checked(prepared).terms != {"OperateType": "DELETE"}:
            raise BlastRadiusExceededError(f"the final {prepared.action} query does not delete; it was not sent")
        return super().blast_radius(prepared)

    def given(self, prepared: Prepared[Any]) -> list[Mapping[str, Any]]:
        """Return every entry that the final query string adds. One that deletes is refused here."""
        if self._checked(prepared).terms != {"OperateType": "ADD"}:
            raise BlastRadiusExceededError(f"the final {prepared.action} query does not add; it was not sent")
        return super().given(prepared)

    def restore_terms(self, grant: Grant) -> Mapping[str, Any]:
        """Return the operation: the name of the action does not tell a restore from a revocation."""
        return {"OperateType": "ADD"}

    def memberships(self, grant: Grant) -> tuple[Membership, ...]:
        """Return none: an entry is no membership."""
        return ()

    async def ask_platform(self, client: QuickBiClient, grants: Collection[Grant]) -> PlatformAnswer:
        """Return an open question for each: without an entry, the rules decide, and they may show everything."""
        answer = PlatformAnswer()
        for grant in grants:
            answer.could_not_ask(grant.grant_id, RULES.name, f"ListCubeDataLevelPermissionConfig: {NOT_COVERED}")
        return answer


async def _datasets(walker: Walker[QuickBiClient]) -> list[Dataset]:
    """Return the datasets of every workspace.

    :raises ListingIncompleteError: when a listing could not be read whole.
    """
    spaces = sorted(space.WorkspaceId for space in await walker.rows(QueryOrganizationWorkspaceList()))
    listed = await walker.each(spaces, lambda space: walker.rows(QueryDatasetList(WorkspaceId=space)))
    return [row for rows in listed for row in rows]


def _write(
    operation: Any, containers: tuple[str, ...], members: tuple[str, ...], entitlement: str, kind: str
) -> AddDataLevelPermissionWhiteList:
    (dataset,) = containers
    return AddDataLevelPermissionWhiteList(
        CubeId=dataset,
        RuleType=_RULES[entitlement],
        OperateType=operation,
        TargetType=_TARGETS[kind],
        TargetIds=members,
    )
