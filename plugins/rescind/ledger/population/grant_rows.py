"""Conversion between rows and grants, principals, memberships and listings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from sys import intern
from typing import Any

from rescind.ledger.runs.records import Listing
from rescind.ledger.store.columns import listed, names
from rescind.ledger.store.copy_spool import NULL, array, digest_field, document, flag, moment, text, texts
from rescind.model import LAST_USE, Cell, Grant, GrantKey, Membership, Principal

_CELL = ("cell_container", "cell_row", "cell_kind", "cell_column")
FACTS = names(Grant, without=("key", "cell"))
"""Fields of a grant beside its identity and its cell; attributes come last."""
TERMS = names(Grant, without=("key", "cell", *LAST_USE))
"""Those of them that are the grant's own. Its use is another in every run."""
GRANT_COLUMNS = ("run_no", "grant_id", "scope_no", *GrantKey._fields, *_CELL, *FACTS)
PRINCIPAL_COLUMNS = ("run_no", "scope_no", *names(Principal))
LISTING_COLUMNS = ("run_no", "scope_no", *names(Listing))
MEMBERSHIP_COLUMNS = ("run_no", "scope_no", *names(Membership))

KEY_SELECT = listed(GrantKey._fields, "g")
"""The columns of a :class:`GrantKey`, from a table with the alias ``g``."""
GRANT_SELECT = f"g.grant_id, {KEY_SELECT}, {listed(_CELL, 'g')}, {listed(FACTS[:-1], 'g')}, g.attributes::text"
"""What :func:`grant_of` needs, from a table with the alias ``g``.

The attributes stay text. Most grants have none, and decoding nothing a million times takes most of the time.
"""
STORED = ("grant_id", *GrantKey._fields, "container", "row", "column_kind", "column", *FACTS)
"""Names for the columns of :data:`GRANT_SELECT`."""
GRANT_WIDTH = 1 + len(GrantKey._fields) + len(_CELL) + len(FACTS)


def grant_rows(run_no: int, scope_no: int, grants: Iterable[Grant]) -> Iterator[Sequence[str]]:
    """Yield the COPY rows of grants in the order of :data:`GRANT_COLUMNS`."""
    run, scope = str(run_no), str(scope_no)
    for grant in grants:
        key, cell = grant.key, grant.cell
        free = (grant.why_not, grant.inherited_from, grant.expires_raw, grant.created_raw, grant.origin)
        used = (grant.last_used_on, grant.last_use)
        fields = texts((*key, *cell[:3], *free, grant.principal_name, grant.resource_name, *used))
        yield (
            run,
            digest_field(key.grant_id),
            scope,
            *fields[:11],
            array(cell.column),
            flag(grant.revocable),
            *fields[11:13],
            moment(grant.expires_at),
            *fields[13:18],
            NULL if grant.last_used_days is None else str(grant.last_used_days),
            *fields[18:],
            _attributes(tuple(grant.attributes.items())),
        )


@lru_cache(maxsize=1024)  # most grants of a system have the attributes of many others
def _attributes(items: tuple[tuple[str, str], ...]) -> str:
    return document(dict(items))


def principal_rows(run_no: int, scope_no: int, principals: Iterable[Principal]) -> Iterator[Sequence[str]]:
    """Yield the COPY rows of principals in the order of :data:`PRINCIPAL_COLUMNS`."""
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
    """Yield the COPY rows of memberships in the order of :data:`MEMBERSHIP_COLUMNS`."""
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
    """Return the COPY row of a listing in the order of :data:`LISTING_COLUMNS`."""
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
    """Return a listing from the columns of :data:`LISTING_COLUMNS` after the first two."""
    values = dict(zip(LISTING_COLUMNS[2:], row, strict=True))
    values |= {name: tuple(values[name]) for name in ("page_digests", "request_ids")}
    return Listing(**values)


def grant_of(row: Sequence[Any]) -> Grant:
    """Return a grant from the columns of :data:`GRANT_SELECT`."""
    cell = Cell(row[9], row[10], row[11], tuple(row[12]))
    facts = (*row[13:25], json.loads(row[25]) if row[25] else {})
    return Grant(GrantKey(*row[1:9]), cell, *facts)


def stored_grant(row: Sequence[Any]) -> dict[str, Any]:
    """Return a grant by the names of :data:`STORED`; further columns of the row are left out."""
    grant = dict(zip(STORED, row, strict=False))
    grant["attributes"] = json.loads(grant["attributes"]) if grant["attributes"] else {}
    return grant


def principal_of(row: Sequence[Any]) -> Principal:
    """Return a principal from the columns of :data:`PRINCIPAL_COLUMNS` after the first two.

    Repeated texts are interned, because decisions hold all principals in memory.
    """
    system, account, kind = intern(row[0]), intern(row[1]), intern(row[2])
    other_ids = tuple((intern(space), value) for space, value in row[8] or ())
    return Principal(
        system, account, kind, row[3], row[4], intern(row[5]), intern(row[6]), row[7], other_ids, intern(row[9])
    )


def membership_of(row: Sequence[Any]) -> Membership:
    """Return a membership from the columns of :data:`MEMBERSHIP_COLUMNS` after the first two; texts are interned."""
    system, account, kind, member, container_kind, container = row
    return Membership(intern(system), intern(account), intern(kind), member, intern(container_kind), intern(container))
