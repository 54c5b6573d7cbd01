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
    "Chen Wang Li Zhang Liu Yang Huang Zhao Wu Zhou Sato Tanaka Yoshino Kim Park Novak Weber Rossi Silva Costa Nguyen "
    "Tran Jensen Larsen Nilsson Patel Khan Haddad Okafor Mensah Ivanova Petrov Kowalski Byrne Walsh O'Neill"
).split()
# People of these families write their names in their own script; mail addresses stay Latin.
_FAMILY_NAMES = {
    "Chen": "陈", "Wang": "王", "Li": "李", "Zhang": "张", "Liu": "刘", "Yang": "杨", "Huang": "黄", "Zhao": "赵",
    "Wu": "吴", "Zhou": "周", "Sato": "佐藤", "Tanaka": "田中", "Yoshino": "𠮷野", "Kim": "김", "Park": "박",
    "Nguyen": "Nguyễn", "Tran": "Trần",
}  # fmt: skip
# One given name for each of the Latin ones. Some characters are outside the Basic Multilingual Plane.
_CHINESE = (  # noqa: SIM905
    "美 军 兰 浩 伟 颖 涛 芳 磊 欣 安娜 子轩 雨桐 俊杰 诗涵 宇航 梓萱 浩然 思远 静怡 嘉豪 欣妍 文博 雅琪 志强 晓燕 "
    "建国 丽华 明哲 佳怡 海涛 雪梅 天佑 秀英 国栋 玉兰 梦洁 泽宇 婉清 立群 𡋾 春燕 家骏"
).split()
_JAPANESE = (  # noqa: SIM905
    "芽衣 淳 蘭 颯 葵 桜 拓也 楓 玲 悠真 杏奈 武 香織 大輔 絵里 隆 美咲 勇 泉 丈 綺羅 蓮 真理 直樹 織音 翼 "
    "薔薇 誠 千夏 詩 結衣 渉 優奈 𩸽 愛子 健司 颯太 由紀 理央 純 奈々 修 玲奈"
).split()
_KOREAN = (  # noqa: SIM905
    "민준 서연 지훈 하은 도윤 수빈 예준 지우 시우 서윤 주원 지민 하준 채원 준서 다은 은우 소율 현우 지아 건우 수아 "
    "우진 예린 선우 유진 민재 가은 유준 나은 정우 서현 승우 민서 지호 윤서 준혁 하린 도현 예은 시윤 지안 태윤"
).split()
_VIETNAMESE = (  # noqa: SIM905
    "Thị Mai|Văn Hùng|Thị Lan|Minh Tuấn|Hữu Phước|Thị Hạnh|Quang Huy|Thị Thảo|Đức Anh|Ngọc Bích|Thị Ánh|Văn Bình|"
    "Cẩm Tú|Đình Đạt|Thị Hiền|Phúc Khang|Gia Hân|Hồng Sơn|Thị Ý|Nhật Minh|Kim Chi|Thành Long|Mỹ Duyên|Ngọc Sơn|"
    "Thị Oanh|Phương Lan|Thị Quỳnh|Sỹ Hoàng|Thị Tuyết|Ái Vân|Việt Hà|Xuân Trường|Yến Nhi|Duy Khánh|Tường Vy|Khắc Kiên|"
    "Thị Sen|Hải Yến|Bảo Châu|An Nhiên|Diễm My|Ôn Hòa|Lệ Thu"
).split("|")
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


def _name(given: int, family: int) -> str:
    """A name as the person writes it: the family first without a blank, with a blank, or last."""
    latin = _LAST[family]
    own = _FAMILY_NAMES.get(latin)
    if own is None:
        return f"{_FIRST[given]} {latin}"
    if latin in ("Sato", "Tanaka", "Yoshino"):
        return f"{own} {_JAPANESE[given]}"
    if latin in ("Nguyen", "Tran"):
        return f"{own} {_VIETNAMESE[given]}"
    return own + (_KOREAN if latin in ("Kim", "Park") else _CHINESE)[given]


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
        given, family = rng.randrange(len(_FIRST)), rng.randrange(len(_LAST))
        department = self.department(rng.randrange(self.sizes.departments))
        manager = f"P{rng.randrange(max(1, self.sizes.people // 8)) + 1:05d}"
        position = index - self.sizes.people if left else index
        in_dms = position < (self.dms_left if left else self.dms_staff)
        gone = (self.today - timedelta(days=rng.randrange(2, 120))).date().isoformat() if left else ""
        login = f"{_FIRST[given]}.{_LAST[family]}{index}".lower().replace("'", "")
        return self.make(index, _name(given, family), f"{login}@example.com", department, gone, kind, manager, in_dms)

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
