"""Alibaba Cloud Quick BI 2022-01-01: datasets, and the white lists of their row and column permissions.

Source: the vendor's Python SDK models (1.19.0). ``SetDataLevelPermissionWhiteList``, which replaces a whole list, does
not exist here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from rescind.cloud.base import Reply, Row
from rescind.cloud.fields import Flag, IdText, NamedId, OptionalId, Text, Token
from rescind.cloud.quickbi.members import FlagWrite
from rescind.cloud.quickbi.menus import DataPage, QuickBiList, QuickBiRead
from rescind.errors import CloudError, MalformedResponseError

MAX_TARGETS = 50
"""Most users or groups in one call. The vendor names no limit; the query string stays below 4 kB."""

RuleType = Literal["ROW_LEVEL", "COLUMN_LEVEL"]


class Dataset(Row):
    """A dataset, which the vendor also calls a cube. ``RowLevel``: whether rules for rows are switched on."""

    DatasetId: IdText
    DatasetName: Text | None = None
    WorkspaceId: OptionalId = None
    OwnerId: OptionalId = None
    RowLevel: Flag | None = None

    def key(self) -> tuple[str, ...]:
        """The dataset id."""
        return (self.DatasetId,)


class QueryDatasetList(QuickBiList[Dataset]):
    """Datasets of one workspace, those in its folders included; page size at most 1000."""

    action: ClassVar[str] = "QueryDatasetList"
    Answer: ClassVar[type[Reply]] = DataPage[Dataset]
    page_size: ClassVar[int] = 500
    WorkspaceId: Token
    WithChildren: bool = True


class WhiteListAnswer(Reply):
    """Who is on a white list. A null in place of a list is no answer and refused as malformed."""

    class _WhiteList(Reply):
        class _UsersModel(Reply):
            UserGroups: tuple[IdText, ...]
            Users: tuple[IdText, ...]

        CubeId: IdText
        RuleType: Text
        UsersModel: _UsersModel

    Result: _WhiteList

    @property
    def groups(self) -> tuple[str, ...]:
        """Ids of the user groups."""
        return self.Result.UsersModel.UserGroups

    @property
    def users(self) -> tuple[str, ...]:
        """Quick BI ids of the users."""
        return self.Result.UsersModel.Users


class ListDataLevelPermissionWhiteList(QuickBiRead[WhiteListAnswer]):
    """The white list of one dataset for rules of one kind, in one answer without a total."""

    action: ClassVar[str] = "ListDataLevelPermissionWhiteList"
    Answer: ClassVar[type[Reply]] = WhiteListAnswer
    CubeId: Token
    RuleType: RuleType

    def objection(self, reply: WhiteListAnswer, facts: Mapping[str, Any]) -> CloudError | None:
        """Return a malformed answer where it is about another list than was asked for."""
        same = (reply.Result.CubeId, reply.Result.RuleType) == (self.CubeId, self.RuleType)
        return None if same else MalformedResponseError("the answer is about another white list", **facts)


class AddDataLevelPermissionWhiteList(FlagWrite):
    """Put users or groups on one white list (``ADD``), or take them off it (``DELETE``).

    ``TargetType``: 1 users, 2 groups. Every parameter is sent: the vendor names no default.
    """

    action: ClassVar[str] = "AddDataLevelPermissionWhiteList"
    CubeId: NamedId
    RuleType: RuleType
    OperateType: Literal["ADD", "DELETE"]
    TargetType: Literal["1", "2"]
    TargetIds: Annotated[tuple[NamedId, ...], Field(min_length=1, max_length=MAX_TARGETS)]

    @model_validator(mode="after")
    def _distinct(self) -> AddDataLevelPermissionWhiteList:
        if len(set(self.TargetIds)) != len(self.TargetIds):
            raise ValueError("an id is named twice")
        return self

    def wire(self) -> dict[str, Any]:
        """Return the list, the operation and the targets, joined by commas."""
        return {
            "CubeId": self.CubeId,
            "RuleType": self.RuleType,
            "OperateType": self.OperateType,
            "TargetType": self.TargetType,
            "TargetIds": ",".join(self.TargetIds),
        }
