"""Where a population goes in tests of one permission system: into lists."""

from __future__ import annotations

from collections.abc import Iterable

from rescind.cloud.paging import ListingRecord
from rescind.model import Grant, Membership, Principal


class Lists:
    """A sink that holds everything in memory, for small populations."""

    def __init__(self) -> None:
        self.grants: list[Grant] = []
        self.principals: list[Principal] = []
        self.memberships: list[Membership] = []
        self.records: list[ListingRecord] = []

    def add_grants(self, grants: Iterable[Grant]) -> None:
        """See :class:`Sink`."""
        self.grants.extend(grants)

    def add_principals(self, principals: Iterable[Principal]) -> None:
        """See :class:`Sink`."""
        self.principals.extend(principals)

    def add_memberships(self, memberships: Iterable[Membership]) -> None:
        """See :class:`Sink`."""
        self.memberships.extend(memberships)

    def add_record(self, record: ListingRecord) -> None:
        """See :class:`Sink`."""
        self.records.append(record)
