"""DMS: owners of instances and databases, read by object; where that does not tell, by user."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.dms_tenant import (
    ANN,
    BOB,
    OWNED_BY_ANN,
    REFUSED,
    UID,
    Answers,
    Seen,
    asked,
    databases,
    instances,
    logical,
    nobody_owns,
    owns,
    user,
    users,
)


class Noting:
    """What a question by user was asked about; nobody owns anything."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, ...]] = []

    def __call__(self, given: Mapping[str, str]) -> Answers:
        if given["PageNumber"] == "1":
            self.sent.append((given["UserId"], given["OwnerType"], given.get("Logic", "")))
        return nobody_owns(given)


def test_where_no_object_tells_its_owners_only_listings_that_can_matter_are_asked_once_a_user() -> None:
    note, seen = Noting(), Seen({})
    asked({"ListUserOwnedResources": note}, seen.grant(), seen.grant(BOB), seen.grant(BOB, "logic_table"))
    assert sorted(note.sent) == [
        (ANN, "DATABASE", "false"), (ANN, "INSTANCE", ""), (ANN, "TABLE", "false"),
        (BOB, "DATABASE", "false"), (BOB, "DATABASE", "true"), (BOB, "INSTANCE", ""),
        (BOB, "TABLE", "false"), (BOB, "TABLE", "true"),
    ]  # fmt: skip


NOBODY = {"OwnerIdList": {"OwnerIds": []}, "OwnerNameList": {"OwnerNames": []}}


def told(**fields: Any) -> Answers:
    """Every object tells its owners; these fields are on the database."""
    return {
        "ListInstances": instances(**NOBODY),
        "ListDatabases": databases(**{**NOBODY, **fields}),
        "ListLogicDatabases": logical(**NOBODY),
    }


def test_a_user_is_not_asked_about_objects_that_tell_their_owners() -> None:
    note, seen = Noting(), Seen({})
    answer = asked({**told(), "ListUserOwnedResources": note}, seen.grant(), seen.grant(BOB, "logic_table"))
    assert sorted(note.sent) == [(ANN, "TABLE", "false"), (BOB, "TABLE", "true")]
    assert (answer.reaches, answer.unknown) == ({}, {})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ListDatabases": databases(**OWNED_BY_ANN)}, "owner of database 88"),
        ({"ListDatabases": databases(OwnerIdList={"OwnerIds": [UID[ANN]]})}, "owner of database 88"),
        ({"ListDatabases": databases(**NOBODY, DbaId=ANN)}, "DBA of database 88"),
        ({"ListInstances": instances(**OWNED_BY_ANN)}, "owner of instance 17"),
        ({"ListInstances": instances(**NOBODY, DbaId=ANN)}, "DBA of instance 17"),
        (
            {
                "ListDatabases": databases(OwnerIdList={"OwnerIds": [ANN]}, OwnerNameList={"OwnerNames": ["A", "B"]}),
                "ListUsers": REFUSED,
                "GetUser": REFUSED,
            },
            "owner of database 88",
        ),
    ],
    ids=["owner", "by the cloud account's id", "DBA of the database", "owner of the instance", "DBA of the instance",
         "beside a name without an id, and no user is told"],
)  # fmt: skip
@pytest.mark.parametrize("many", [False, True], ids=["few holders", "many holders"])
def test_an_object_that_names_the_holder_is_a_path_of_that_holder_only(
    change: Answers, words: str, many: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the ownership is newer than the discovery, and the user's own list does not show it."""
    monkeypatch.setattr("rescind.systems.dms.owners._FEW", 1 if many else 20)
    seen = Seen({})
    answer = asked({**told(), **change}, seen.grant(ANN), seen.grant(BOB))
    assert words in answer.reaches.pop(seen.grant(ANN).grant_id)
    assert (answer.reaches, answer.unknown) == ({}, {})


NAMED_ONLY = {"OwnerIdList": {"OwnerIds": []}, "OwnerNameList": {"OwnerNames": ["Ann"]}}
BOB_AND_A_NAME = {"OwnerIdList": {"OwnerIds": [BOB]}, "OwnerNameList": {"OwnerNames": ["Bob", "Ann"]}}
BY_UID = {"OwnerIdList": {"OwnerIds": [UID[ANN]]}, "OwnerNameList": {"OwnerNames": ["Ann"]}}
ANN_WITHOUT_UID = user(ANN, Uid=None)


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        ({"ListDatabases": databases()}, {"DATABASE"}),
        ({"ListDatabases": databases(OwnerIdList={"OwnerIds": None})}, {"DATABASE"}),
        ({"ListDatabases": databases(OwnerIdList={"OwnerIds": []})}, {"DATABASE"}),
        ({"ListDatabases": databases(**NAMED_ONLY)}, {"DATABASE"}),
        ({"ListDatabases": databases(**BOB_AND_A_NAME)}, {"DATABASE"}),
        ({"ListDatabases": REFUSED}, {"DATABASE"}),
        ({"ListDatabases": {"DatabaseList": {"Database": []}, "TotalCount": 0}}, {"DATABASE"}),
        ({"ListInstances": REFUSED}, {"INSTANCE"}),
        ({"ListUsers": REFUSED, "GetUser": REFUSED}, {"DATABASE", "INSTANCE"}),
        ({"ListUsers": users(), "GetUser": {"User": user(BOB)}}, {"DATABASE", "INSTANCE"}),
        (
            {
                "ListDatabases": databases(**BY_UID),
                "ListUsers": users(ANN_WITHOUT_UID),
                "GetUser": {"User": ANN_WITHOUT_UID},
            },
            {"DATABASE", "INSTANCE"},
        ),
    ],
    ids=["no list", "null", "no names", "a name without an id", "a name more than ids", "refused", "not listed",
         "instances refused", "users refused", "another user", "a user without the cloud account's id"],
)  # fmt: skip
@pytest.mark.parametrize("many", [False, True], ids=["few holders", "many holders"])
def test_where_an_object_or_the_ids_of_its_holder_are_not_told_the_holder_is_asked(
    change: Answers, kinds: set[str], many: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rescind.systems.dms.owners._FEW", 0 if many else 20)
    seen = Seen({})
    row = {"DATABASE": {"DbId": "88", "Logic": False}, "INSTANCE": {"InstanceId": "17"}}
    for kind in kinds:
        answer = asked({**told(), **change, **owns(ANN, kind, **row[kind])}, seen.grant())
        assert f"owner of {kind.lower()}" in answer.reaches[seen.grant().grant_id]
    refused = asked({**told(), **change, "ListUserOwnedResources": REFUSED}, seen.grant())
    assert set(refused.unknown[seen.grant().grant_id]) == {"owned objects"} and refused.reaches == {}
