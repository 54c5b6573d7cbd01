"""Approvers under each auth manager: what a setting may hold, and who counts as the requester."""

from __future__ import annotations

from typing import Any

import pytest

from rescind.approvers import Approver, Responder, check_ids, check_user_id, find_approver
from rescind.errors import ConfigurationError
from rescind.settings import Settings

UUID = "0b9c2f0e-11aa-4c3d-9e5f-0123456789ab"


def parsed(*approvers: Any) -> tuple[Approver, ...]:
    return Settings.parse({"approvers": list(approvers)}, connections={}).approvers


def answer(user_id: str, name: str) -> Responder:
    return Responder.of({"responded_by_user": {"id": user_id, "name": name}})


def test_a_text_is_an_id_and_an_object_has_both() -> None:
    text, both = parsed("omar", {"id": "7", "name": "ada"})
    assert (text, str(text)) == (Approver(id="omar"), "omar")
    assert (both.id, both.name, str(both)) == ("7", "ada", "ada (7)")
    assert Settings(approvers=(text, both)).bound()["approvers"] == ["omar", {"id": "7", "name": "ada"}]
    assert find_approver((text, both), "7") is both and find_approver((text, both), "ada") is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([7], "approvers.0"),
        ([{"id": 7, "name": "ada"}], r"approvers.0.id.*got int"),
        ([{"id": "", "name": "ada"}], "approvers.0.id"),
        ([{"name": "ada"}], "approvers.0.id"),
        ([{"id": "7", "user": "ada"}], "approvers.0.user"),
        ([{"id": "7", "name": "ada"}, {"id": "8", "name": "Ada "}], "are one user"),
    ],
)
def test_a_bad_approver_is_named(value: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Settings.parse({"approvers": value}, connections={})


@pytest.mark.parametrize(
    ("approver", "requester", "same"),
    [
        ("rita", "rita", True),
        ("rita", " Rita", True),
        ("omar", "rita", False),
        ({"id": "7", "name": "rita"}, "rita", True),
        ({"id": "7", "name": "omar"}, "7", False),  # another user is called 7
        ({"id": "7", "name": "omar"}, "omar", True),
        ({"id": UUID, "name": "RITA"}, "rita", True),
        ("rita", "", False),
    ],
)
def test_names_are_compared_with_names(approver: Any, requester: str, same: bool) -> None:
    (one,) = parsed(approver)
    assert one.may_have_requested(requester) is same


@pytest.mark.parametrize(
    ("user_id", "name", "requester", "same"),
    [
        ("rita", "rita", "rita", True),
        ("7", "rita", "rita", True),
        ("7", "omar", "7", False),
        ("7", "7", "7", True),
        ("7", "", "7", True),
        (UUID, "Rita", "rita", True),
    ],
)
def test_an_answer_has_both(user_id: str, name: str, requester: str, same: bool) -> None:
    assert answer(user_id, name).may_have_requested(requester) is same


def test_an_answer_without_a_user_is_nobody() -> None:
    assert Responder.of({}) == Responder(id="") == Responder.of({"responded_by_user": None})
    assert not Responder.of({}).may_have_requested("")


@pytest.mark.parametrize(
    ("manager", "approver", "words"),
    [
        ("SimpleAuthManager", {"id": "7", "name": "omar"}, "has another name"),
        ("FabAuthManager", "omar", "no user id of FabAuthManager.*number"),
        ("FabAuthManager", {"id": "omar", "name": "omar"}, "no user id of FabAuthManager"),
        ("FabAuthManager", {"id": "07", "name": "omar"}, "no user id of FabAuthManager"),
        ("FabAuthManager", "7", 'has no name.*"id": "7"'),
        ("KeycloakAuthManager", {"id": "7", "name": "omar"}, "no user id of KeycloakAuthManager.*UUID"),
        ("KeycloakAuthManager", UUID, "has no name"),
        ("AwsAuthManager", "9067642ac7", "has no name"),
    ],
)
def test_an_id_of_another_shape_is_refused_with_the_right_one(manager: str, approver: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        check_ids(parsed(approver), manager)


def test_a_reviewer_of_another_shape_is_refused_with_the_right_one() -> None:
    with pytest.raises(ConfigurationError, match=r"owners.yaml: 'finn' is no user id of FabAuthManager.*such as 7"):
        check_user_id("finn", "FabAuthManager", field="owners.yaml")
    for user_id, manager in (("7", "FabAuthManager"), ("finn", "SimpleAuthManager"), ("finn", "")):
        check_user_id(user_id, manager, field="owners.yaml")


@pytest.mark.parametrize(
    ("manager", "approver"),
    [
        ("SimpleAuthManager", "omar"),
        ("SimpleAuthManager", {"id": "omar", "name": "omar"}),
        ("FabAuthManager", {"id": "7", "name": "omar"}),
        ("KeycloakAuthManager", {"id": UUID, "name": "omar"}),
        ("AwsAuthManager", {"id": "9067642ac7", "name": "omar"}),
        ("OwnAuthManager", "omar"),
        ("", "7"),
    ],
)
def test_an_id_of_the_right_shape_passes(manager: str, approver: Any) -> None:
    check_ids(parsed(approver), manager)
