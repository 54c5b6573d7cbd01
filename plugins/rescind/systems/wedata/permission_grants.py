"""The grant of a permission row, and whether the revoke call can name it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from rescind.cloud.wedata.privileges import (
    PermissionDetail,
    PermissionRow,
    Privilege,
    PrivilegeResource,
    Subject,
    SubjectDetail,
    names_one_resource,
)
from rescind.errors import InputError
from rescind.model import Cell, Grant, GrantKey, PrincipalType

EVERY_USER = "AllAccountUsers"
SUBJECTS = {
    "User": PrincipalType.USER,
    "Project": PrincipalType.PROJECT,
    "Role": PrincipalType.ROLE,
    "GlobalRole": PrincipalType.PLATFORM_ROLE,
}


def principal_type(subject_type: str, subject: str) -> PrincipalType:
    """Return the type of a subject as the vendor names it."""
    if subject_type == "GlobalRole" and subject == EVERY_USER:
        return PrincipalType.EVERYONE
    return SUBJECTS.get(subject_type, PrincipalType.UNKNOWN)


def grant_of(
    account: str, row: PermissionRow, subject: SubjectDetail, detail: PermissionDetail, counts: Mapping[str, str]
) -> Grant:
    """Return the grant of one subject and one privilege of a row.

    :param counts: attributes of the grant that say what the total of its listing counts.
    """
    spelling, uri = row.Resource.ResourceType or "", row.Resource.ResourceUri or ""
    kind = principal_type(subject.SubjectType, subject.SubjectValue)
    source, why_not = inherited_from(uri, detail), ""
    if source:
        why_not = f"inherited from {source}"
    elif kind is PrincipalType.UNKNOWN:
        why_not = f"unknown subject type {subject.SubjectType}"
    elif not _can_be_named(spelling, uri, subject.SubjectType, subject.SubjectValue, detail.Name):
        why_not = "not revocable: the revoke call cannot name its object, subject or privilege"
    resource_type = spelling.lower()
    return Grant(
        key=GrantKey("wedata_privileges", account, resource_type, uri, kind, subject.SubjectValue, detail.Name, source),
        cell=Cell(resource_type, uri, "pair", (subject.SubjectType, subject.SubjectValue, detail.Name)),
        revocable=not why_not,
        why_not=why_not,
        inherited_from=source,
        principal_name=subject.SubjectValueDisplayName or "",
        resource_name=uri,
        attributes={
            "ResourceType": spelling,
            "Granted": "" if detail.Granted is None else str(detail.Granted).lower(),
            **counts,
        },
    )


def _can_be_named(resource_type: str, uri: str, subject_type: str, subject: str, privilege: str) -> bool:
    """Whether the write requests can name object, subject and privilege."""
    return _object_can_be_named(resource_type, uri) and _subject_can_be_named(subject_type, subject, privilege)


@lru_cache(maxsize=10_000)
def _object_can_be_named(resource_type: str, uri: str) -> bool:
    try:
        return names_one_resource(PrivilegeResource(ResourceType=resource_type, ResourceUri=uri))
    except InputError:
        return False


@lru_cache(maxsize=100_000)
def _subject_can_be_named(subject_type: str, subject: str, privilege: str) -> bool:
    try:
        subject_of(subject_type, subject)
        Privilege(Name=privilege)
    except InputError:
        return False
    return True


def inherited_from(uri: str, detail: PermissionDetail) -> str:
    """The object a privilege is inherited from, or empty for a direct grant.

    ``InheritedObject`` is filled in direct rows too (pointing at the object itself), so ``Inherited``
    decides; where the vendor left the flag out, another object than this one means inherited.
    """
    origin = detail.InheritedObject.ResourceUri if detail.InheritedObject else None
    if detail.Inherited is None:
        return origin if origin and origin != uri else ""
    return (origin or "an unnamed parent") if detail.Inherited else ""


def subject_of(kind: str, value: str) -> Subject:
    """A subject as listed; the message refuses any type that it does not know."""
    return Subject.model_validate({"SubjectType": kind, "SubjectValues": (value,)})
