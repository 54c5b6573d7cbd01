"""Who is listed by principal: what a discovery of a few people asks of the run that names them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Protocol

from rescind.model import Grant, Principal


class NamedPeople(Protocol):
    """The people of a run that names them."""

    def choose(self, principals: Iterable[Principal]) -> frozenset[str]:
        """Return the ids of the users to list: those who are, or may be, whom the run names, listed or not."""

    async def known(self, users: Collection[str]) -> Collection[Grant]:
        """Return the grants of these users in the last listing of the whole population."""
