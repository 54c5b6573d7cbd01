"""Rosters as people's systems export them, made from a known truth, and what that truth allows.

:class:`World` is the truth: people, and the principals of one platform. :func:`export` writes it in one of many forms
and damages it in zero to three ways. :meth:`World.allowed` says, from the truth alone and without any code of the
package, whose grants each rule takes.
"""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SPACES = ("dms_user_id", "alibaba_uid")
COLUMNS = ("person_id", "name", "email", "department", "status", "terminated_at", "kind", "manager", *SPACES)
HEADERS = {
    "de": ("Personalnummer", "Anzeigename", "E-Mail", "Abteilung", "Beschäftigung", "Austritt am", "Art", "Führung"),
    "zh": ("工号", "姓名", "邮箱", "部门", "状态", "离职日期", "类型", "上级"),
    "ja": ("社員番号", "氏名", "メール", "部署", "在籍状況", "退職日", "種別", "上長"),
}
WORDS = {"de": ("aktiv", "ausgeschieden"), "zh": ("在职", "离职"), "ja": ("在籍", "退職")}
ENCODINGS = {"de": ("cp1252", "utf-16"), "zh": ("gb18030", "utf-16"), "ja": ("shift_jis", "euc-jp", "utf-16")}
CLOSING = ("24:00", "24:00", "12:00", "12:01", "17:30", "20:00", "20:01")
"""Ends of a working day. At :data:`NOW`, clocks show 12:00 in UTC, 20:00 in Shanghai."""
FORMS = {"DD.MM.YYYY": "%d.%m.%Y", "DD/MM/YYYY": "%d/%m/%Y", "MM/DD/YYYY": "%m/%d/%Y", "YYYYMMDD": "%Y%m%d"}


@dataclass
class Human:
    """One row of the truth."""

    number: int
    status: str
    end: date | None
    manager: str
    kind: str = "human"
    mail: str = ""
    ids: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return f"P{self.number:03}"


@dataclass
class World:
    """People, and the ids of the platform's principals.

    :param closing: when a working day ends on the clocks of ``zone``, as ``HH:MM``.
    """

    people: list[Human]
    strangers: list[str]
    zone: str
    closing: str

    def principals(self) -> list[str]:
        return [*(one.ids["dms_user_id"] for one in self.people if "dms_user_id" in one.ids), *self.strangers]

    def over(self, one: Human) -> bool:
        """Whether the working day of the leaving date has ended, as the clocks of the zone show now."""
        if one.end is None:
            return False
        clock = NOW.astimezone(ZoneInfo(self.zone))
        return one.end < clock.date() or (one.end == clock.date() and self.closing <= f"{clock:%H:%M}")

    def back(self, one: Human) -> bool:
        return any(o.mail == one.mail and o.status == "active" for o in self.people if o is not one)

    def allowed(self) -> dict[str, set[str]]:
        """Rule -> ids whose grants may go."""
        left = [one for one in self.people if one.status == "left" and "dms_user_id" in one.ids and not self.back(one)]
        listed = {one.key for one in self.people}
        return {
            "leaver": {one.ids["dms_user_id"] for one in left if self.over(one)},
            "undated": {one.ids["dms_user_id"] for one in left if one.end is None or self.over(one)},
            "nobody": set(self.strangers),
            "unowned": {
                one.ids["dms_user_id"]
                for one in self.people
                if one.kind == "service" and "dms_user_id" in one.ids and one.manager not in listed
            },
        }


@dataclass
class Export:
    """One file or answer.

    :param kind: csv, json, scim or pages.
    :param lines: number of a person -> line of the file.
    :param damage: what was done to it.
    """

    kind: str
    content: Any
    options: dict[str, Any]
    lines: dict[int, int]
    damage: list[str]


def world(rng: random.Random) -> World:
    """Return a truth: 12 to 40 people, leavers of every kind, people who came back, service accounts, strangers."""
    wide = rng.choice(["", "00"])
    size = rng.randint(12, 40)
    people = []
    for number in range(1, size + 1):
        status = rng.choices(["active", "left"], [7, 2])[0]
        day = date(2026, 3, 1) + timedelta(days=rng.choice([-400, -60, -28, -2, -1, 0, 1, 2, 40]))
        end = day if status == "left" and rng.random() < 0.8 else None
        ids = {"dms_user_id": f"{wide}51{number:03}", "alibaba_uid": f"2046{number:012}"}
        if number > 3 and rng.random() < 0.1:
            del ids[rng.choice(SPACES)]
        kind = "service" if rng.random() < 0.15 else "human"
        boss = rng.choices([f"P{rng.randint(1, 3):03}", "", "P900"], [8, 1, 1])[0]
        people.append(Human(number, status, end, boss, kind, f"p{number}@example.com", ids))
    people[0].status, people[0].end, people[0].manager = "active", None, "P001"
    for one in [p for p in people[3:] if p.status == "left"][: rng.choice([0, 0, 1])]:
        size += 1
        people.append(Human(size, "active", None, "P001", "human", one.mail, {}))
    zone = rng.choice(["UTC", "Asia/Shanghai", "America/Los_Angeles", "Pacific/Auckland"])
    return World(people, [f"{wide}59{n:03}" for n in range(3)], zone, rng.choice(CLOSING))


def export(truth: World, rng: random.Random) -> Export:
    """Return the truth in one form, damaged."""
    people = list(truth.people)
    rng.shuffle(people)
    kind = rng.choices(["csv", "json", "scim", "pages"], [6, 2, 1, 1])[0]
    rows = [_row(one) for one in people]
    options: dict[str, Any] = {
        "id_columns": {name: name for name in SPACES}, "zone": truth.zone, "end_of_day": truth.closing,
    }  # fmt: skip
    damage: list[str] = []
    for _ in range(rng.choice([0, 1, 1, 2, 3])):
        name = rng.choice(list(DAMAGE))
        if DAMAGE[name](rows, rng):
            damage.append(name)
    lines = {one.number: at for at, one in enumerate(people, 2 if kind == "csv" else 1)}
    if kind == "csv":
        return _csv(rows, people, rng, options, damage)
    for row in rows:
        row.pop("extra", None)
        row.pop("short", None)
    if kind in ("scim", "pages") and not {"unknown word", "words in other case"} & set(damage):
        return _scim(rows, rng, options, lines, damage)
    text = json.dumps(rows, ensure_ascii=rng.random() < 0.5)
    if rng.random() < 0.05:
        text, damage = text[: rng.randrange(1, len(text))], [*damage, "cut"]
    return Export("json", text.encode(), options, lines, damage)


def _row(one: Human) -> dict[str, Any]:
    end = one.end.isoformat() if one.end else ""
    plain = {"name": f"Name {one.number}", "email": one.mail, "department": "Data", "status": one.status}
    ids = {name: one.ids.get(name, "") for name in SPACES}
    return {"person_id": one.key, **plain, "terminated_at": end, "kind": one.kind, "manager": one.manager, **ids}


def _some(rows: list[dict[str, Any]], column: str, rng: random.Random) -> dict[str, Any] | None:
    found = [row for row in rows if row[column]]
    return rng.choice(found) if found else None


def _change(column: str | tuple[str, ...], change: Callable[[str, random.Random], str]) -> Any:
    """Return a damage of one cell."""

    def damage(rows: list[dict[str, Any]], rng: random.Random) -> bool:
        name = column if isinstance(column, str) else rng.choice(column)
        row = _some(rows, name, rng)
        if row is not None:
            row[name] = change(row[name], rng)
        return row is not None

    return damage


def _all(column: str, change: Callable[[str, random.Random], str]) -> Any:
    """Return a damage of a whole column."""

    def damage(rows: list[dict[str, Any]], rng: random.Random) -> bool:
        for row in rows:
            row[column] = change(row[column], rng) if row[column] else row[column]
        return True

    return damage


def _scientific(text: str, rng: random.Random) -> str:
    return f"{int(text):.{rng.choice([1, 2, 5])}E}" if text.isdigit() else text


def _twin(rows: list[dict[str, Any]], rng: random.Random) -> bool:
    one, other = rng.sample(rows, 2)
    name = rng.choice(["person_id", *SPACES])
    if not one[name] or not other[name]:
        return False
    other[name] = one[name]
    return True


def _again(rows: list[dict[str, Any]], rng: random.Random) -> bool:
    row = rng.choice(rows)
    row["again"] = True
    return True


def _short(rows: list[dict[str, Any]], rng: random.Random) -> bool:
    rng.choice(rows)["short"] = True
    return True


def _extra(rows: list[dict[str, Any]], rng: random.Random) -> bool:
    rng.choice(rows)["extra"] = "x"
    return True


def _dates(form: str) -> Any:
    def change(text: str, rng: random.Random) -> str:
        try:
            return date.fromisoformat(text).strftime(form)
        except ValueError:
            return text  # damaged already

    return _all("terminated_at", change)


def _id_lost(rows: list[dict[str, Any]], rng: random.Random) -> bool:
    """Who has lost the only id looks like somebody without accounts."""
    both = [row for row in rows if all(row[name] for name in SPACES)]
    if both:
        rng.choice(both)[rng.choice(SPACES)] = ""
    return bool(both)


def _date_lost(rows: list[dict[str, Any]], rng: random.Random) -> bool:
    """A roster that has lost its only date looks like one without dates."""
    dated = [row for row in rows if row["terminated_at"]]
    if len(dated) > 1:
        rng.choice(dated[1:])["terminated_at"] = ""
    return len(dated) > 1


ID = ("person_id", *SPACES)
DAMAGE: dict[str, Callable[[list[dict[str, Any]], random.Random], bool]] = {
    "blanks around": _change(COLUMNS, lambda text, rng: f"  {text}\t"),
    "no-break space": _change(ID, lambda text, rng: f"{text}\u00a0"),
    "zero width": _change(ID, lambda text, rng: f"{text[:1]}\u200b{text[1:]}"),
    "wide digits": _change(SPACES, lambda text, rng: "".join(chr(ord(c) + 0xFEE0) for c in text)),
    "scientific": _change(SPACES, _scientific),
    "scientific column": _all("alibaba_uid", _scientific),
    "rounded column": _all("alibaba_uid", lambda text, rng: text[:-1] + "0" if text.isdigit() else text),
    "zeros lost": _all("dms_user_id", lambda text, rng: text.lstrip("0")),
    "zeros of one lost": _change("dms_user_id", lambda text, rng: text.lstrip("0")),
    "decimal": _change(SPACES, lambda text, rng: f"{text}.0"),
    "apostrophe": _change(SPACES, lambda text, rng: f"'{text}"),
    "placeholder": _change(ID, lambda text, rng: rng.choice(["#N/A", "null", "-", "NaN"])),
    "id lost": _id_lost,
    "person lost": _change("person_id", lambda text, rng: ""),
    "no such day": _change("terminated_at", lambda text, rng: "2026-02-30"),
    "one foreign date": _change("terminated_at", lambda text, rng: ".".join(reversed(text.strip().split("-")))),
    "foreign dates": _dates("%d/%m/%Y"),
    "dates in words": _dates("%d %b %Y"),
    "midnights": _all(
        "terminated_at", lambda text, rng: text[:10] + rng.choice(["T00:00:00Z", " 00:00", "T00:00:00.000+08:00"])
    ),
    "excel days": _all("terminated_at", lambda text, rng: "46080"),
    "date lost": _date_lost,
    "status lost": _change("status", lambda text, rng: ""),
    "unknown word": _change("status", lambda text, rng: "terminated"),
    "words in other case": _all("status", lambda text, rng: rng.choice([text.upper(), f" {text.title()} "])),
    "manager by mail": _change("manager", lambda text, rng: "p2@example.com"),
    "manager without zeros": _all("manager", lambda text, rng: text.replace("P00", "P")),
    "manager in lower case": _all("manager", lambda text, rng: text.lower()),
    "manager by name": _all("manager", lambda text, rng: "Name 1"),
    "manager cut": _change("manager", lambda text, rng: text + "\u200b"),
    "managers lost": _all("manager", lambda text, rng: ""),
    "line break in name": _change("name", lambda text, rng: f"{text}\r\nsecond line"),
    "quotes in name": _change("name", lambda text, rng: f'{text} "Bo"; O\'Neill, Jr.|x'),
    "emoji in name": _change("name", lambda text, rng: f"{text} \U0001f469\u200d\U0001f4bb"),
    "mail in other case": _change("email", lambda text, rng: text.upper()),
    "mail with a blank": _change("email", lambda text, rng: f" {text} "),
    "twins": _twin,
    "row twice": _again,
    "cells missing": _short,
    "cell too many": _extra,
}


def _csv(  # noqa: C901  # one form after the other
    rows: list[dict[str, Any]], people: list[Human], rng: random.Random, options: dict[str, Any], damage: list[str]
) -> Export:
    """Return a CSV file: separators, quotes, encodings, headers, forms of dates, ends."""
    delimiter = rng.choice([",", ",", ";", "\t", "|"])
    names = list(COLUMNS)
    columns = names[:]
    rng.shuffle(columns)
    language = rng.choice(["", "", *HEADERS])
    encoding = "utf-8"
    theirs = dict(zip(names, HEADERS[language], strict=False)) if language else {}
    if language:
        words = dict(zip(("active", "left"), WORDS[language], strict=True))
        options |= {"columns": theirs, "values": {"status": {v: k for k, v in words.items()}}}
        for row in rows:
            row["status"] = words.get(row["status"], row["status"])
        encoding = rng.choice(["utf-8", *ENCODINGS[language]])
        if rng.random() < 0.8 and encoding != "utf-16":
            options["encoding"] = encoding
        elif encoding not in ("utf-8", "utf-16"):
            damage.append("encoding not told")
    if rng.random() < 0.2:
        turned = "foreign dates" in damage  # a wrong form that fits every date cannot be noticed
        form, pattern = ("DD/MM/YYYY", FORMS["DD/MM/YYYY"]) if turned else rng.choice(list(FORMS.items()))
        options["date_format"] = form
        for row in rows:
            if len(text := row["terminated_at"]) == 10 and text[4] == text[7] == "-" and text != "2026-02-30":
                row["terminated_at"] = date.fromisoformat(text).strftime(pattern)
    out = io.StringIO()
    if rng.random() < 0.1:
        out.write(f"sep={delimiter}\r\n")
    end = rng.choice(["\n", "\r\n"])
    quoting: Literal[0, 1] = csv.QUOTE_ALL if rng.random() < 0.5 else csv.QUOTE_MINIMAL
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=quoting)
    head = [theirs.get(name, name) + rng.choice(["", "", " "]) for name in columns]
    if rng.random() < 0.03:
        out.write(f"Export of people{end}")
        damage.append("title above the header")
    if rng.random() < 0.03:
        head[rng.randrange(len(head))] = ""
        damage.append("merged header")
    writer.writerow(head)
    lines = {}
    for one, row in zip(people, rows, strict=True):
        cells = [row[name] for name in columns]
        cells = cells[:-2] if row.get("short") else cells + ["x"] * ("extra" in row)
        for _ in range(2 if row.get("again") else 1):
            writer.writerow(cells)
        lines[one.number] = out.getvalue().count("\n")
        if rng.random() < 0.02:
            out.write(end)
    text = out.getvalue()
    text, damage = _broken(text, rng, delimiter, quoting, damage, columns, rows)
    content = text.encode(encoding, "replace")
    if encoding == "utf-8" and rng.random() < 0.3:
        content = b"\xef\xbb\xbf" + content
    return Export("csv", content, options, lines, damage)


def _broken(
    text: str, rng: random.Random, delimiter: str, quoting: Literal[0, 1, 2, 3], damage: list[str],
    columns: list[str], rows: list[dict[str, Any]],
) -> tuple[str, list[str]]:  # fmt: skip
    """Return the text with a fault of the file as a whole, sometimes."""
    choice = rng.random()
    ids_last = columns[-1] in SPACES and all(
        len(str(row[columns[-1]])) == len(str(rows[0][columns[-1]])) for row in rows
    )
    if choice < 0.05 and ids_last and quoting == csv.QUOTE_MINIMAL and not damage:
        cut = rng.randrange(len(text) // 2, len(text) - 2)
        # A cut just behind a row leaves a smaller roster that is whole: only its size can tell.
        if text[cut] not in "\r\n" and text[cut - 1] not in "\r\n":
            return text[:cut], [*damage, "cut"]
    if choice < 0.1:
        at = text.find(delimiter, rng.randrange(len(text)))
        if at > 0:
            return text[: at + 1] + '"' + text[at + 1 :], [*damage, "open quote"]
    if choice < 0.14:
        return text.rstrip("\r\n"), damage
    if choice < 0.17:
        return text + f"Total: {len(rows)}\n", [*damage, "footer"]
    if choice < 0.2:
        first = text.split("\n", 1)[0]
        return text + first + "\n", [*damage, "second header"]
    if choice < 0.22:
        at = text.find(delimiter, rng.randrange(len(text)))
        return (text[:at] + "\n" + text[at:], [*damage, "row broken in two"]) if at > 0 else (text, damage)
    return text, damage


def _scim(
    rows: list[dict[str, Any]], rng: random.Random, options: dict[str, Any], lines: dict[int, int], damage: list[str]
) -> Export:
    """Return SCIM users in pages, or with a wrong total."""
    users = []
    enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
    for row in rows:
        own = {name: row[name] for name in ("terminated_at", "kind", *SPACES)}
        active = {"active": True, "left": False}.get(row["status"].strip().casefold())
        manager = rng.choice([row["manager"], {"value": row["manager"]}])
        users.append(
            {"id": f"s-{row['person_id']}", "externalId": row["person_id"], "displayName": row["name"],
             **({} if active is None else {"active": active}), "emails": [{"value": row["email"], "primary": True}],
             enterprise: {"department": row["department"], "manager": manager}, "urn:example:ids": own}
        )  # fmt: skip
    size = rng.randint(3, len(users) + 3)
    total = len(users)
    pages = [
        {"totalResults": total, "startIndex": at + 1, "Resources": users[at : at + size]}
        for at in range(0, total, size)
    ]
    pages.append({"totalResults": total, "Resources": []})
    fault = rng.random()
    if fault < 0.1 and len(pages) > 2:
        del pages[rng.randrange(len(pages) - 1)]
        damage.append("page lost")
    elif fault < 0.2:
        pages = [{**page, "totalResults": size} for page in pages]
        damage.append("total is the size of a page")
    elif fault < 0.25:
        pages.insert(1, pages[0])
        damage.append("page twice")
    return Export("pages", [json.dumps(page).encode() for page in pages], options, lines, damage)
