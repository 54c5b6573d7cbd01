from __future__ import annotations

from types import SimpleNamespace

import pytest

from rescind.model import Principal
from rescind.review.roster.admit import match_person, principal_ids
from rescind.systems import id_spaces


@pytest.mark.parametrize(
    ("ids", "person", "method"),
    [
        ([("dms_user_id", "51001")], "P1", "id:dms_user_id"),
        ([("dms_user_id", "51001"), ("alibaba_uid", "2046000000000001")], "P1", "id:dms_user_id"),
        ([("dms_user_id", "51001"), ("alibaba_uid", "2046000000000002")], None, "conflict"),
        ([("dms_user_id", "51001"), ("alibaba_uid", "2046000000007777")], None, "conflict"),
        ([("dms_user_id", "99999")], None, "none"),
        ([("dms_user_id", "2046000000000001")], None, "none"),  # right id, wrong space
        ([("quickbi_user_id", "51001")], None, "no_id_space"),
        ([("quickbi_user_id", "x"), ("alibaba_uid", "2046000000000001")], "P1", "id:alibaba_uid"),
        ([("dms_user_id", "")], None, "no_id_space"),
        ([], None, "no_id_space"),
        ([("dms_user_id", "Ada")], None, "none"),  # never by name
    ],
)
def test_matching_is_by_exact_id_in_its_space(
    make: SimpleNamespace, ids: list[tuple[str, str]], person: str | None, method: str
) -> None:
    match = match_person("user", ids, make.roster())
    assert (match.person.person_id if match.person else None, match.method) == (person, method)


def test_an_id_that_the_row_lacks_leaves_the_principal_unmatched(make: SimpleNamespace) -> None:
    roster = make.roster("P1,Ada,active,,human,,Finance,,2046000000000001,")
    ids = [("dms_user_id", "51001"), ("alibaba_uid", "2046000000000001")]
    assert match_person("user", ids, roster) == (None, "unconfirmed")


@pytest.mark.parametrize("kind", ["group", "role", "project", "everyone"])
def test_only_users_are_people(make: SimpleNamespace, kind: str) -> None:
    assert match_person(kind, [("dms_user_id", "51001")], make.roster()).method == "not_a_person"


def test_ids_of_a_principal_come_from_the_spaces_of_its_system() -> None:
    principal = Principal("dms_permissions", "a", "user", "51001", other_ids=(("alibaba_uid", "2046"), ("other", "1")))
    pairs = principal_ids("dms_permissions", "51001", principal, id_spaces())
    assert pairs == (("dms_user_id", "51001"), ("alibaba_uid", "2046"))
    assert principal_ids("unknown_system", "1", None, id_spaces()) == ()
