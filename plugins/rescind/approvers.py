"""Who may approve: users of Airflow's auth manager, each with an id and a name.

An answer to a question carries the id and the name of its user, and the run the name of its requester only. So an id is
compared with an id and a name with a name: with some auth managers an id is a number, which another user may have as
their name. Sources: ``get_id`` and ``get_name`` of the users of each auth manager.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_serializer, model_validator

from rescind.errors import ConfigurationError
from rescind.users import check_different, printed, same_user, shown_user

_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_IDS: Mapping[str, tuple[str, str]] = {
    "FabAuthManager": (r"[1-9][0-9]{0,18}", "the number of the user in the list of users, such as 7"),
    "KeycloakAuthManager": (_UUID, "the id of the user in Keycloak, a UUID in small letters"),
    "AwsAuthManager": (r".+", "the id of the user in Identity Center"),
}
"""By auth manager: what an id looks like where it is not the name, and where to find it."""
_SIMPLE = "SimpleAuthManager"
KNOWN = frozenset({_SIMPLE, *_IDS})
"""The auth managers whose ids are known here, by the name of their class."""


class Approver(BaseModel):
    """A user who may approve.

    A setting holds a text, which is the id, or an object with both. A text alone fits auth managers whose ids are
    names.

    :param id: id of the user in Airflow's auth manager.
    :param name: name of the user there; empty if the setting does not have it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1)
    name: str = ""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"id": value} if isinstance(value, str) else value

    @model_serializer
    def _as_given(self) -> str | dict[str, str]:
        return {"id": self.id, "name": self.name} if self.name else self.id

    def __str__(self) -> str:
        return shown_user(self.id, self.name)

    def may_have_requested(self, requester: str) -> bool:
        """Return whether this may be the requester. An id counts as a name only where the name is not known.

        :param requester: name of the user, or empty if nobody requested the run.
        """
        return same_user(requester, self.name or self.id)


class Responder(BaseModel):
    """The user who answered, as Airflow reports it.

    :param name: empty where it is the same as the id.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    name: str = ""

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> Responder:
        """Return the user of Airflow's event; with an empty id if it names none."""
        user = event.get("responded_by_user") or {}
        ident, name = str(user.get("id") or ""), str(user.get("name") or "")
        return cls(id=ident, name="" if name == ident else name)

    def __str__(self) -> str:
        return shown_user(self.id, self.name)

    def may_have_requested(self, requester: str) -> bool:
        """Return whether this may be the requester, by name; by id where Airflow reports no other name."""
        return same_user(requester, self.name or self.id)


def find_approver(approvers: Iterable[Approver], user_id: str) -> Approver | None:
    """Return the approver with exactly this id, or None."""
    return next((one for one in approvers if one.id == user_id), None)


def may_not_answer(requested_by: str, user: Responder, listed: Sequence[Approver | None]) -> str:
    """Return why this user's answer does not count, or an empty text.

    :param requested_by: name of the requester of the run.
    :param listed: the user in the settings of now and of the run; None where they do not have the user.
    """
    found = [one for one in listed if one is not None]
    users: list[Approver | Responder] = [user, *(one for one in found if one.name)]
    # A user may have been renamed since the run began: the name in the settings counts as well.
    if any(one.may_have_requested(requested_by) for one in users):
        return "the requester cannot approve their own run; ask another approver"
    if len(found) < len(listed):
        return "the answer came from a user who is not listed in the setting 'approvers'"
    if any(one.name and not same_user(one.name, user.name or user.id) for one in found):
        return (
            f"setting 'approvers' has another name for user {user.id!r} than Airflow, which says"
            f" {user.name or user.id!r}: the id may belong to another person. Correct the setting"
        )
    return ""


def check_approver_list(approvers: Sequence[Approver]) -> None:
    """Check that no two approvers are one user.

    :raises InputError: for one id or one name that is there twice, and for names that imitate others.
    """
    check_different([one.id for one in approvers])
    check_different([one.name for one in approvers if one.name])


def check_ids(approvers: Iterable[Approver], manager: str) -> None:
    """Check that the approvers are written as the auth manager of the deployment knows its users.

    :param manager: name of the class, as the page recorded it; empty or another class: nothing can be checked.
    :raises ConfigurationError: for an id of another shape, or a name that is missing. Airflow would refuse every answer
        of such a user.
    """
    for one in approvers:
        if manager == _SIMPLE and one.name not in ("", one.id):
            raise ConfigurationError(
                f"setting 'approvers': {printed(one.id)} has another name. With {manager} the id of a user is the user"
                " name. Write the user name alone"
            )
        check_user_id(one.id, manager, field="setting 'approvers'", write='{"id": ..., "name": ...}')
        if manager in _IDS and not one.name:
            raise ConfigurationError(
                f"setting 'approvers': user {printed(one.id)} has no name. With {manager} the requester of a run is"
                f' known by name only. Write {{"id": "{one.id}", "name": ...}} with the user name'
            )


def check_user_id(user_id: str, manager: str, *, field: str, write: str = "the id") -> None:
    """Check that an id has the shape of the auth manager's ids.

    :param field: where the id is written, and ``write`` how it is written there, for the error.
    :raises ConfigurationError: when it has another shape.
    """
    shape, where = _IDS.get(manager, (".*", ""))
    if not re.fullmatch(shape, user_id):
        raise ConfigurationError(
            f"{field}: {printed(user_id)} is no user id of {manager}, so Airflow would refuse every answer of this"
            f" user. Write {write}: the id is {where}"
        )
