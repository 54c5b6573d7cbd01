"""Alibaba DMS: what the platform says of one user's access, once the user's permission records are gone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import product
from typing import Literal, NamedTuple

from rescind.cloud.clients import DmsClient
from rescind.cloud.dms.inventory import ListUserOwnedResources, OwnedResource
from rescind.cloud.dms.permissions import (
    AuthorizedDatabase,
    AuthorizedInstance,
    ListAuthorizedDatabasesForUser,
    ListAuthorizedInstancesForUser,
)
from rescind.errors import CloudError, ListingIncompleteError
from rescind.model import Grant
from rescind.systems.dms.surfaces import OWN_ANSWER, OWNED, short
from rescind.systems.dms.users import no_such_user
from rescind.systems.surfaces import PlatformAnswer
from rescind.systems.walker import Walker

_DATABASE = {"false": "database", "true": "logic_database"}
_TABLE = {"false": "table", "true": "logic_table"}
_UNTOLD = "?"
"""Privilege of a row that does not tell its right."""
_IN_TABLES = frozenset({"table", "logic_table", "column"})

Node = tuple[str, str]
"""(resource type, resource id)."""
Nodes = Callable[[Grant], Sequence[Node]]
"""Returns a grant's resource and everything that it inherits from."""
Reached = tuple[str, str, str]
"""(resource type, resource id, privilege). An empty privilege means every privilege, as an owner has."""


class Question(NamedTuple):
    """One listing about one user.

    :param what: ``instances`` or ``databases`` that the user reaches, or a kind of object that the user owns.
    :param logic: ``true`` or ``false`` for logical and physical objects; empty for instances.
    """

    user: str
    what: Literal["instances", "databases", "INSTANCE", "DATABASE", "TABLE"]
    logic: str = ""

    @property
    def surface(self) -> str:
        """Name of the surface that the listing belongs to."""
        return OWNED.name if self.what.isupper() else OWN_ANSWER.name


async def what_users_reach(
    walker: Walker[DmsClient], tid: str, grants: Collection[Grant], objects: Nodes
) -> PlatformAnswer:
    """Ask what the holders of these grants reach, whatever the reason, and which tables they own.

    The owners of instances and databases are read by object: :mod:`rescind.systems.dms.owners`.
    """
    asked: dict[Question, list[Grant]] = defaultdict(list)
    for grant in grants:
        for question in _questions(grant):
            asked[question].append(grant)
    answer = await ask_users(walker, tid, asked, objects)
    answer.calls = walker.calls
    return answer


async def ask_users(
    walker: Walker[DmsClient], tid: str, asked: Mapping[Question, Collection[Grant]], objects: Nodes
) -> PlatformAnswer:
    """Ask each question about one user once, for the grants of that user that it concerns.

    A listing that fails leaves its surface unanswered for these grants. A user who is not there reaches nothing.
    """
    answer = PlatformAnswer()

    def take(question: Question, reached: frozenset[Reached] | str) -> None:
        for grant in asked[question]:
            if isinstance(reached, str):
                answer.could_not_ask(grant.grant_id, question.surface, reached)
            else:
                _note(answer, question, grant, objects(grant), reached)

    async def look(question: Question) -> frozenset[Reached] | str:
        try:
            return frozenset(await _reached(walker, tid, question))
        except (CloudError, ListingIncompleteError) as error:
            return frozenset() if isinstance(error, CloudError) and no_such_user(error) else short(error)

    await walker.for_each(sorted(asked), look, take)
    return answer


def _note(
    answer: PlatformAnswer,
    question: Question,
    grant: Grant,
    nodes: Sequence[tuple[str, str]],
    reached: frozenset[Reached],
) -> None:
    """Note the first way in to one of the objects; an object without a right is reached in a way that is not told."""
    for node, right in product(nodes, (grant.key.entitlement, "")):
        if (*node, right) in reached:
            answer.reaches.setdefault(grant.grant_id, _in_words(question, node, right))
    if any((*node, _UNTOLD) in reached for node in nodes):
        answer.could_not_ask(grant.grant_id, question.surface, f"the {question.what} come without PermissionDetail")


def _questions(grant: Grant) -> Iterable[Question]:
    """The listings of one user that can show access to the grant's object. Every record is a user's."""
    user, kind, logic = grant.key.principal_id, grant.key.resource_type, grant.attributes["ListedLogic"]
    yield Question(user, "instances")
    yield Question(user, "databases", logic)
    if kind in _IN_TABLES:
        yield Question(user, "TABLE", logic)


async def _reached(walker: Walker[DmsClient], tid: str, question: Question) -> list[Reached]:
    user, what, logic = question
    if what == "instances":
        instances = await walker.rows(ListAuthorizedInstancesForUser(UserId=user, Tid=tid))
        return [("instance", row.InstanceId, right) for row in instances for right in _beside(row)]
    if what == "databases":
        databases = await walker.rows(ListAuthorizedDatabasesForUser(UserId=user, Logic=logic == "true", Tid=tid))
        return [(_DATABASE[logic], row.DbId, right) for row in databases for right in _beside(row)]
    wanted = {"true": True, "false": False}.get(logic)
    owned = await walker.rows(ListUserOwnedResources(UserId=user, OwnerType=what, Logic=wanted, Tid=tid))
    found = [_owned(what, logic, row) for row in owned]
    if not all(ident for _, ident, _ in found):
        raise ListingIncompleteError(f"ListUserOwnedResources({what})", "a row does not name its object")
    return found


async def owned_objects(walker: Walker[DmsClient], tid: str, user: str) -> list[tuple[str, str]]:
    """Return every instance, database and table that a user owns, as (type, id).

    :raises ListingIncompleteError: when a listing could not be read completely.
    """
    kinds: list[tuple[Literal["INSTANCE", "DATABASE", "TABLE"], str]] = [("INSTANCE", "")]
    kinds += [("DATABASE", "false"), ("DATABASE", "true"), ("TABLE", "false"), ("TABLE", "true")]
    listed = [await _reached(walker, tid, Question(user, kind, logic)) for kind, logic in kinds]
    return [(kind, ident) for rows in listed for kind, ident, _ in rows]


def _beside(row: AuthorizedInstance | AuthorizedDatabase) -> Iterable[str]:
    """The privilege of a row that comes from no record; nothing for an ordinary record."""
    right = row.PermissionDetail
    if right is None:
        yield _UNTOLD
    elif right.Message or not right.PermType:
        yield right.PermType or ""


def _owned(what: str, asked: str, row: OwnedResource) -> Reached:
    logic = asked if row.Logic is None else str(row.Logic).lower()
    if what == "INSTANCE":
        return ("instance", row.InstanceId or "", "")
    if what == "DATABASE":
        return (_DATABASE[logic], row.DbId or "", "")
    return (_TABLE[logic], row.TableId or row.TableName or "", "")


def _in_words(question: Question, node: tuple[str, str], right: str) -> str:
    if question.surface == OWNED.name:
        return f"the platform names the user as owner of {node[0]} {node[1]}"
    return f"a policy or ownership gives {right or 'everything'} on {node[0]} {node[1]}"
