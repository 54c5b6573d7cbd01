"""Alibaba Quick BI: works and datasets that can be authorized, and what a row of their authorizations means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from rescind.cloud.clients import QuickBiClient
from rescind.cloud.fields import UNNAMEABLE, is_named_id
from rescind.cloud.quickbi.authorizations import Authorization
from rescind.cloud.quickbi.datasets import QueryDatasetList
from rescind.cloud.quickbi.menus import QueryWorksByOrganization, Work
from rescind.cloud.quickbi.shares import FIRST_END, QueryShareList, Share
from rescind.model import PrincipalType
from rescind.systems.membership import Member
from rescind.systems.population import Population
from rescind.systems.quickbi.access import BESIDE, GROUPS, ORGANIZATION_ROLES, WORKSPACES, receiver_kind
from rescind.systems.quickbi.users import moment
from rescind.systems.quickbi.work_access import OWN_ANSWER, SHARES, WORK, WORKS, unknowns
from rescind.systems.surfaces import NOT_COVERED, Gap, Surface
from rescind.systems.walker import Walker

SYSTEM = "quickbi_work_authorizations"
DATASET, CUBE, _PORTAL = "dataset", "cube", "DATAPRODUCT"
LEVELS = {
    frozenset({"READ"}): "view",
    frozenset({"READ", "EXPORT"}): "view_export",
    frozenset({"READ", "EXPORT", "EDITE"}): "edit",
}
TYPES = {
    "PAGE": "dashboard",
    "REPORT": "report",
    "dashboardOfflineQuery": "dashboardOfflineQuery",
    "SCREEN": "screen",
    "ANALYSIS": "ANALYSIS",
    "DATAFORM": "dataForm",
    CUBE: CUBE,
}
"""From the type of a work to the type of its authorizations. The vendor relates only some of them by name."""
FAR = 4_070_908_800_000
"""The year 2099 in milliseconds. Where an end is shown for edit, which has none, it may be a date such as this."""
_ANY_ZONE = timedelta(hours=36)
"""Where a day begins, in the zone furthest east, it ends at most this much later in the zone furthest west."""

AUTHORIZATIONS = Surface(
    "authorizations", "ListAuthConfigByResource", "users, groups, workspaces and the organization, with level and end"
)
DATASETS = Surface("datasets", "QueryDatasetList", "the datasets of each workspace with their owner")
SURFACES = (
    AUTHORIZATIONS,
    GROUPS,
    WORKSPACES,
    ORGANIZATION_ROLES,
    WORKS,
    DATASETS,
    SHARES,
    OWN_ANSWER,
    Surface("data sources", "", "authorizations on data sources", NOT_COVERED),
    Surface("works in portals", "", "who sees a work as a menu of a portal", "quickbi_menus reads them"),
    *BESIDE,
)


async def authorized_resources(walker: Walker[QuickBiClient], workspaces: Iterable[str]) -> list[Work]:
    """Return the works without portals, and the datasets of the workspaces as works of the type ``cube``.

    :raises ListingIncompleteError: when a listing could not be read whole.
    """
    works = [work for work in await walker.rows(QueryWorksByOrganization()) if work.WorkType != _PORTAL]
    spaces = sorted(workspaces)
    listed = await walker.each(spaces, lambda space: walker.rows(QueryDatasetList(WorkspaceId=space)))
    for space, rows in zip(spaces, listed, strict=True):
        for row in rows:
            given = {"WorksId": row.DatasetId, "WorkName": row.DatasetName, "OwnerId": row.OwnerId}
            works.append(Work.model_validate({**given, "WorkType": CUBE, "WorkspaceId": space}))
    return works


def kind_of_type(resource_type: str) -> str:
    """Return the kind of a resource as people know it, from the type that the calls name."""
    return DATASET if resource_type == CUBE else "data_source" if resource_type == "datasource" else WORK


def kind_of(work: Work) -> str:
    """Return the kind of a work, or of a dataset that is given as one."""
    return kind_of_type(work.WorkType or "")


def day_before(end: datetime) -> str:
    """Return the last day that is over before a time in every time zone, as ``YYYY-MM-DD``."""
    return (end - _ANY_ZONE).date().isoformat()


def untold(work: Work, found: Population) -> None:
    """Name what the vendor does not tell of a work or dataset: null is not "nobody" and not "no"."""
    if kind_of(work) == WORK:
        unknowns(work, found)
    elif work.OwnerId is None:
        why = f"QueryDatasetList does not tell the owner of dataset {work.WorksId}"
        found.could_not_tell(Gap(DATASETS.name, why, (DATASET, work.WorksId)))


def is_far(end: str) -> bool:
    """Return whether an end is none for people: not told, or so far away that the vendor may mean "no end"."""
    return end in ("", "0") or (end.isascii() and end.isdecimal() and int(end) >= FAR)


def authorized_member(resource_type: str, resource: str, row: Authorization) -> Member:
    """Return what one row says. The end stands for the id of the record, of which the vendor shows none.

    :param resource_type: as the calls name it.
    """
    kind, ident, raw = receiver_kind(row.Scope), row.AuthorizedId or "", row.ExpireDate or ""
    level = LEVELS.get(said := frozenset(row.Authorities or ()))
    number = int(raw) if raw.isascii() and raw.isdecimal() else 0
    end = moment(number) if number >= FIRST_END else None
    if kind != PrincipalType.USER:
        why_not = f"the call names users, not a {kind}"
    elif level is None:
        why_not = "its authorities are not known"
    elif not ident:
        why_not = "the receiver has no id"
    else:
        why_not = "" if is_named_id(resource) and is_named_id(ident) else UNNAMEABLE
    return Member(
        ident,
        kind,
        row.AuthorizedName or "",
        level or f"level {','.join(sorted(said))}".rstrip(),
        why_not,
        "" if raw == "0" else raw,
        end,
        end.isoformat(" ", "milliseconds") if end else "",
        {"ResourceType": resource_type, "ExpireDate": raw},
    )


async def shares_of(walker: Walker[QuickBiClient], work: Work) -> Sequence[Share]:
    """Return the shares of a work. Datasets have none.

    :raises ListingIncompleteError: when the listing could not be read whole.
    """
    return await walker.rows(QueryShareList(ReportId=work.WorksId)) if kind_of(work) == WORK else ()


def shares_with(user: str, shares: Iterable[Share]) -> frozenset[str]:
    """Return level and end of each share with one user."""
    mine = (share for share in shares if receiver_kind(share.ShareToType) == PrincipalType.USER)
    return frozenset(f"{share.AuthPoint} {share.ExpireDate}" for share in mine if share.ShareToId == user)
