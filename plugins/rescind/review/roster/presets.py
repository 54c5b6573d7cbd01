"""How the exports and services of common directories and HR systems name what a roster needs.

Each preset names the vendor's page that its fields come from. None of these systems knows the ids of the platforms: an
id map gives them (setting ``roster_id_map``), or a column of one's own (``roster_format.id_columns``).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

Names = tuple[str, ...]
_TICKS = re.compile(r"/Date\((-?\d{1,15})(?:[+-]\d{4})?\)/")


@dataclass(frozen=True, slots=True)
class Preset:
    """One export or service.

    :param page: where the vendor describes it.
    :param columns: our name of a column -> names that it may have there, best first. Nested fields are joined by dots.
    :param values: as in :class:`~rescind.review.roster.admit.RosterOptions`.
    :param left_if: further field -> word that says that somebody has left, whatever the status says.
    :param left_only: further field -> words with which "left" stands; with another word the status is unknown.
    :param name_parts: fields that make a name where there is no field for it.
    :param blank: field -> words that stand for an empty cell.
    :param ends_by_status: the leaving date is the time of the last change of the status, so only leavers have one.
    :param picks: new field -> (list, field of its entries, word that this one holds, field with the value).
    :param items: field of a page with the people; empty for a bare list. Likewise ``total`` (may be missing) and
        ``next``, a link or, where ``token`` names a query parameter, its value. A bare list has its link in the header
        ``Link``.
    """

    page: str
    columns: Mapping[str, Names]
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    left_if: Mapping[str, str] = field(default_factory=dict)
    left_only: Mapping[str, Names] = field(default_factory=dict)
    name_parts: Names = ()
    blank: Mapping[str, Names] = field(default_factory=dict)
    ends_by_status: bool = False
    picks: Mapping[str, tuple[str, str, str, str]] = field(default_factory=dict)
    items: str = ""
    total: str = ""
    next: str = ""
    token: str = ""

    def found_in(self, header: Collection[str]) -> dict[str, str]:
        """Return our name -> name in the file, for the columns that it has; status and id by their best name anyway."""
        found = {ours: next((name for name in names if name in header), "") for ours, names in self.columns.items()}
        needed = {ours: self.columns[ours][0] for ours in ("person_id", "status") if not found[ours]}
        return {ours: name for ours, name in found.items() if name} | needed

    def rows(self, users: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, object]]:
        """Yield each user of a JSON answer as flat text.

        Of the preset's own fields, what is no text, number or flag is left out. In any other field it stays as it is,
        because the field may be an id: one that cannot be read is not one that is missing.
        """
        known = {name for names in self.columns.values() for name in names}
        for user in users:
            row = {name: value for name, value in _flat(user, "") if isinstance(value, str) or name not in known}
            for name, (entries, key, word, value) in self.picks.items():
                for entry in user.get(entries) or ():
                    if isinstance(entry, Mapping) and str(entry.get(key)).lower() == word and entry.get(value):
                        row.setdefault(name, str(entry[value]))
            yield row


def at(page: Mapping[str, Any], path: str) -> Any:
    """Return a field of a page; ``d.results`` is a field of a field."""
    if path in page:
        return page[path]
    value: Any = page
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _flat(value: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, object]]:
    for key, inner in value.items():
        name = f"{prefix}{key}"
        if isinstance(inner, Mapping):
            yield from _flat(inner, f"{name}.")
        elif inner is None or inner == []:
            yield name, ""
        elif isinstance(inner, bool):
            yield name, str(inner).lower()
        elif isinstance(inner, str | int):
            yield name, _text(str(inner))
        else:
            yield name, inner


def _text(text: str) -> str:
    """Return a text; the milliseconds since 1970 of OData 2 become a date with its time, in UTC."""
    ticks = _TICKS.fullmatch(text)
    if ticks is None:
        return text
    try:
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(ticks[1]))).isoformat()
    except OverflowError:
        return text


_OKTA = {
    "active": "active", "password_expired": "active", "locked_out": "active", "recovery": "active",
    "staged": "", "provisioned": "", "suspended": "", "deprovisioned": "left", "deactivated": "left",
    "password expired": "active", "locked out": "active", "password reset": "active", "pending user action": "",
    "pending activation": "",
}  # fmt: skip
_FLAG = {"true": "active", "false": "left"}

PRESETS: Mapping[str, Preset] = {
    "okta": Preset(
        page="https://developer.okta.com/docs/api/openapi/okta-management/management/tag/User/",
        columns={
            "person_id": ("id",),
            "status": ("status",),
            "terminated_at": ("statusChanged",),
            "email": ("profile.email", "profile.login"),
            "name": ("profile.displayName",),
            "department": ("profile.department",),
            "manager": ("profile.managerId",),
        },
        values={"status": _OKTA},
        name_parts=("profile.firstName", "profile.lastName"),
        ends_by_status=True,
    ),
    "okta_csv": Preset(
        page="https://help.okta.com/oie/en-us/content/topics/reports/access/user-account-report.htm",
        columns={
            "person_id": ("Okta user ID", "User ID", "id", "Okta username", "Username", "login"),
            "status": ("Okta user status", "Status", "status"),
            "terminated_at": ("Status change date", "Status changed", "statusChanged"),
            "email": ("Primary email", "Primary Email", "Email", "email"),
            "name": ("User fullname", "User full name", "Name", "displayName"),
            "department": ("Department", "department"),
            "manager": ("Manager ID", "managerId"),
        },
        values={"status": _OKTA},
        name_parts=("firstName", "lastName"),
        ends_by_status=True,
    ),
    "entra": Preset(
        page="https://learn.microsoft.com/en-us/graph/api/user-list",
        columns={
            "person_id": ("id",),
            "status": ("accountEnabled",),
            "terminated_at": ("employeeLeaveDateTime",),
            "email": ("mail", "userPrincipalName"),
            "name": ("displayName",),
            "department": ("department",),
            "manager": ("manager.id",),
        },
        values={"status": _FLAG},
        items="value",
        total="@odata.count",
        next="@odata.nextLink",
    ),
    "entra_csv": Preset(
        page="https://learn.microsoft.com/en-us/entra/identity/users/users-bulk-download",
        columns={
            "person_id": ("id", "objectId"),
            "status": ("accountEnabled",),
            "terminated_at": ("employeeLeaveDateTime",),
            "email": ("mail", "userPrincipalName"),
            "name": ("displayName",),
            "department": ("department",),
        },
        values={"status": _FLAG},
    ),
    "google": Preset(
        page="https://developers.google.com/admin-sdk/directory/v1/reference/users",
        columns={
            "person_id": ("primaryEmail",),
            "status": ("suspended",),
            "name": ("name.fullName",),
            "department": ("department",),
            "manager": ("manager",),
        },
        values={"status": {"true": "left", "false": "active"}},
        left_if={"archived": "true"},
        left_only={"suspensionReason": ("", "admin")},  # Google suspends accounts too, for abuse or without a log-in
        picks={
            "manager": ("relations", "type", "manager", "value"),
            "department": ("organizations", "primary", "true", "department"),
        },
        items="users",
        next="nextPageToken",
        token="pageToken",
    ),
    "google_csv": Preset(
        page="https://support.google.com/a/answer/7348070",
        columns={
            "person_id": ("Email Address [Required]", "Email Address"),
            "status": ("Status [READ ONLY]", "Status"),
            "department": ("Department",),
            "manager": ("Manager Email",),
        },
        values={"status": {"active": "active", "suspended": "left", "archived": "left"}},
        name_parts=("First Name [Required]", "Last Name [Required]"),
    ),
    "workday": Preset(
        page="https://doc.workday.com/reader/wsiU0cnNjCc_k7shLNxLEA/reports-as-a-service",
        columns={
            "person_id": ("Employee_ID", "Employee ID", "Worker_ID", "employeeID"),
            "status": ("Worker_Status", "Worker Status", "Active_Status", "Active Status", "Currently_Active"),
            "terminated_at": ("Termination_Date", "Termination Date", "Last_Day_of_Work", "Last Day of Work"),
            "email": ("Email_-_Primary_Work", "Work_Email", "Work Email", "primaryWorkEmail", "Email - Primary Work"),
            "name": ("Worker", "Legal_Name", "Full_Legal_Name", "Preferred_Name", "Full Legal Name"),
            "department": ("Supervisory_Organization", "Supervisory Organization", "Cost_Center", "Cost Center"),
            "manager": ("Manager_ID", "Manager ID", "Manager_Employee_ID", "Worker's_Manager_ID"),
        },
        values={
            "status": {
                "active": "active",
                "on leave": "active",
                "terminated": "left",
                "retired": "left",
                "1": "active",
                "0": "left",
                "yes": "active",
                "no": "left",
                "true": "active",
                "false": "left",
            }
        },
        items="Report_Entry",
    ),
    "bamboohr": Preset(
        page="https://documentation.bamboohr.com/docs/list-of-field-names",
        columns={
            "person_id": ("id", "Employee #", "EEID"),
            "status": ("status", "Status"),
            "terminated_at": ("terminationDate", "Termination Date"),
            "email": ("workEmail", "Work Email"),
            "name": ("displayName", "Display Name"),
            "department": ("department", "Department"),
            "manager": ("supervisorEId", "Supervisor EID"),
        },
        values={"status": {"active": "active", "inactive": "left", "terminated": "left"}},
        name_parts=("firstName", "lastName"),
        blank={"terminationDate": ("0000-00-00",), "Termination Date": ("0000-00-00",)},
        items="employees",
    ),
    "successfactors": Preset(
        page="https://help.sap.com/docs/successfactors-platform/sap-successfactors-api-reference-guide-odata-v2/user",
        columns={
            "person_id": ("userId",),
            "status": ("status",),
            "terminated_at": ("empInfo.endDate",),
            "email": ("email",),
            "name": ("displayName", "defaultFullName"),
            "department": ("department",),
            "manager": ("manager.userId",),
        },
        values={
            "status": {"t": "active", "f": "left", "e": "active", "d": "left", "active": "active", "inactive": "left"}
        },
        name_parts=("firstName", "lastName"),
        blank={"manager.userId": ("NO_MANAGER",)},
        items="d.results",
        next="d.__next",
    ),
    "scim": Preset(page="https://datatracker.ietf.org/doc/html/rfc7644#section-3.4.2", columns={}),
}
"""Every preset by its name in the setting ``roster_format``."""
