"""Every file that people hand in, damaged in every ordinary way: one error that names the file, and nothing is read."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from rescind.errors import InputError
from rescind.review import (
    Policy,
    load_exceptions,
    load_owners,
    load_policy,
    load_protections,
    read_roster_csv,
    read_roster_json,
)

CSV = "person_id,name,status,terminated_at,wedata_user_id,alibaba_uid,dms_user_id,quickbi_user_id\n"
CSV += "P1,Zo\u00eb,active,,700000000001,2046000000000001,51001,q1\n"
JSON = '[{"person_id": "P1", "name": "Zo\u00eb", "status": "left", "terminated_at": "2026-01-31", '
JSON += '"wedata_user_id": "700000000001", "alibaba_uid": "", "dms_user_id": "", "quickbi_user_id": ""}]'
POLICY = """format: 1
policy: p
description: d\u00e9part
combine: first_match
otherwise: keep
rules:
  - {id: leaver, description: d, when: "person.status == 'left'", decide: revoke, reason: left, severity: high}
"""
EXCEPTIONS = """format: 1
exceptions:
  - {id: X1, owner: Zo\u00eb, reason: r, end: 2026-12-31, match: {principal_id: "51001"}}
"""
PROTECTIONS = """format: 1
principals:
  - {space: dms_user_id, id: "51001", reason: Zo\u00eb}
resources: []
"""
OWNERS = """format: 1
no_answer: keep
default: ada   # Zo\u00eb
reviewers:
  ada: {person_id: P1}
owners: []
"""
Read = Callable[[SimpleNamespace, bytes], Any]
FILES: dict[str, tuple[str, Read]] = {
    "roster.csv": (CSV, lambda make, data: read_roster_csv(data, source="roster.csv")),
    "roster.json": (JSON, lambda make, data: read_roster_json(data, source="roster.json")),
    "policy.yaml": (POLICY, lambda make, data: load_policy(data, source="policy.yaml")),
    "exceptions.yaml": (EXCEPTIONS, lambda make, data: load_exceptions(data, source="exceptions.yaml")),
    "protected.yaml": (
        PROTECTIONS,
        lambda make, data: load_protections(data, source="protected.yaml", own_ids=[("alibaba_uid", "9")]),
    ),
    "owners.yaml": (OWNERS, lambda make, data: load_owners(data, source="owners.yaml", roster=make.admitted())),
}
DAMAGE: dict[str, tuple[Callable[[str], bytes], str]] = {
    "UTF-16": (lambda text: text.encode("utf-16"), "UTF-16"),
    "UTF-16 without mark": (lambda text: text.encode("utf-16-le"), "NUL|not UTF-8"),
    "latin-1": (lambda text: text.encode("latin-1"), r"line \d+ holds byte 0xe[9b], which is not UTF-8"),
    "replacement": (lambda text: text.replace("\u00eb", "\ufffd").replace("\u00e9", "\ufffd").encode(), r"U\+FFFD"),
    "empty": (lambda text: b"", "empty"),
    "blank": (lambda text: b" \n\n", "empty"),
    "NUL": (lambda text: text.replace("Z", "Z\0").replace("p\u00e9", "\0").encode() + b"\0", "NUL"),
    "binary": (lambda text: b"PK\x03\x04\xff\xfe\x00\x00", "not UTF-8|NUL"),
}


@pytest.mark.parametrize("name", FILES)
def test_the_files_are_sound_before_they_are_damaged(make: SimpleNamespace, name: str) -> None:
    """Also with a byte order mark, as spreadsheets and editors write it, and with Windows line ends."""
    text, read = FILES[name]
    read(make, text.encode())
    read(make, b"\xef\xbb\xbf" + text.encode())
    read(make, text.replace("\n", "\r\n").encode())


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_refused_by_name(make: SimpleNamespace, name: str, damage: str) -> None:
    text, read = FILES[name]
    spoil, message = DAMAGE[damage]
    if (name, damage) == ("roster.csv", "UTF-16"):  # spreadsheets write it, and the mark leaves no doubt
        assert read(make, spoil(text)).people == read(make, text.encode()).people
        return
    with pytest.raises(InputError, match=message) as caught:
        read(make, spoil(text))
    assert str(caught.value).startswith(name) and caught.value.remedy


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("roster.csv", ("51001,q1\n", "51001,q1\nP1,B,active,,,,,\n"), "lines 2 and 3 have the same person_id"),
        ("roster.csv", ("51001,q1\n", "51001,q1\nP2,B,active,,,,51001,\n"), "column dms_user_id: lines 2 and 3"),
        ("roster.csv", ("2046000000000001", "2.046E+15"), "line 2, column alibaba_uid: an id in scientific"),
        ("roster.csv", ("active,,", "left,31.01.2026,"), "line 2, column terminated_at: not a date"),
        ("roster.csv", ("active,,", "left,2026-02-30,"), "line 2, column terminated_at: not a date that exists"),
        ("roster.csv", ("P1,", "\u04201,"), r"line 2, column person_id: .*U\+0420"),
        ("roster.csv", ("active", "aktiv"), "line 2, column status: an unknown value"),
        ("roster.csv", ("q1\n", "q1,extra\n"), "line 2: 9 cells where the header names 8"),
        ("roster.json", ('"700000000001"', "1234567890123456789"), "line 1, column wedata_user_id: .*a whole number"),
        ("roster.json", ('"700000000001"', "1.23e18"), "column wedata_user_id: .*a number with a point"),
        ("roster.json", ('"left"', '"left", "status": "active"'), "the same key twice"),
        ("roster.json", ("}]", "}"), "roster.json, line 1, column .*not valid JSON"),
        ("policy.yaml", ("combine: first_match\n", ""), "combine: a required field is missing"),
        ("policy.yaml", ("first_match", "best_match"), "policy.yaml, line 4, combine"),
        ("policy.yaml", ("severity: high", "severity: huge"), "line 7, rules.0.severity"),
        ("policy.yaml", (", severity: high", ""), "rules.0.severity: a required field is missing"),
        ("policy.yaml", ("decide: revoke", "decide: remove"), "line 7, rules.0.decide"),
        (
            "policy.yaml",
            ("reason: left", "reasons: left"),
            "rules.0.reasons: an unknown field|reason: a required field",
        ),
        ("policy.yaml", ("person.status ==", "person.status = "), "line 7, rule leaver, condition 1:"),
        ("policy.yaml", ("person.status == 'left'", "person.status == 1"), "line 7, rule leaver, condition 1:"),
        ("policy.yaml", ("otherwise: keep", "otherwise: revoke"), "line 5, otherwise"),
        ("exceptions.yaml", ("2026-12-31", "31/12/2026"), "line 3, exception X1, end: not a date"),
        ("exceptions.yaml", ('"51001"', "1234567890123456789"), "line 3, exceptions.0.match.principal_id: must be"),
        ("exceptions.yaml", ('"51001"', '"5.1E+4"'), "exception X1, match.principal_id: an id in scientific"),
        ("exceptions.yaml", ('principal_id: "51001"', "system: dms_permissions"), "would cover a whole system"),
        ("exceptions.yaml", ("owner: ", "owners: "), "an unknown field|owner: a required field"),
        ("protected.yaml", ('"51001"', "1234567890123456789"), "line 3, principals.0.id: must be text"),
        ("protected.yaml", ('"51001"', '"5100\u0430"'), r"line 3, principals\[0\]: .*U\+0430"),
        ("protected.yaml", ("resources: []\n", ""), "resources: a required field is missing"),
        ("protected.yaml", ("reason:", "why:"), "an unknown field|reason: a required field"),
    ],
)  # fmt: skip
def test_a_bad_value_is_refused_with_its_place(
    make: SimpleNamespace, name: str, change: tuple[str, str], message: str
) -> None:
    text, read = FILES[name]
    assert change[0] in text
    with pytest.raises(InputError, match=message) as caught:
        read(make, text.replace(*change, 1).encode())
    assert str(caught.value).startswith(name) and caught.value.remedy
    assert "1234567890123456789" not in str(caught.value)


def test_two_exceptions_or_rules_with_one_id_are_refused(make: SimpleNamespace) -> None:
    for name, line in (("exceptions.yaml", 2), ("policy.yaml", 6)):
        text, read = FILES[name]
        with pytest.raises(InputError, match=rf"{name}, line {line + 2}, .*a second (exception|rule) with this id"):
            read(make, (text + text.splitlines()[line] + "\n").encode())


def test_what_a_policy_says_of_a_rule_reaches_the_rule(make: SimpleNamespace) -> None:
    text = POLICY.replace("severity: high", "severity: critical, controls: [SOC 2 CC6.2, ISO 27001 A.5.18]")
    policy: Policy = load_policy(text, source="policy.yaml")
    assert (policy.rules[0].severity, policy.rules[0].controls) == ("critical", ("SOC 2 CC6.2", "ISO 27001 A.5.18"))
    assert policy.combine == "first_match"
