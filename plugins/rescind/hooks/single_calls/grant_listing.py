"""The complete listing that shows a grant, also where the vendor's answer is one object without pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from rescind.cloud.base import ListRequest, ReadRequest, Row
from rescind.cloud.client import CloudClient
from rescind.cloud.fields import is_numeric_id
from rescind.cloud.paging import Listing, ListingRecord, collect
from rescind.cloud.wedata.data_sources import DescribeDataSourceAuthority
from rescind.model import digest


class AuthorizationRow(Row):
    """One project or user that a WeData data source is authorized to.

    :ivar entry: the vendor's text: a project id, or ``<projectId>_<userId>``.
    :ivar user_id: None for a whole project, and for an entry in another form.
    """

    entry: str
    project_id: str | None
    user_id: str | None

    def key(self) -> tuple[str, ...]:
        """The vendor's text, and whether it is a project."""
        return (self.entry, str(self.user_id is None and self.project_id is not None))


async def read_listing(client: CloudClient, request: ListRequest[Any] | ReadRequest[Any]) -> Listing[Any]:
    """Read a listing to its end.

    :raises ListingIncompleteError: when it cannot prove that it is complete.
    """
    if isinstance(request, ListRequest):
        return await collect(client, request)
    assert isinstance(request, DescribeDataSourceAuthority), request.action
    started = datetime.now(UTC)
    answer = await client.read(request)
    rows = {row.key(): row for row in _authorization_rows(answer.value.project_ids, answer.value.users)}
    record = ListingRecord(
        action=request.action,
        parameters_digest=digest(request.wire()),
        pages=1,
        declared=None,
        counted=len(rows),
        duplicates=0,
        page_digests=(digest(answer.value.model_dump(mode="json")),),
        request_ids=(answer.request_id,),
        null_as_empty=False,
        restarts=0,
        started_at=started,
        finished_at=datetime.now(UTC),
    )
    return Listing(tuple(rows.values()), record)


def _authorization_rows(projects: Iterable[str], users: Iterable[str]) -> Iterator[AuthorizationRow]:
    for project in projects:
        known = is_numeric_id(project)
        yield AuthorizationRow(entry=project, project_id=project if known else None, user_id=None)
    for entry in users:
        project, _, user = entry.partition("_")
        known = is_numeric_id(project) and is_numeric_id(user)
        yield AuthorizationRow(entry=entry, project_id=project if known else None, user_id=user if known else None)
