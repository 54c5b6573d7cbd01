"""Tencent Cloud WeData 2025-08-06: sharing of data sources.

Sources: the vendor's page of RevokeDataSourceAuthorization, SDK models and CLI metadata of version 2025-08-06.
Connection settings (``ProdConProperties``, ``DevConProperties``) can hold passwords and are not modeled.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from rescind.cloud.base import Part, ReadRequest, Reply, Row, WriteRequest
from rescind.cloud.fields import Digits, DigitsAsInt, Flag, IdText, NumericId, OptionalId, SearchText, Text, Yes
from rescind.cloud.wedata.base import MAX_ENTRIES, ItemsPage, WeDataCall, WeDataList
from rescind.errors import CloudError, RefusedError, UnknownOutcomeError


class FromProject(Part):
    """Take the data source from one whole project. ``whole_project`` must be said: a missing user never means it."""

    kind: Literal["project"] = "project"
    project_id: NumericId
    whole_project: Yes


class FromUser(Part):
    """Take the data source from one user inside one project."""

    kind: Literal["user"] = "user"
    project_id: NumericId
    user_id: NumericId


class StatusAnswer(Reply):
    """``Data.Status`` of a data source write; null proves nothing."""

    class _Data(Reply):
        Status: Flag | None = None

    Data: _Data | None = None

    @property
    def Status(self) -> bool | None:  # noqa: N802 - the vendor's name
        """True, False, or None when the vendor said nothing."""
        return self.Data.Status if self.Data else None


class _DataSourceWrite(WeDataCall, WriteRequest[StatusAnswer]):
    Answer: ClassVar[type[Reply]] = StatusAnswer
    DataSourceId: NumericId

    def objection(self, reply: StatusAnswer, facts: Mapping[str, Any]) -> CloudError | None:
        """Only ``Status: true`` counts; false is a refusal, null or nothing proves nothing."""
        if reply.Status is None:
            return UnknownOutcomeError("the answer has no Status", **facts)
        return None if reply.Status else RefusedError("Status is false", **facts)


class RevokeDataSourceAuthorization(_DataSourceWrite):
    """Withdraw a data source from one project or from one user in a project. 20 a second, documented.

    The vendor's call with neither selector withdraws *everything*; that request cannot be built here.
    """

    action: ClassVar[str] = "RevokeDataSourceAuthorization"
    target: Annotated[FromProject | FromUser, Field(discriminator="kind")]

    def wire(self) -> dict[str, Any]:
        """The body with exactly one selector."""
        if isinstance(self.target, FromProject):
            return {"DataSourceId": self.DataSourceId, "RevokeProjectId": self.target.project_id}
        return {"DataSourceId": self.DataSourceId, "RevokeUser": f"{self.target.project_id}_{self.target.user_id}"}


class ToProject(Part):
    """Admit one whole project. ``whole_project`` must be said: missing users never mean it."""

    kind: Literal["project"] = "project"
    project_id: NumericId
    whole_project: Yes


class ToUsers(Part):
    """Admit users of one project."""

    kind: Literal["users"] = "users"
    project_id: NumericId
    user_ids: Annotated[tuple[NumericId, ...], Field(min_length=1, max_length=MAX_ENTRIES)]


class AuthorizeDataSource(_DataSourceWrite):
    """Admit a project, or users of one project, to a data source. 20 a second, documented."""

    action: ClassVar[str] = "AuthorizeDataSource"
    target: Annotated[ToProject | ToUsers, Field(discriminator="kind")]

    def wire(self) -> dict[str, Any]:
        """The body with exactly one selector."""
        if isinstance(self.target, ToProject):
            return {"DataSourceId": self.DataSourceId, "AuthProjectId": self.target.project_id}
        users = [f"{self.target.project_id}_{user}" for user in self.target.user_ids]
        return {"DataSourceId": self.DataSourceId, "AuthUsers": users}


class DescribeDataSourceAuthorityAnswer(Reply):
    """Admitted projects and users.

    A null list inside ``Data`` means none (so the vendor's own Terraform provider reads it); a null ``Data``, or
    one without either list, is no answer and is refused as malformed.
    """

    class _Data(Reply):
        AuthProjectIds: tuple[IdText, ...] | None
        AuthUsers: tuple[IdText, ...] | None

    Data: _Data

    @property
    def project_ids(self) -> tuple[str, ...]:
        """Ids of admitted projects."""
        return self.Data.AuthProjectIds or ()

    @property
    def users(self) -> tuple[str, ...]:
        """``<projectId>_<userId>`` entries as the vendor wrote them; split at the first underscore."""
        return self.Data.AuthUsers or ()


class DescribeDataSourceAuthority(WeDataCall, ReadRequest[DescribeDataSourceAuthorityAnswer]):
    """Which projects and users a data source is authorized to. No paging. 20 a second, documented."""

    action: ClassVar[str] = "DescribeDataSourceAuthority"
    Answer: ClassVar[type[Reply]] = DescribeDataSourceAuthorityAnswer
    Id: DigitsAsInt


class DataSource(Row):
    """A data source, without its connection settings.

    By default the project ``ProjectId`` and the creator ``CreateUser`` may use it: no listing shows that, and which
    of the two sharing modes a source has is not shown either. Null is unknown. The creator's name is not listed.
    """

    Id: IdText
    ProjectId: OptionalId = None
    ProjectName: Text | None = None
    Type: Text | None = None
    Name: Text | None = None
    DisplayName: Text | None = None
    Category: Text | None = None
    CreateUser: Text | None = None
    CreateTime: Text | None = None
    ModifyTime: Text | None = None

    def key(self) -> tuple[str, ...]:
        """The id."""
        return (self.Id,)


class ListDataSources(WeDataList[DataSource]):
    """Data sources of one project."""

    action: ClassVar[str] = "ListDataSources"
    Answer: ClassVar[type[Reply]] = ItemsPage[DataSource]
    page_size: ClassVar[int] = 50
    null_at_zero: ClassVar[bool] = True
    ProjectId: Digits
    PageNumber: int | None = None
    PageSize: int | None = None
    Name: SearchText | None = None
