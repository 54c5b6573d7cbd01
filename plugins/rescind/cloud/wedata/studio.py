"""Tencent Cloud WeData 2025-08-06: folders, scripts and workflows of Studio, and the permissions on them.

Sources: the vendor's Python SDK models and CLI metadata of version 2025-08-06. The vendor's writes take lists of
objects and of subjects; a request here names one object and one subject, so that one call never reaches a second
person. ``Privileges`` and ``PermissionTypeList``: CAN_VIEW, CAN_RUN, CAN_EDIT, CAN_MANAGE; of workflows only CAN_MANAGE
is said to be supported now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from rescind.cloud.base import ListRequest, Page, Part, Reply, Row, WriteRequest
from rescind.cloud.fields import Count, Digits, Flag, IdText, NamedId, NameText, NumericId, OptionalId, Text, Token
from rescind.cloud.wedata.base import ItemsPage, WeDataCall, WeDataList
from rescind.cloud.wedata.data_sources import StatusAnswer
from rescind.errors import CloudError, RefusedError, UnknownOutcomeError

Permission = Literal["CAN_VIEW", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE"]
SubjectKind = Literal["user", "role", "group"]


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) != len(names):
        raise ValueError("a permission is named twice")
    return names


_Permissions = Annotated[tuple[Permission, ...], Field(min_length=1, max_length=4), AfterValidator(_distinct)]

# --- folders and scripts ----------------------------------------------------------------------------


class CodeNode(Row):
    """A folder or script. ``AccessScope``: SHARED, PRIVATE; null is unknown. ``Path`` addresses what is in a folder."""

    Id: IdText
    Title: Text | None = None
    Type: Text | None = None
    Path: Text | None = None
    AccessScope: Text | None = None
    OwnerUin: OptionalId = None
    CreateUserUin: OptionalId = None

    def key(self) -> tuple[str, ...]:
        """Type and id."""
        return (self.Type or "", self.Id)


class ListCodeFolderContentsAnswer(Page[CodeNode]):
    """``Data``, a list without paging and without a total."""

    Data: tuple[CodeNode, ...] | None = None

    def rows(self) -> Sequence[CodeNode] | None:
        """The nodes, or None for null."""
        return self.Data


class ListCodeFolderContents(WeDataCall, ListRequest[CodeNode]):
    """What is in one folder, one level deep, in one answer. ``/`` is the root."""

    action: ClassVar[str] = "ListCodeFolderContents"
    Answer: ClassVar[type[Reply]] = ListCodeFolderContentsAnswer
    ProjectId: Digits
    ParentFolderPath: NameText


class CodeResource(Part):
    """A folder or a script by its id."""

    ResourceType: Literal["folder", "script"]
    ResourceId: Token


class CodePermission(Row):
    """Permissions of one holder on one object. ``RoleType``: user, role, group. ``DeleteAble`` false: it stays."""

    class _Resource(Reply):
        ResourceType: Text | None = None
        ResourceId: OptionalId = None

    RoleType: Text | None = None
    RoleId: OptionalId = None
    Privileges: tuple[Text, ...] | None = None
    Resource: _Resource | None = None
    DeleteAble: Flag | None = None

    @property
    def source(self) -> str:
        """The id of the object that the row names, or an empty text."""
        return (self.Resource.ResourceId if self.Resource else None) or ""

    def key(self) -> tuple[str, ...]:
        """Holder, object, permissions, and whether they can be withdrawn."""
        where = (self.Resource.ResourceType, self.Resource.ResourceId) if self.Resource else ("", "")
        rights = sorted(self.Privileges or ())
        return (self.RoleType or "", self.RoleId or "", *(one or "" for one in where), str(self.DeleteAble), *rights)


class ListCodePermissionsAnswer(Page[CodePermission]):
    """``Data.Rows`` with ``Data.TotalCount``."""

    class _Data(Reply):
        Rows: tuple[CodePermission, ...] | None = None
        TotalCount: Count | None = None

    Data: _Data | None = None

    def rows(self) -> Sequence[CodePermission] | None:
        """The rows, or None for null."""
        return self.Data.Rows if self.Data else None

    def total(self) -> int | None:
        """``TotalCount``, or None for null."""
        return self.Data.TotalCount if self.Data else None


class ListCodePermissions(WeDataList[CodePermission]):
    """Permissions on one folder or script. At most 100 a page; inherited ones may repeat a row."""

    action: ClassVar[str] = "ListCodePermissions"
    Answer: ClassVar[type[Reply]] = ListCodePermissionsAnswer
    ProjectId: Digits
    Resource: CodeResource
    PageNumber: int = 1
    PageSize: int = 100

    def may_repeat(self, row: CodePermission) -> bool:
        """Inherited from two folders, where the rows name the object and not the folder."""
        return bool(row.RoleId)


class CodeWriteAnswer(Reply):
    """One result for each object; in the vendor's sample of a withdrawal the list is empty."""

    class _Result(Reply):
        Item: OptionalId = None
        Result: Flag | None = None

    Data: tuple[_Result, ...] | None = None


class _CodeWrite(WeDataCall, WriteRequest[CodeWriteAnswer]):
    """Permissions of one holder on one folder or script."""

    Answer: ClassVar[type[Reply]] = CodeWriteAnswer
    objects: ClassVar[str]
    subjects: ClassVar[str]
    ProjectId: NumericId
    ResourceType: Literal["folder", "script"]
    ResourceId: NamedId
    SubjectType: SubjectKind
    SubjectId: NumericId
    Privileges: _Permissions

    def objection(self, reply: CodeWriteAnswer, facts: Mapping[str, Any]) -> CloudError | None:
        """Return a refusal for false. A list that is null, about something else, or without a result proves nothing."""
        results = reply.Data
        if results is None or any(one.Item not in (None, self.ResourceId) for one in results):
            return UnknownOutcomeError("the answer has no result for this object", **facts)
        if results and all(one.Result is False for one in results):
            return RefusedError("Result is false", **facts)
        if any(one.Result is not True for one in results):
            return UnknownOutcomeError("the answer has no Result, or two of them", **facts)
        return None

    def wire(self) -> dict[str, Any]:
        """Return project, object and holder, nested as the vendor has it."""
        holder = {
            "SubjectType": self.SubjectType,
            "SubjectValues": [self.SubjectId],
            "Privileges": list(self.Privileges),
        }
        resource = {"ResourceType": self.ResourceType, "ResourceId": self.ResourceId}
        return {"ProjectId": self.ProjectId, self.objects: [{"Resource": resource, self.subjects: [holder]}]}


class DeleteCodePermissions(_CodeWrite):
    """Withdraw permissions of one holder on one folder or script."""

    action: ClassVar[str] = "DeleteCodePermissions"
    objects: ClassVar[str] = "RecyclePolicySet"
    subjects: ClassVar[str] = "RecycleSubjects"


class CreateCodePermissions(_CodeWrite):
    """Give permissions on one folder or script to one holder."""

    action: ClassVar[str] = "CreateCodePermissions"
    objects: ClassVar[str] = "AuthorizePermissionObjects"
    subjects: ClassVar[str] = "AuthorizeSubjects"


# --- workflows --------------------------------------------------------------------------------------


class WorkflowFolder(Row):
    """A folder of workflows."""

    FolderId: IdText
    ProjectId: OptionalId = None
    FolderPath: Text | None = None
    CreateUserUin: OptionalId = None

    def key(self) -> tuple[str, ...]:
        """The folder id."""
        return (self.FolderId,)


class ListWorkflowFolders(WeDataList[WorkflowFolder]):
    """Folders in one folder; ``/`` is the root. 10 to 200 a page."""

    action: ClassVar[str] = "ListWorkflowFolders"
    Answer: ClassVar[type[Reply]] = ItemsPage[WorkflowFolder]
    ProjectId: Digits
    ParentFolderPath: NameText
    PageNumber: int | None = None
    PageSize: int | None = None


class Workflow(Row):
    """A workflow. The listing does not say in which folder it is."""

    WorkflowId: IdText
    WorkflowName: Text | None = None
    OwnerUin: OptionalId = None
    CreateUserUin: OptionalId = None

    def key(self) -> tuple[str, ...]:
        """The workflow id."""
        return (self.WorkflowId,)


class ListWorkflows(WeDataList[Workflow]):
    """Workflows of a project, or of one folder. 10 to 200 a page."""

    action: ClassVar[str] = "ListWorkflows"
    Answer: ClassVar[type[Reply]] = ItemsPage[Workflow]
    ProjectId: Digits
    ParentFolderPath: NameText | None = None
    PageNumber: int | None = None
    PageSize: int | None = None


class WorkflowPermission(Row):
    """Permissions of one holder. Nothing says whether they come from a folder above."""

    PermissionTargetType: Text | None = None
    PermissionTargetId: OptionalId = None
    PermissionTypeList: tuple[Text, ...] | None = None

    def key(self) -> tuple[str, ...]:
        """Holder and permissions."""
        rights = sorted(self.PermissionTypeList or ())
        return (self.PermissionTargetType or "", self.PermissionTargetId or "", *rights)


class ListWorkflowPermissions(WeDataList[WorkflowPermission]):
    """Permissions on one workflow, or on one folder of workflows. 10 to 200 a page; inherited ones may repeat a row."""

    action: ClassVar[str] = "ListWorkflowPermissions"
    Answer: ClassVar[type[Reply]] = ItemsPage[WorkflowPermission]
    ProjectId: Digits
    EntityId: Token
    EntityType: Literal["folder", "workflow"]
    PageNumber: int | None = None
    PageSize: int | None = None

    def may_repeat(self, row: WorkflowPermission) -> bool:
        """Its own, and inherited from folders above: nothing tells the rows apart."""
        return bool(row.PermissionTargetId)


class _WorkflowWrite(WeDataCall, WriteRequest[StatusAnswer]):
    """Permissions of one holder on one workflow or folder of workflows."""

    Answer: ClassVar[type[Reply]] = StatusAnswer
    holders: ClassVar[str]
    ProjectId: NumericId
    EntityType: Literal["folder", "workflow"]
    EntityId: NamedId
    SubjectType: SubjectKind
    SubjectId: NumericId
    Privileges: _Permissions

    def objection(self, reply: StatusAnswer, facts: Mapping[str, Any]) -> CloudError | None:
        """Return a refusal for false, and an unknown outcome for null or nothing: only true counts."""
        if reply.Status is None:
            return UnknownOutcomeError("the answer has no Status", **facts)
        return None if reply.Status else RefusedError("Status is false", **facts)

    def wire(self) -> dict[str, Any]:
        """Return project, object and holder, nested as the vendor has it."""
        holder = {
            "PermissionTargetType": self.SubjectType,
            "PermissionTargetId": self.SubjectId,
            "PermissionTypeList": list(self.Privileges),
        }
        entity = {"EntityId": self.EntityId, "EntityType": self.EntityType}
        return {"ProjectId": self.ProjectId, **entity, self.holders: [holder]}


class DeleteWorkflowPermissions(_WorkflowWrite):
    """Withdraw permissions of one holder on one workflow or folder."""

    action: ClassVar[str] = "DeleteWorkflowPermissions"
    holders: ClassVar[str] = "DeletePermissionList"


class CreateWorkflowPermissions(_WorkflowWrite):
    """Give permissions on one workflow or folder to one user or role. The vendor does not name groups here."""

    action: ClassVar[str] = "CreateWorkflowPermissions"
    holders: ClassVar[str] = "PermissionList"
    SubjectType: Literal["user", "role"]
