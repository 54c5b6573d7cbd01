"""Tencent Cloud WeData 2025-08-06: what its messages share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Generic

from rescind.cloud.base import ListRequest, Page, Reply, RowT
from rescind.cloud.fields import Count

VERSION = "2025-08-06"
MAX_ENTRIES = 100
"""Most resources, pairs or users in one call. The vendor states no limit; this is ours."""


class WeDataCall:
    """Vendor, service, version and rate limit of every WeData message.

    20 requests per second and action: the vendor's pages of RevokePrivileges (1267/127235), AuthorizePrivileges,
    ListPermissions, RevokeDataSourceAuthorization, AuthorizeDataSource and DescribeDataSourceAuthority say so. Their
    sister actions are assumed to have the same limit.
    """

    vendor: ClassVar[str] = "tencent"
    service: ClassVar[str] = "wedata"
    version: ClassVar[str] = VERSION
    rate: ClassVar[float] = 20.0


class WeDataList(WeDataCall, ListRequest[RowT], Generic[RowT]):
    """A listing in pages that declares its total."""

    needs_total: ClassVar[bool] = True
    page_field: ClassVar[str] = "PageNumber"
    size_field: ClassVar[str] = "PageSize"


class _Items(Reply, Generic[RowT]):
    Items: tuple[RowT, ...] | None  # null can mean "none"; a list that is missing means nothing
    TotalCount: Count | None = None


class ItemsPage(Page[RowT], Generic[RowT]):
    """``Data.Items`` with ``Data.TotalCount``; the other paging fields of the vendor are not reliable."""

    Data: _Items[RowT] | None = None

    def rows(self) -> Sequence[RowT] | None:
        """``Items``, or None for null."""
        return self.Data.Items if self.Data else None

    def total(self) -> int | None:
        """``TotalCount``, or None for null."""
        return self.Data.TotalCount if self.Data else None
