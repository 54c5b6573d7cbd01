"""Alibaba Cloud Quick BI 2022-01-01: which works a user looked at. Source: the vendor's Python SDK models (1.19.0)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from rescind.cloud.base import Reply
from rescind.cloud.fields import Count, OptionalId, Text, Token
from rescind.cloud.quickbi.menus import QuickBiRead

MOST_VIEWS = 9999
BY_TIME: Literal["2"] = "2"


class RecentView(Reply):
    """A work that a user looked at. ``Type``: DATAPRODUCT, PAGE or REPORT. ``LatestViewTime``: ms since 1970."""

    TreeId: OptionalId = None
    Type: Text | None = None
    LatestViewTime: Text | None = None


class ListRecentViewReportsAnswer(Reply):
    """``Result.Data``. ``TotalNum`` counts all; the vendor has announced that it will end."""

    class _Data(Reply):
        Data: tuple[RecentView, ...] | None = None
        TotalNum: Count | None = None

    Result: _Data | None = None


class ListRecentViewReports(QuickBiRead[ListRecentViewReportsAnswer]):
    """Works of all types that one user looked at in the last ``OffsetDay`` days; no second page.

    ``QueryMode``: 1 the most viewed first, 2 the newest view first.
    """

    action: ClassVar[str] = "ListRecentViewReports"
    Answer: ClassVar[type[Reply]] = ListRecentViewReportsAnswer
    UserId: Token
    OffsetDay: Annotated[int, Field(ge=1, le=365)]
    QueryMode: Literal["1", "2"] = BY_TIME
    PageSize: Annotated[int, Field(ge=1, le=MOST_VIEWS)] = MOST_VIEWS
