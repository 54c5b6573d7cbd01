"""Tencent Cloud WeData 2025-08-06: catalog-mode privileges (and, re-exported, data source sharing).

Sources: the vendor's API page of RevokePrivileges, the vendor's Python SDK models and CLI metadata of version
2025-08-06.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from rescind.cloud.answers.outcomes import ResourceOutcome, Said, UnknownResultsError
from rescind.cloud.base import ListRequest, Page, Part, Reply, Row, WriteRequest
from rescind.cloud.fields import Count, Flag, IdText, NameText, SubjectValue, Text, Word, means_all
from rescind.cloud.wedata.base import MAX_ENTRIES, WeDataCall
from rescind.errors import CloudError

_REASON = 300
_ID = r"[1-9][0-9]{0,19}"
_SUBJECT_IDS = {
    "User": re.compile(_ID),
    "Project": re.compile(_ID),
    "Role": re.compile(rf"{_ID}(?:\.{_ID}){{0,2}}"),
    "GlobalRole": re.compile(rf"AllAccountUsers|{_ID}"),
}
ALL_PRIVILEGES = "ALL_PRIVILEGES"
"""The vendor's privilege that includes every other one, and the only known name of that kind."""


# --- catalog mode: what can be granted on what --------------------------------------------------------


class PrivilegeResource(Part):
    """A catalog-mode object: ``Metalake`` (``default``), ``Catalog``, ``Schema``, ``Table`` ... by dotted path."""

    ResourceType: Word
    ResourceUri: NameText


class Subject(Part):
    """Receivers of one type. Values as listed by ListPermissions (``SubjectValue`` there)."""

    SubjectType: Literal["User", "Project", "Role", "GlobalRole"]
    SubjectValues: Annotated[tuple[SubjectValue, ...], Field(min_length=1, max_length=MAX_ENTRIES)]

    @model_validator(mode="after")
    def _of_its_type(self) -> Subject:
        shape = _SUBJECT_IDS[self.SubjectType]
        if not all(shape.fullmatch(value) for value in self.SubjectValues):
            raise ValueError(f"SubjectValues holds no id of a {self.SubjectType} (digits, the first one not 0)")
        return self


class Privilege(Part):
    """One privilege point by name. Only the name is sent; listing flags are never echoed back."""

    Name: Word

    @model_validator(mode="after")
    def _is_known_if_it_means_all(self) -> Privilege:
        if means_all(self.Name) and self.Name != ALL_PRIVILEGES:
            raise ValueError(f"Name means every privilege and is not {ALL_PRIVILEGES}, the one such name that is known")
        return self


def names_one_resource(resource: PrivilegeResource) -> bool:
    """Return whether type and path name one object: no wildcard, and no word that means all."""
    path = resource.ResourceUri
    return "*" not in path and path != "%" and not means_all(resource.ResourceType) and not means_all(path)


class _PrivilegesWrite(WeDataCall, WriteRequest["PrivilegesWriteAnswer"]):
    """``Subjects[i]`` and ``Privileges[i]`` belong together, on every one of ``Resources``.

    The pairing is documented; the product with all resources is the likely reading. All resources have
    one type, because the sister call of the vendor allows no mix.
    """

    Resources: Annotated[tuple[PrivilegeResource, ...], Field(min_length=1, max_length=MAX_ENTRIES)]
    Subjects: Annotated[tuple[Subject, ...], Field(min_length=1, max_length=MAX_ENTRIES)]
    Privileges: Annotated[tuple[Privilege, ...], Field(min_length=1, max_length=MAX_ENTRIES)]

    @model_validator(mode="after")
    def _consistent(self) -> _PrivilegesWrite:
        if len(self.Subjects) != len(self.Privileges):
            raise ValueError("Subjects and Privileges must have the same length, pair by pair")
        if len({resource.ResourceType.casefold() for resource in self.Resources}) != 1:
            raise ValueError("all Resources must have one ResourceType")
        if not all(names_one_resource(resource) for resource in self.Resources):
            raise ValueError("a resource means more than one object: a wildcard, or a word such as all")
        if len({resource.ResourceUri for resource in self.Resources}) != len(self.Resources):
            raise ValueError("a resource is named twice")
        pairs = [
            (subject.SubjectType, value, privilege.Name)
            for subject, privilege in zip(self.Subjects, self.Privileges, strict=True)
            for value in subject.SubjectValues
        ]
        if len(set(pairs)) != len(pairs):
            raise ValueError("a (subject, privilege) pair is named twice")
        return self

    def wire(self) -> dict[str, Any]:
        """The body, spelled out."""
        return {
            "Resources": [{"ResourceType": r.ResourceType, "ResourceUri": r.ResourceUri} for r in self.Resources],
            "Subjects": [{"SubjectType": s.SubjectType, "SubjectValues": list(s.SubjectValues)} for s in self.Subjects],
            "Privileges": [{"Name": p.Name} for p in self.Privileges],
        }

    def objection(self, reply: PrivilegesWriteAnswer, facts: Mapping[str, Any]) -> CloudError | None:
        """:class:`UnknownResultsError` when the answer leaves a resource open; refused ones are left to the caller."""
        outcomes = reply.outcomes(self.Resources)
        open_ones = [outcome for outcome in outcomes if outcome.said is Said.UNKNOWN]
        if not open_ones:
            return None
        text = f"{len(open_ones)} of {len(outcomes)} resources are open: {open_ones[0].detail}"
        return UnknownResultsError(text, outcomes=outcomes, **facts)


class _Result(Reply):
    class _Echo(Reply):
        ResourceType: Text | None = None
        ResourceUri: Text | None = None

    Resource: _Echo | None = None
    Result: Flag | None = None
    Reason: Text | None = None


class _Overall(Reply):
    OverallSuccess: Flag | None = None
    Results: tuple[_Result | None, ...] | None = None


class PrivilegesWriteAnswer(Reply):
    """Answer of RevokePrivileges and AuthorizePrivileges: results name resources only, never subjects."""

    Data: _Overall | None = None

    def outcomes(self, resources: Sequence[PrivilegeResource]) -> tuple[ResourceOutcome, ...]:
        """What was said about each requested resource, matched by the echoed resource, never by index.

        * accepted: exactly one result echoes the resource (type without regard to case), it says true, and
          nothing in the answer contradicts it;
        * refused: exactly one result echoes it and says false;
        * unknown: missing, null, echoed twice, or contradicted: ``OverallSuccess`` null, true beside a
          false result, false beside true results only, or a result for a resource that was not asked for.
        """
        data = self.Data
        results = [result for result in (data.Results or ()) if result is not None] if data else []
        wanted = Counter((r.ResourceType.casefold(), r.ResourceUri) for r in resources)
        echoed = [_echo(result) for result in results]
        doubt = _contradiction(data, results, any(echo not in wanted for echo in echoed))
        counted = Counter(echoed)
        found = dict(zip(echoed, results, strict=True))
        out = []
        for resource in resources:
            key = (resource.ResourceType.casefold(), resource.ResourceUri)
            said, detail = _judge(found.get(key), counted[key], doubt)
            out.append(ResourceOutcome(resource.ResourceType, resource.ResourceUri, said, detail))
        return tuple(out)


def _echo(result: _Result) -> tuple[str, str]:
    echo = result.Resource
    return ((echo.ResourceType or "").casefold(), echo.ResourceUri or "") if echo else ("", "")


def _contradiction(data: _Overall | None, results: Sequence[_Result], foreign: bool) -> str:
    if data is None or data.OverallSuccess is None:
        return "OverallSuccess is missing"
    if foreign:
        return "a result names a resource that was not asked for"
    if data.OverallSuccess and any(result.Result is False for result in results):
        return "OverallSuccess is true beside a failed result"
    if not data.OverallSuccess and all(result.Result is True for result in results):
        return "OverallSuccess is false beside successful results only"
    return ""


def _judge(result: _Result | None, times: int, doubt: str) -> tuple[Said, str]:
    if result is None:
        return Said.UNKNOWN, "no result for this resource"
    if times != 1:
        return Said.UNKNOWN, f"{times} results for this resource"
    if result.Result is None:
        return Said.UNKNOWN, "the result is null"
    if not result.Result:
        return Said.REFUSED, (result.Reason or "")[:_REASON]
    return (Said.UNKNOWN, doubt) if doubt else (Said.ACCEPTED, "")


class RevokePrivileges(_PrivilegesWrite):
    """Withdraw catalog-mode privileges. 20 requests a second, documented."""

    action: ClassVar[str] = "RevokePrivileges"
    Answer: ClassVar[type[Reply]] = PrivilegesWriteAnswer


class AuthorizePrivileges(_PrivilegesWrite):
    """Grant catalog-mode privileges: the inverse of RevokePrivileges. 20 requests a second, documented."""

    action: ClassVar[str] = "AuthorizePrivileges"
    Answer: ClassVar[type[Reply]] = PrivilegesWriteAnswer


class ResourceRef(Reply):
    """A resource as an answer names it; letter case of the type varies."""

    ResourceType: Text | None = None
    ResourceUri: Text | None = None


class SubjectDetail(Reply):
    """One receiver of a listed row."""

    SubjectType: Text
    SubjectValue: IdText
    SubjectTypeDisplayName: Text | None = None
    SubjectValueDisplayName: Text | None = None


class PermissionDetail(Reply):
    """One privilege of a listed row. ``Granted`` is kept raw: the vendor's samples show false for grants."""

    Name: Text
    DisplayName: Text | None = None
    Granted: Flag | None = None
    Inherited: Flag | None = None
    InheritedObject: ResourceRef | None = None
    IsRead: Flag | None = None
    IsManage: Flag | None = None
    IsEdit: Flag | None = None


class PermissionRow(Row):
    """One row: every listed subject holds every listed privilege on the resource."""

    Resource: ResourceRef
    SubjectDetails: tuple[SubjectDetail, ...]
    PermissionDetails: tuple[PermissionDetail, ...]

    def key(self) -> tuple[str, ...]:
        """Resource, subjects, and privileges with their origin."""
        subjects = sorted(f"{s.SubjectType} {s.SubjectValue}" for s in self.SubjectDetails)
        rights = sorted(
            f"{p.Name} {p.Inherited} {p.InheritedObject.ResourceUri if p.InheritedObject else ''}"
            for p in self.PermissionDetails
        )
        return ((self.Resource.ResourceType or "").casefold(), self.Resource.ResourceUri or "", *subjects, "", *rights)


class ListPermissionsAnswer(Page[PermissionRow]):
    """Rows of one resource; ``TotalCount`` is read as the number of rows, see :meth:`ListPermissions.other_total`."""

    class _Data(Reply):
        Details: tuple[PermissionRow, ...] | None = None
        TotalCount: Count | None = None

    Data: _Data | None = None

    def rows(self) -> Sequence[PermissionRow] | None:
        """The rows; None when ``Data`` or ``Details`` is null: unknown, never "no grants"."""
        return self.Data.Details if self.Data else None

    def total(self) -> int | None:
        """``TotalCount``."""
        return self.Data.TotalCount if self.Data else None


class ListPermissions(WeDataCall, ListRequest[PermissionRow]):
    """Grants on one catalog-mode object, inherited ones included. No paging, no filter. 20 a second, documented."""

    action: ClassVar[str] = "ListPermissions"
    Answer: ClassVar[type[Reply]] = ListPermissionsAnswer
    needs_total: ClassVar[bool] = True
    Resource: PrivilegeResource

    def other_total(self, rows: Collection[PermissionRow]) -> int:
        """The number of (subject, privilege) pairs: the vendor does not say what ``TotalCount`` counts."""
        return sum(len(row.SubjectDetails) * len(row.PermissionDetails) for row in rows)
