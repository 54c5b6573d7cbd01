"""People, service accounts, protected people and the tool's own identity."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from emulator.build.sizes import Sizes
from emulator.store.people import Person

_FIRST = (  # noqa: SIM905
    "Mei Jun Lan Hao Wei Ying Tao Fang Lei Xin Ana Bruno Carla Dario Elena Felix Greta Hugo Ines Jonas Kira Liam "
    "Mara Nils Olga Pavel Rosa Sven Tina Uma Vera Willem Yara Zoe Aiko Kenji Sota Yuki Priya Arjun Dina Omar Leila"
).split()
_LAST = (  # noqa: SIM905
    "Chen Wang Li Zhang Liu Yang Huang Zhao Wu Zhou Sato Tanaka Ito Kim Park Novak Weber Rossi Silva Costa Moreau "
    "Dubois Jensen Larsen Nilsson Patel Khan Haddad Okafor Mensah Ivanova Petrov Kowalski Byrne Walsh Murphy"
).split()
_DEPARTMENTS = ["Finance", "Sales", "Risk", "Marketing", "Logistics", "Data", "Support", "Legal", "Research"]


def build(rng: random.Random, sizes: Sizes, now: datetime) -> list[Person]:
    """All people: those who work here, leavers, services, three protected ones and the tool itself."""
    makers = _Maker(rng, sizes, now)
    people = [makers.person(index, "human", left=False) for index in range(sizes.people)]
    people += [makers.person(sizes.people + index, "human", left=True) for index in range(sizes.leavers)]
    base = sizes.people + sizes.leavers
    people += [makers.service(base + index, f"svc-etl-{index + 1:02d}") for index in range(sizes.services)]
    base += sizes.services
    people.append(makers.special(base, "Break Glass One", "service", "break-glass account"))
    people.append(makers.special(base + 1, "Break Glass Two", "service", "break-glass account", left=True))
    people.append(makers.special(base + 2, "Last Administrator", "human", "last administrator"))
    people.append(makers.special(base + 3, "rescind-bot", "service", "", tool=True))
    return people


class _Maker:
    def __init__(self, rng: random.Random, sizes: Sizes, now: datetime) -> None:
        self.rng = rng
        self.sizes = sizes
        self.today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        # Which people are registered in DMS: the first ones of each kind.
        self.dms_left = min(sizes.dms_leavers, sizes.leavers)
        self.dms_staff = max(0, sizes.dms_users - self.dms_left)

    def person(self, index: int, kind: str, *, left: bool) -> Person:
        rng = self.rng
        first, last = _FIRST[rng.randrange(len(_FIRST))], _LAST[rng.randrange(len(_LAST))]
        department = self.department(rng.randrange(self.sizes.departments))
        manager = f"P{rng.randrange(max(1, self.sizes.people // 8)) + 1:05d}"
        position = index - self.sizes.people if left else index
        in_dms = position < (self.dms_left if left else self.dms_staff)
        gone = (self.today - timedelta(days=rng.randrange(2, 120))).date().isoformat() if left else ""
        login = f"{first}.{last}{index}".lower()
        return self.make(index, f"{first} {last}", f"{login}@example.com", department, gone, kind, manager, in_dms)

    def service(self, index: int, name: str) -> Person:
        return self.make(index, name, f"{name}@svc.example.com", "Data", "", "service", "P00001", True)

    def special(
        self, index: int, name: str, kind: str, reason: str, *, left: bool = False, tool: bool = False
    ) -> Person:
        mail = name.lower().replace(" ", ".")
        gone = (self.today - timedelta(days=30)).date().isoformat() if left else ""
        return self.make(index, name, f"{mail}@example.com", "Security", gone, kind, "P00001", True, reason, tool)

    def department(self, index: int) -> str:
        return _DEPARTMENTS[index] if index < len(_DEPARTMENTS) else f"Unit {index + 1}"

    def make(
        self, index: int, name: str, email: str, department: str, gone: str, kind: str, manager: str,
        in_dms: bool, protected: str = "", tool: bool = False,
    ) -> Person:  # fmt: skip
        number = index + 1
        return Person(
            person_id=f"P{number:05d}", name=name, email=email, department=department,
            status="left" if gone else "active", terminated_at=gone, kind=kind, manager=manager,
            wedata_user_id=f"7000{20_000_000 + number * 37:08d}", alibaba_uid=f"26{3 * 10**13 + number * 7919:014d}",
            dms_user_id=str(510_000 + number * 3) if in_dms else "",
            quickbi_user_id=f"{self.rng.getrandbits(128):032x}", wedata_uin=f"1000{40_000_000 + number * 41:08d}",
            protected=protected, is_tool=tool,
        )  # fmt: skip
