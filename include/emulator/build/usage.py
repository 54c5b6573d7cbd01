"""Who used what: some grants are used, some never, some people leave no trace at all.

Built last and from a stream of its own. Among it: statements that failed, a person all of whose statements on a
database failed, use with a database account that no log shows, two people with the same nickname, SQL with secrets,
and dashboards that stand behind menus.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime

from emulator.build.sizes import Sizes
from emulator.store.dms import TIME_FORMAT, DmsUser, Record
from emulator.store.receivers import USER
from emulator.store.usage import SECRET_MARK, SUCCESS, Login, Operation, Statement, View
from emulator.world import World

_DAY = 86_400
_LONGEST = 300
_SILENT = 6
"""Every so many-th user leaves no trace."""
_STATES = (SUCCESS, SUCCESS, SUCCESS, SUCCESS, SUCCESS, "FAIL", "CANCEL", "NOEXE", "RUNNING")
_READ = ("SELECT * FROM orders LIMIT 20", "SELECT name FROM customers WHERE card_number = '{secret}'")
_CHANGE = (
    ("UPDATE", "UPDATE accounts SET password = '{secret}' WHERE id = 7"),
    ("INSERT", "INSERT INTO api_keys (owner, value) VALUES (7, '{secret}')"),
    ("CREATE_USER", "CREATE USER app IDENTIFIED BY '{secret}'"),
)
_EXPORTS = ("SQL_CONSOLE_EXPORT", "DATA_EXPORT", "DSQL_CONSOLE_EXPORT")


def build(world: World, rng: random.Random, sizes: Sizes) -> None:
    """Fill the usage of a world; with ``usage=0`` nobody used anything."""
    _menus(world)
    if not sizes.usage:
        return
    users = list(world.dms.users.values())
    _twins(users)
    for number, user in enumerate(users):
        if number % _SILENT != 1:
            for record in world.dms.of_user(user.user_id):
                _use(world, rng, record)
    _only_failed(world, rng, users)
    _unseen(world, rng, users)
    _views(world, rng)
    world.usage.sort()


def _menus(world: World) -> None:
    """Every fourth menu of a dashboard leads to one that exists: by its id, or by an address with the id."""
    works = list(world.quickbi.works)
    boards = [menu for portal in world.quickbi.portals.values() for menu in portal.leaves() if menu.type == 0]
    for number, menu in enumerate(boards[::4] if works else []):
        works_id = works[number % len(works)]
        menu.uri = works_id if number % 2 else f"https://bi.example.com/dashboard/view/pc.htm?pageId={works_id}"


def _twins(users: list[DmsUser]) -> None:
    """Two people with one nickname: a nickname names nobody for certain."""
    plain = [user for user in users if user.roles == ("USER",) and user.state == "NORMAL"]
    if len(plain) > 3:
        plain[3].nick = plain[2].nick


def _moment(world: World, rng: random.Random, record: Record | None = None) -> int:
    """A time before today, more likely a late one; of a record, while it was there."""
    end = int(world.clock.now()) // _DAY * _DAY
    start = end - _LONGEST * _DAY
    if record is not None:
        created, expires = (_seconds(text) for text in (record.created, record.expires))
        start, end = max(start, created), min(end, expires)
    return max(start, end - 1 - int(rng.random() ** 2 * max(1, end - start)))


def _seconds(text: str) -> int:
    return int(datetime.strptime(text, TIME_FORMAT).replace(tzinfo=UTC).timestamp())


def _secret(rng: random.Random) -> str:
    return f"{SECRET_MARK}{rng.getrandbits(48):012x}"


def _use(world: World, rng: random.Random, record: Record) -> None:
    """What one record was used for: nothing, or once or a few times."""
    usage, user, place = world.usage, record.user_id, (record.target.instance_id, record.target.db_id)
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        at, state, secret = _moment(world, rng, record), rng.choice(_STATES), _secret(rng)
        if record.perm == "QUERY":
            usage.statements.append(
                Statement(at, user, *place, rng.choice(_READ).format(secret=secret), "SELECT", state)
            )
        elif record.perm == "CORRECT":
            kind, sql = rng.choice(_CHANGE)
            sql = sql.format(secret=secret)
            usage.statements.append(Statement(at, user, *place, sql, kind, state))
            if rng.random() < 0.3:
                usage.operations.append(
                    Operation(at, user, "DATA_CHANGE", place[1], sql, rng.randrange(10_000, 99_999))
                )
        elif record.perm == "EXPORT":
            sql = rng.choice(_READ).format(secret=secret)
            usage.operations.append(Operation(at, user, rng.choice(_EXPORTS), place[1], sql))
        elif record.perm == "LOGIN":
            usage.logins.append(Login(at, user, place[0], f"app_{user[-3:]}", f"10.0.{rng.randrange(256)}.9"))
            if rng.random() < 0.3:
                usage.statements.append(Statement(at + 5, user, place[0], 0, "SHOW DATABASES", "SHOW", state))
    if rng.random() < 0.1:
        content = f"Grant {record.perm} to {record.user_id}"
        usage.operations.append(Operation(_seconds(record.created), user, "PERMISSION", place[1], content))


def _only_failed(world: World, rng: random.Random, users: list[DmsUser]) -> None:
    """The first user with a database that has only failed statements there: nothing was used."""
    used = {(event.user_id, event.db_id) for event in world.usage.statements}
    for user in users:
        for record in world.dms.of_user(user.user_id):
            if record.perm == "QUERY" and (user.user_id, record.target.db_id) not in used:
                for _ in range(3):
                    world.usage.statements.append(
                        Statement(_moment(world, rng, record), user.user_id, record.target.instance_id,
                                  record.target.db_id, _READ[0], "SELECT", "FAIL")
                    )  # fmt: skip
                return


def _unseen(world: World, rng: random.Random, users: list[DmsUser]) -> None:
    """A user without a trace who works with a database account every week."""
    for user in users[1::_SILENT]:
        for record in world.dms.of_user(user.user_id)[:1]:
            if record.target.db_id:
                for _ in range(4):
                    world.usage.statements.append(
                        Statement(_moment(world, rng), user.user_id, record.target.instance_id, record.target.db_id,
                                  _READ[0], "SELECT", through="native")
                    )  # fmt: skip
                return


def _views(world: World, rng: random.Random) -> None:
    """Looks at the portals in which a member has a menu, and at dashboards."""
    works, seen = list(world.quickbi.works), dict.fromkeys(
        (receiver.id, portal.portal_id)
        for portal in world.quickbi.portals.values() for menu in portal.leaves() for receiver in menu.receivers
        if receiver.kind == USER
    )  # fmt: skip
    silent = set(list(world.quickbi.users)[1::_SILENT])
    for user_id, portal_id in seen:
        if user_id in silent:
            continue
        for _ in range(rng.choice((0, 1, 2, 4))):
            world.usage.views.append(View(_moment(world, rng), user_id, portal_id))
        if works and rng.random() < 0.3:
            world.usage.views.append(View(_moment(world, rng), user_id, rng.choice(works)))
