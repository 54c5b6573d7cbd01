"""Made-up organizations with access to take away, for the planner's benchmark; equal seeds give equal tables.

A table has menus as rows and principals as columns. Roles are sets of menus that lie near each other, with some
anywhere; departments have a few roles, people hold some roles of their department, and sometimes a menu of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random

from rescind.model import Cell

Line = list[int]
"""One bit set of rows for each column."""


@dataclass(frozen=True)
class Instance:
    """What goes and what stays, by principal.

    :param need: for each column the rows that go, as a bit set.
    :param keep: for each column the rows that stay.
    :param groups: every so-manieth column is a group instead of a user; 0 for none.
    :param optimum: the fewest calls, where it is known by construction.
    """

    rows: int
    need: Line
    keep: Line
    groups: int = 0
    optimum: int | None = None

    def column(self, number: int) -> tuple[str, tuple[str, ...]]:
        """The name of a column."""
        kind = "group" if self.groups and number % self.groups == self.groups - 1 else "user"
        return kind, (f"p{number:05}",)

    def cells(self, lines: Line) -> Iterator[Cell]:
        """The cells of ``need`` or ``keep``; made as they are read, so that they take no memory here."""
        names = [f"m{row:04}" for row in range(self.rows)]
        for number, bits in enumerate(lines):
            kind, column = self.column(number)
            while bits:
                low = bits & -bits
                yield Cell("portal", names[low.bit_length() - 1], kind, column)
                bits ^= low

    def emptied(self) -> set[tuple[str, str, tuple[str, ...]]]:
        """Columns that lose everything."""
        pairs = enumerate(zip(self.need, self.keep, strict=True))
        return {("portal", *self.column(number)) for number, (need, keep) in pairs if need and not keep}


@dataclass(frozen=True)
class Size:
    """How large an organization is. :param own: share of people who also hold menus that no role gives them."""

    rows: int
    people: int
    roles: int
    menus: tuple[int, int]
    each: tuple[int, int] = (1, 4)
    own: float = 0.02


@dataclass
class Organization:
    """Roles as bit sets of menus, and what each person holds."""

    size: Size
    rng: Random
    roles: Line = field(default_factory=list)
    departments: list[list[int]] = field(default_factory=list)
    people: list[tuple[int, int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        size, rng = self.size, self.rng
        self.roles = [self._role() for _ in range(size.roles)]
        count = max(3, size.roles // 6)
        width = max(2, min(size.roles, size.roles // count + 2))
        self.departments = [rng.sample(range(size.roles), width) for _ in range(count)]
        self.people = [self._person() for _ in range(size.people)]

    def _role(self) -> int:
        low, high = self.size.menus
        rng, rows = self.rng, self.size.rows
        count = max(low, min(high, int(rng.lognormvariate(math.log(low * 3), 0.6))))
        base, menus = rng.randrange(rows), 0
        while menus.bit_count() < min(rows, count):
            near = (base + int(rng.gauss(0, count))) % rows
            menus |= 1 << (near if rng.random() < 0.7 else rng.randrange(rows))
        return menus

    def _person(self) -> tuple[int, int, int]:
        """(department, menus held, number of roles)."""
        rng, size = self.rng, self.size
        department = rng.randrange(len(self.departments))
        count = rng.randint(*size.each)
        held = self.access(department, count)
        if rng.random() < 0.1:
            held |= self.roles[rng.randrange(size.roles)]
        if rng.random() < size.own:
            for _ in range(rng.randint(1, 3)):
                held |= 1 << rng.randrange(size.rows)
        return department, held, count

    def access(self, department: int, count: int) -> int:
        """What some roles of a department give."""
        held = 0
        for role in self.rng.sample(self.departments[department], min(count, len(self.departments[department]))):
            held |= self.roles[role]
        return held

    def moved(self, held: int, count: int) -> tuple[int, int]:
        """What goes and what stays when somebody with this access changes the department."""
        new = self.access(self.rng.randrange(len(self.departments)), count)
        return held & ~new, new


def movers(size: Size, seed: int, share: float = 0.25) -> Instance:
    """Some people change the department; what only the old one gave goes."""
    made = Organization(size, Random(seed))
    pairs = [made.moved(held, n) if made.rng.random() < share else (0, held) for _, held, n in made.people]
    return Instance(size.rows, [need for need, _ in pairs], [keep for _, keep in pairs])


def leavers(size: Size, seed: int, share: float = 0.4) -> Instance:
    """Some people leave and lose everything."""
    made = Organization(size, Random(seed))
    gone = [made.rng.random() < share for _ in made.people]
    need = [held if left else 0 for left, (_, held, _) in zip(gone, made.people, strict=True)]
    keep = [0 if left else held for left, (_, held, _) in zip(gone, made.people, strict=True)]
    return Instance(size.rows, need, keep)


def policies(size: Size, seed: int, count: int = 12) -> Instance:
    """Each policy takes a set of menus from a third of the departments, with a few exceptions."""
    made = Organization(size, Random(seed))
    rng = made.rng
    need = [0] * size.people
    for _ in range(count):
        menus = 0
        for _ in range(rng.randint(size.rows // 20, size.rows // 4)):
            menus |= 1 << rng.randrange(size.rows)
        meant = {department for department in range(len(made.departments)) if rng.random() < 1 / 3}
        for number, (department, held, _) in enumerate(made.people):
            if department in meant and rng.random() > 0.02:
                need[number] |= held & menus
    keep = [held & ~bits for bits, (_, held, _) in zip(need, made.people, strict=True)]
    return Instance(size.rows, need, keep)


def mixed(size: Size, seed: int) -> Instance:
    """Leavers, movers, and single grants whose end has passed; a tenth of the receivers are groups."""
    made = Organization(size, Random(seed))
    pairs = []
    for _, held, count in made.people:
        luck = made.rng.random()
        if luck < 0.1:
            pairs.append((held, 0))
        elif luck < 0.25:
            pairs.append(made.moved(held, count))
        elif luck < 0.5:
            ended = held & _sprinkled(made.rng, size.rows, 0.1)
            pairs.append((ended, held & ~ended))
        else:
            pairs.append((0, held))
    return Instance(size.rows, [need for need, _ in pairs], [keep for _, keep in pairs], groups=10)


def scattered(rows: int, people: int, seed: int, *, goes: float = 0.05, stays: float = 0.05) -> Instance:
    """Grants anywhere, without any structure."""
    rng = Random(seed)
    need = [_sprinkled(rng, rows, goes) for _ in range(people)]
    return Instance(rows, need, [_sprinkled(rng, rows, stays) & ~bits for bits in need])


def planted(rows: int, people: int, count: int, seed: int, tall: tuple[int, int], wide: tuple[int, int]) -> Instance:
    """So many rectangles, each with a row and a column of its own.

    No two of the cells where these cross can be in one call, so at least ``count`` calls are needed in strict mode.
    The rectangles overlap, so calls that share no cell need more.
    """
    rng = Random(seed)
    own_rows, own_columns = rng.sample(range(rows), count), rng.sample(range(people), count)
    rest_rows = sorted(set(range(rows)).difference(own_rows))
    rest_columns = sorted(set(range(people)).difference(own_columns))
    need = [0] * people
    for row, column in zip(own_rows, own_columns, strict=True):
        bits = 1 << row
        for other in rng.sample(rest_rows, min(len(rest_rows), rng.randint(*tall) - 1)):
            bits |= 1 << other
        for other in [column, *rng.sample(rest_columns, min(len(rest_columns), rng.randint(*wide) - 1))]:
            need[other] |= bits
    return Instance(rows, need, [0] * people)


def crown(size: int) -> Instance:
    """Everything goes but a diagonal. Calls that share no cell: one a row, by the rank over the rationals."""
    everything = (1 << size) - 1
    need = [everything ^ (1 << number) for number in range(size)]
    return Instance(size, need, [1 << number for number in range(size)], optimum=size)


def block(rows: int, people: int) -> Instance:
    """Everything goes, beyond the sizes of one call."""
    return Instance(rows, [(1 << rows) - 1] * people, [0] * people)


def small(seed: int) -> Instance:
    """A table of at most 24 x 50: overlapping rectangles, no structure, or a few movers."""
    rng = Random(seed)
    rows, people, kind = rng.randint(5, 24), rng.randint(5, 40), seed % 3
    if kind == 0:
        need = [0] * people
        for _ in range(rng.randint(2, 10)):
            bits = sum(1 << row for row in rng.sample(range(rows), rng.randint(1, max(2, rows // 2))))
            for column in rng.sample(range(people), rng.randint(1, max(2, people // 2))):
                need[column] |= bits
        return Instance(rows, need, [0] * people)
    if kind == 1:
        return scattered(rows, people, seed, goes=0.4, stays=0.3)
    return movers(Size(rows, people + 10, 12, (2, 8)), seed, share=0.8)


def _sprinkled(rng: Random, width: int, share: float) -> int:
    return sum(1 << index for index in range(width) if rng.random() < share)


Maker = Callable[[], Instance]

_M = {"rows": 250, "people": 2500}
_L = {"rows": 1000, "people": 20_000}

MEDIUM: dict[str, Maker] = {
    "movers": lambda: movers(Size(**_M, roles=40, menus=(8, 90), each=(2, 4)), 1),
    "leavers": lambda: leavers(Size(**_M, roles=60, menus=(6, 60), own=0.05), 2),
    "policies": lambda: policies(Size(**_M, roles=50, menus=(6, 60)), 3),
    "mixed": lambda: mixed(Size(**_M, roles=50, menus=(6, 80)), 4),
    "scattered": lambda: scattered(200, 2000, 5),
    "planted": lambda: planted(300, 3000, 80, 6, (2, 60), (5, 200)),
}
LARGE: dict[str, Maker] = {
    "movers": lambda: movers(Size(**_L, roles=300, menus=(16, 150), each=(2, 4)), 11, share=0.35),
    "leavers": lambda: leavers(Size(**_L, roles=300, menus=(10, 100), own=0.05), 12, share=0.6),
    "policies": lambda: policies(Size(**_L, roles=500, menus=(15, 120), own=0.1), 13, count=15),
    "mixed": lambda: mixed(Size(**_L, roles=300, menus=(16, 150), each=(2, 4), own=0.1), 14),
    "scattered": lambda: scattered(1000, 20_000, 15),
    "planted": lambda: planted(1000, 20_000, 400, 16, (5, 100), (20, 200)),
}
SMALL: dict[str, Maker] = {f"small {seed}": (lambda seed=seed: small(seed)) for seed in range(24)} | {
    "crown 9": lambda: crown(9),
    "crown 20": lambda: crown(20),
    "crown 24": lambda: crown(24),
    "planted 6": lambda: planted(24, 40, 6, 1, (2, 12), (2, 20)),
    "planted 10": lambda: planted(24, 40, 10, 2, (2, 9), (2, 16)),
    "planted 14": lambda: planted(24, 40, 14, 3, (2, 7), (2, 12)),
}
WIDE: dict[str, Maker] = {
    "movers": lambda: movers(Size(2500, 250, roles=60, menus=(60, 500), each=(2, 4)), 1),
    "leavers": lambda: leavers(Size(2500, 250, roles=60, menus=(60, 500), own=0.05), 2),
}
BLOCKS: dict[str, Maker] = {
    "150 x 300": lambda: block(150, 300),
    "250 x 500": lambda: block(250, 500),
    "crown 60": lambda: crown(60),
    "crown 126": lambda: crown(126),
}
