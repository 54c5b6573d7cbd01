"""Alibaba DMS: the records of a few users, listed by user, and checked against the listings by object.

The listing by user finds what the users hold now. Each object on which it shows a record is listed as well, and so is
each one on which the last whole listing showed one. Both sides must agree. By a deleted user the vendor does not list:
then every listing by object is read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import replace

from rescind.cloud.clients import DmsClient
from rescind.errors import InputError, ListingIncompleteError, NotFoundError
from rescind.model import Grant, GrantKey
from rescind.systems.base import ListingScope
from rescind.systems.population import Population
from rescind.systems.walker import Walker

NOT_LISTED = "no listing shows the object of this record"
READ_WHOLE = "read_whole"
"""Note of a certificate: users by whom the vendor does not list, so that every object was read."""


async def discover_records(
    walker: Walker[DmsClient],
    found: Population,
    read: Callable[[ListingScope], Awaitable[list[Grant]]],
    by_user: Iterable[ListingScope],
    listings: Collection[ListingScope],
    known: Iterable[ListingScope],
    take: Callable[[Iterable[Grant]], None],
) -> None:
    """Read the listings by user, then every listing by object that they, or ``known``, touch.

    :param by_user: listing scopes by principal, every kind of record for each user; the second field is the user.
    :param listings: every listing scope by object that a whole discovery reads.
    :param known: listing scopes by object in which the last whole listing showed a record of these users.
    :param take: receives the grants of each listing by object.
    :raises ListingIncompleteError: when the two sides contradict each other, or a listing cannot be read completely.
    """
    scopes = sorted(by_user)

    async def ask(scope: ListingScope) -> list[Grant] | None:
        try:
            return await read(scope)
        except (NotFoundError, InputError):
            return None

    answers = await walker.each(scopes, ask)
    silent = {scope[1] for scope, answer in zip(scopes, answers, strict=True) if answer is None}
    users = {scope[1] for scope in scopes} - silent
    shown: dict[ListingScope, set[GrantKey]] = defaultdict(set)
    whole = set(listings)
    for grant in (grant for answer in answers for grant in answer or ()):
        place = _place(grant)
        if place in whole:
            shown[place].add(grant.key)
        else:
            found.add_grants([replace(grant, revocable=False, why_not=grant.why_not or NOT_LISTED)])
    if silent:
        found.note(READ_WHOLE, len(silent))

    def check(place: ListingScope, grants: list[Grant]) -> None:
        mine = {grant.key for grant in grants if grant.key.principal_id in users}
        if differ := mine ^ shown.get(place, set()):
            what = f"{len(differ)} records of the named people are in only one of the listings by user and by object"
            raise ListingIncompleteError("the records of named people", f"{place[0]} {place[1]}: {what}", shifted=True)
        take(grants)

    await walker.for_each(sorted(whole if silent else whole & {*shown, *known}), read, check)


def _place(grant: Grant) -> ListingScope:
    facts = grant.attributes
    return (facts["Listing"], facts["ListedIn"], facts["ListedLogic"])
