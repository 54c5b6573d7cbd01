"""Alibaba Cloud Quick BI 2022-01-01: portals, menus and their authorization records.

Sources: the vendor's help page of CancelAuthorizationMenu, the vendor's Python SDK models (1.19.0) and Go SDK
examples. The organization follows from the calling account.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar, Generic, Literal

from pydantic import BeforeValidator, Field, model_validator

from rescind.cloud.answers.strict_json import loads_text
from rescind.cloud.base import ListRequest, Page, ReadRequest, Reply, ReplyT, Row, RowT, WriteRequest
from rescind.cloud.fields import Count, Flag, IdText, NamedId, Number, OptionalId, Text, Token

VERSION = "2022-01-01"
MAX_MENUS, MAX_USERS, MAX_GROUPS = 100, 200, 200
FOLDER = 4
"""``menuType`` of a folder: it cannot be authorized."""


class _QuickBi:
    """What every Quick BI message shares.

    The developer guide (help page 412695) allows 50 requests per second and action. Its edition of January 2025 has
    30 for most queries, so reads keep to 30.
    """

    vendor: ClassVar[str] = "alibaba"
    service: ClassVar[str] = "quickbi"
    version: ClassVar[str] = VERSION
    rate: ClassVar[float] = 30.0


class QuickBiWrite(_QuickBi, WriteRequest[ReplyT], Generic[ReplyT]):
    """A Quick BI write."""

    rate: ClassVar[float] = 50.0


class QuickBiRead(_QuickBi, ReadRequest[ReplyT], Generic[ReplyT]):
    """A Quick BI read."""


class QuickBiWhole(_QuickBi, ListRequest[RowT], Generic[RowT]):
    """A Quick BI listing without paging: one answer holds everything and declares no total."""


class QuickBiList(_QuickBi, ListRequest[RowT], Generic[RowT]):
    """A Quick BI listing in pages: ``PageNum``, ``PageSize``, answer with ``TotalNum``."""

    page_field: ClassVar[str] = "PageNum"
    size_field: ClassVar[str] = "PageSize"
    needs_total: ClassVar[bool] = True
    PageNum: int | None = None
    PageSize: int | None = None


class _Data(Reply, Generic[RowT]):
    Data: tuple[RowT, ...] | None = None
    TotalNum: Count | None = None


class DataPage(Page[RowT], Generic[RowT]):
    """``Result.Data`` with ``Result.TotalNum``."""

    Result: _Data[RowT] | None = None

    def rows(self) -> Sequence[RowT] | None:
        """The rows, or None for null."""
        return self.Result.Data if self.Result else None

    def total(self) -> int | None:
        """``TotalNum``."""
        return self.Result.TotalNum if self.Result else None


class WholePage(Page[RowT], Generic[RowT]):
    """``Result`` as a plain array."""

    Result: tuple[RowT, ...] | None = None

    def rows(self) -> Sequence[RowT] | None:
        """The rows, or None for null."""
        return self.Result


# --- writes -------------------------------------------------------------------------------------------


class MenusAnswer(Reply):
    """``Result`` counts *menus*, not (menu, receiver) pairs. Never use it as proof."""

    Result: Count


class _MenuWrite(QuickBiWrite[MenusAnswer]):
    """Every one of ``MenuIds`` times every one of ``UserIds`` and ``UserGroupIds``. Leaf menus only."""

    Answer: ClassVar[type[Reply]] = MenusAnswer
    DataPortalId: NamedId
    MenuIds: Annotated[tuple[NamedId, ...], Field(min_length=1, max_length=MAX_MENUS)]
    UserIds: Annotated[tuple[NamedId, ...], Field(max_length=MAX_USERS)] = ()
    UserGroupIds: Annotated[tuple[NamedId, ...], Field(max_length=MAX_GROUPS)] = ()

    @model_validator(mode="after")
    def _consistent(self) -> _MenuWrite:
        if not self.UserIds and not self.UserGroupIds:
            raise ValueError("give UserIds or UserGroupIds")
        for ids in (self.MenuIds, self.UserIds, self.UserGroupIds):
            if len(set(ids)) != len(ids):
                raise ValueError("an id is named twice")
        return self

    def wire(self) -> dict[str, Any]:
        """Ids joined by commas; a receiver kind without ids is not sent."""
        out: dict[str, Any] = {"DataPortalId": self.DataPortalId, "MenuIds": ",".join(self.MenuIds)}
        if self.UserIds:
            out["UserIds"] = ",".join(self.UserIds)
        if self.UserGroupIds:
            out["UserGroupIds"] = ",".join(self.UserGroupIds)
        return out


class CancelAuthorizationMenu(_MenuWrite):
    """Remove the records of users and groups from menus of one portal. Pairs that do not exist are skipped."""

    action: ClassVar[str] = "CancelAuthorizationMenu"


class AuthorizeMenu(_MenuWrite):
    """Add records. ``AuthPointsValue``: 1 view, 3 view and export."""

    action: ClassVar[str] = "AuthorizeMenu"
    AuthPointsValue: Literal[1, 3]

    def wire(self) -> dict[str, Any]:
        """As for canceling, with the authorization points."""
        return {**super().wire(), "AuthPointsValue": self.AuthPointsValue}


# --- portals, menus, records --------------------------------------------------------------------------


class Work(Row):
    """A work (portal, dashboard, report ...). A portal is a work of type DATAPRODUCT.

    ``PublicFlag``: readable by link until ``PublicInvalidTime`` (milliseconds since the epoch). ``SecurityLevel``:
    0 private, 12 named members, 1 or 11 all members of the workspace. Null means unknown in each of them.
    """

    WorksId: IdText
    WorkName: Text | None = None
    WorkType: Text | None = None
    WorkspaceId: OptionalId = None
    WorkspaceName: Text | None = None
    OwnerId: OptionalId = None
    OwnerName: Text | None = None
    Status: Number | None = None
    PublicFlag: Flag | None = None
    PublicInvalidTime: Number | None = None
    SecurityLevel: Text | None = None
    GmtModify: Text | None = None

    def key(self) -> tuple[str, ...]:
        """The work id."""
        return (self.WorksId,)


class QueryWorksByOrganization(QuickBiList[Work]):
    """Works of the organization; ``WorksType=DATAPRODUCT`` lists the portals."""

    action: ClassVar[str] = "QueryWorksByOrganization"
    Answer: ClassVar[type[Reply]] = DataPage[Work]
    WorksType: Text | None = None


def _text_only(value: object) -> object:
    """Return a text as it is. Everything else says nothing, and makes no menu tree unreadable."""
    return value if isinstance(value, str) else None


class Menu(Reply):
    """One node of a portal's menu tree. ``menuType``: 0 dashboard, 1 link, 2 workbook, 4 folder, 5 form, 6 query.

    ``uri``: id or address of the work behind it.
    """

    menuId: IdText  # noqa: N815 - the vendor's spelling
    menuName: Text | None = None  # noqa: N815
    menuType: Number | None = None  # noqa: N815
    uri: Annotated[str | None, BeforeValidator(_text_only)] = None
    showOnlyWithAccess: Flag | None = None  # noqa: N815
    children: tuple[Menu, ...] | None = None

    def walk(self) -> Iterator[Menu]:
        """The node and everything below it."""
        yield self
        for child in self.children or ():
            yield from child.walk()

    @property
    def is_folder(self) -> bool:
        """True for folders and for nodes that have children."""
        return self.menuType == FOLDER or bool(self.children)


def _menu_tree(value: Any) -> Any:
    """``Result`` is JSON text: a list of nodes, or one node."""
    if isinstance(value, str):
        value = loads_text(value)
    return [value] if isinstance(value, dict) else value


class ListPortalMenusAnswer(Reply):
    """The menu tree, parsed from the JSON text in ``Result``."""

    Result: Annotated[tuple[Menu, ...], BeforeValidator(_menu_tree)]

    def nodes(self) -> tuple[Menu, ...]:
        """All nodes, folders included, parents first."""
        return tuple(node for root in self.Result for node in root.walk())

    def leaves(self) -> tuple[Menu, ...]:
        """The menus that can be authorized."""
        return tuple(node for node in self.nodes() if not node.is_folder)


class ListPortalMenus(QuickBiRead[ListPortalMenusAnswer]):
    """Menu tree of a portal; with ``UserId`` only what that user may see (the effective check)."""

    action: ClassVar[str] = "ListPortalMenus"
    Answer: ClassVar[type[Reply]] = ListPortalMenusAnswer
    DataPortalId: Token
    UserId: Token | None = None


class Receiver(Row):
    """A receiver of a menu.

    ``ReceiverType``: 0 user, 1 group, 2 organization, 3 workspace; others are unknown kinds.
    ``AuthPointsValue``: 1 view, 3 view and export, 10 manage data entry, 11 edit; None is an unknown level.
    """

    ReceiverId: OptionalId = None
    ReceiverType: Number
    AuthPointsValue: Number | None = None

    def key(self) -> tuple[str, ...]:
        """Type, id and points."""
        return (str(self.ReceiverType), self.ReceiverId or "", str(self.AuthPointsValue))


class MenuAuthorization(Row):
    """All receivers of one leaf menu. With ``ShowOnlyWithAccess`` false everybody sees the menu anyway.

    The vendor does not say what it sends for a menu without receivers. A list, also an empty one, says who they
    are. Null or nothing in its place is *unconfirmed*: no receiver is shown, and nothing proves that there is none.
    """

    MenuId: IdText
    ShowOnlyWithAccess: Flag | None = None
    Receivers: tuple[Receiver, ...] | None = None

    @property
    def receivers(self) -> tuple[Receiver, ...]:
        """The receivers that are shown; look at :attr:`unconfirmed` before taking none as nobody."""
        return self.Receivers or ()

    @property
    def unconfirmed(self) -> bool:
        """True when the vendor sent no list: a second, equal read can confirm that there are no receivers."""
        return self.Receivers is None

    def key(self) -> tuple[str, ...]:
        """The menu id."""
        return (self.MenuId,)


class ListPortalMenuAuthorization(QuickBiWhole[MenuAuthorization]):
    """All receivers of all leaf menus of one portal, in one answer."""

    action: ClassVar[str] = "ListPortalMenuAuthorization"
    Answer: ClassVar[type[Reply]] = WholePage[MenuAuthorization]
    DataPortalId: Token


class ListWhitePortalMenu(QuickBiWhole[Receiver]):
    """White list of a portal. The parameter is spelled with a small p by the vendor."""

    action: ClassVar[str] = "ListWhitePortalMenu"
    Answer: ClassVar[type[Reply]] = WholePage[Receiver]
    DataportalId: Token
