"""Grants, principals and memberships as rows, in both directions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from sys import intern
from typing import Any

from rescind.ledger.runs.records import Listing
from rescind.ledger.store.copy_spool import NULL, array, digest_bytes, document, flag, moment, text
from rescind.model import Cell, Grant, GrantKey, Membership, Principal

GRANT_COLUMNS = (
    "run_no",
    "grant_id",
    "scope_no",
    "system",
    "account",
    "resource_type",
    "resource_id",
    "principal_type",
    "principal_id",
    "entitlement",
    "native_id",
    "cell_container",
    "cell_row",
    "cell_kind",
    "cell_column",
    "revocable",
    "why_not",
    "inherited_from",
    "expires_at",
    "expires_raw",
    "created_raw",
    "origin",
    "principal_name",
    "resource_name",
    "attributes",
)
PRINCIPAL_COLUMNS = (
    "run_no",
    "scope_no",
    "system",
    "account",
    "principal_type",
    "principal_id",
    "name",
    "kind",
    "status",
    "last_used_at",
    "other_ids",
    "owner",
)
LISTING_COLUMNS = (
    "run_no",
    "scope_no",
    "action",
    "parameters_digest",
    "pages",
    "declared",
    "counted",
    "duplicates",
    "passes",
    "null_as_empty",
    "page_digests",
    "request_ids",
    "started_at",
    "finished_at",
)
MEMBERSHIP_COLUMNS = (
    "run_no",
    "scope_no",
    "system",
    "account",
    "member_type",
    "member_id",
    "container_type",
    "container_id",
)

# What to select, from a table named g, so that grant_of() can build the grant. The JSON stays text: most
# grants have no attributes, and decoding nothing a million times is most of the time it takes.
GRANT_SELECT = (
    "g.grant_id, g.system, g.account, g.resource_type, g.resource_id, g.principal_type, g.principal_id, g.entitlement,"
    " g.native_id, g.cell_container, g.cell_row, g.cell_kind, g.cell_column, g.revocable, g.why_not, g.inherited_from,"
    " g.expires_at, g.expires_raw, g.created_raw, g.origin, g.principal_name, g.resource_name, g.attributes::text"
)
GRANT_WIDTH = 23


def grant_rows(run_no: int, scope_no: int, grants: Iterable[Grant]) -> Iterator[Sequence[str]]:
    """The COPY rows of grants, in the order of :data:`GRANT_COLUMNS`."""
    run, scope = str(run_no), str(scope_no)
    for grant in grants:
        key, cell = grant.key, grant.cell
        yield (
            run,
            digest_bytes(key.grant_id),
            scope,
            *(text(part) for part in key),
            text(cell.container),
            text(cell.row),
            text(cell.kind),
            array(cell.column),
            flag(grant.revocable),
            text(grant.why_not),
            text(grant.inherited_from),
            moment(grant.expires_at),
            text(grant.expires_raw),
            text(grant.created_raw),
            text(grant.origin),
            text(grant.principal_name),
            text(grant.resource_name),
            document(dict(grant.attributes)),
        )


def principal_rows(run_no: int, scope_no: int, principals: Iterable[Principal]) -> Iterator[Sequence[str]]:
    """The COPY rows of principals, in the order of :data:`PRINCIPAL_COLUMNS`."""
    run, scope = str(run_no), str(scope_no)
    for principal in principals:
        yield (
            run,
            scope,
            text(principal.system),
            text(principal.account),
            text(principal.principal_type),
            text(principal.principal_id),
            text(principal.name),
            text(principal.kind),
            text(principal.status),
            moment(principal.last_used_at),
            document([list(pair) for pair in principal.other_ids]),
            text(principal.owner),
        )


def membership_rows(run_no: int, scope_no: int, memberships: Iterable[Membership]) -> Iterator[Sequence[str]]:
    """The COPY rows of memberships, in the order of :data:`MEMBERSHIP_COLUMNS`."""
    run, scope = str(run_no), str(scope_no)
    for edge in memberships:
        yield (
            run,
            scope,
            text(edge.system),
            text(edge.account),
            text(edge.member_type),
            text(edge.member_id),
            text(edge.container_type),
            text(edge.container_id),
        )


def listing_row(run_no: int, scope_no: int, listing: Listing) -> Sequence[str]:
    """The COPY row of a listing's record, in the order of :data:`LISTING_COLUMNS`."""
    return (
        str(run_no),
        str(scope_no),
        text(listing.action),
        text(listing.parameters_digest),
        str(listing.pages),
        NULL if listing.declared is None else str(listing.declared),
        str(listing.counted),
        str(listing.duplicates),
        str(listing.passes),
        flag(listing.null_as_empty),
        array(listing.page_digests),
        array(listing.request_ids),
        moment(listing.started_at),
        moment(listing.finished_at),
    )


def listing_of(row: Sequence[Any]) -> Listing:
    """A listing's record from the columns of :data:`LISTING_COLUMNS` after the first two."""
    values = dict(zip(LISTING_COLUMNS[2:], row, strict=True))
    values |= {name: tuple(values[name]) for name in ("page_digests", "request_ids")}
    return Listing(**values)


def grant_of(row: Sequence[Any]) -> Grant:
    """A grant from the columns of :data:`GRANT_SELECT`."""
    return Grant(
        key=GrantKey(*row[1:9]),
        cell=Cell(row[9], row[10], row[11], tuple(row[12])),
        revocable=row[13],
        why_not=row[14],
        inherited_from=row[15],
        expires_at=row[16],
        expires_raw=row[17],
        created_raw=row[18],
        origin=row[19],
        principal_name=row[20],
        resource_name=row[21],
        attributes=json.loads(row[22]) if row[22] else {},
    )


def principal_of(row: Sequence[Any]) -> Principal:
    """A principal from the columns of :data:`PRINCIPAL_COLUMNS` after the first two.

    What many principals have in common is one text in memory: decisions keep all of them.
    """
    system, account, kind = intern(row[0]), intern(row[1]), intern(row[2])
    other_ids = tuple((intern(space), value) for space, value in row[8] or ())
    return Principal(
        system, account, kind, row[3], row[4], intern(row[5]), intern(row[6]), row[7], other_ids, intern(row[9])
    )


def membership_of(row: Sequence[Any]) -> Membership:
    """A membership from the columns of :data:`MEMBERSHIP_COLUMNS` after the first two; shared texts as above."""
    system, account, kind, member, container_kind, container = row
    return Membership(intern(system), intern(account), intern(kind), member, intern(container_kind), intern(container))
