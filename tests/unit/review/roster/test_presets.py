"""Every preset reads data in the shape that its vendor documents, and a thousand people in that shape.

The pages are named in :data:`rescind.review.roster.presets.PRESETS`. Names of fields and words are
theirs; people are not.
"""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest

from rescind import cli
from rescind.errors import InputError
from rescind.review import Roster, RosterOptions, read_roster_csv, read_roster_json
from rescind.review.roster.id_map import read_id_map
from rescind.review.roster.matching import match_person
from rescind.review.roster.pages import PageFields, RosterPages
from rescind.review.roster.presets import PRESETS
from rescind.settings.roster import PresetName, RosterFormat
from rescind.workflow.inputs import roster_options

Truth = tuple[int, bool, date | None, int]
"""Number, whether the person has left, leaving date, number of the manager."""


def mail(n: int) -> str:
    return f"p{n}@example.com"


def okta(one: Truth) -> dict[str, Any]:
    n, left, end, boss = one
    changed = f"{end}T09:30:00.000Z" if end else None
    profile = {
        "firstName": "Ada",
        "lastName": f"Nr {n}",
        "login": mail(n),
        "email": mail(n),
        "managerId": f"00u{boss:017}",
    }
    return {
        "id": f"00u{n:017}", "status": "DEPROVISIONED" if left else "ACTIVE", "created": "2013-06-24T16:39:18.000Z",
        "activated": None, "statusChanged": changed or "2013-06-24T16:39:19.000Z", "type": {"id": "oty1"},
        "profile": profile, "credentials": {"provider": {"type": "OKTA", "name": "OKTA"}},
        "_links": {"self": {"href": f"https://example.okta.com/api/v1/users/00u{n:017}"}},
    }  # fmt: skip


def entra(one: Truth) -> dict[str, Any]:
    n, left, end, boss = one
    return {
        "id": f"87d349ed-44d7-43e1-9a83-{n:012}", "displayName": f"Ada Nr {n}", "mail": mail(n) if n % 7 else None,
        "userPrincipalName": mail(n), "businessPhones": [], "accountEnabled": not left, "department": None,
        "employeeLeaveDateTime": f"{end}T17:00:00Z" if end else None,
        "manager": {"@odata.type": "#microsoft.graph.user", "id": f"87d349ed-44d7-43e1-9a83-{boss:012}"},
    }  # fmt: skip


def google(one: Truth) -> dict[str, Any]:
    n, left, _, boss = one
    return {
        "kind": "admin#directory#user", "id": f"1{n:020}", "primaryEmail": mail(n), "isAdmin": False,
        "name": {"givenName": "Ada", "familyName": f"Nr {n}", "fullName": f"Ada Nr {n}"},
        "suspended": left and n % 2 == 0, "archived": left and n % 2 == 1, "creationTime": "2010-01-01T00:00:00.000Z",
        "emails": [{"address": mail(n), "primary": True}], "relations": [{"value": mail(boss), "type": "manager"}],
        "organizations": [{"primary": True, "department": "Data"}], "isMailboxSetup": True,
    }  # fmt: skip


def workday(one: Truth) -> dict[str, Any]:
    n, left, end, boss = one
    return {
        "Employee_ID": f"{n:05}", "Worker": f"Ada Nr {n}", "Worker_Status": "Terminated" if left else "Active",
        "Termination_Date": end.isoformat() if end else "", "Email_-_Primary_Work": mail(n), "Manager_ID": f"{boss:05}",
    }  # fmt: skip


def bamboohr(one: Truth) -> dict[str, Any]:
    n, left, end, boss = one
    return {
        "id": n if n % 2 else str(n), "firstName": "Ada", "lastName": f"Nr {n}",
        "status": "Inactive" if left else "Active",
        "terminationDate": end.isoformat() if end else "0000-00-00", "workEmail": mail(n), "supervisorEId": str(boss),
    }  # fmt: skip


def successfactors(one: Truth) -> dict[str, Any]:
    n, left, end, boss = one
    ticks = int(datetime(end.year, end.month, end.day, tzinfo=UTC).timestamp() * 1000) if end else None
    return {
        "__metadata": {"uri": f"https://api.example.com/odata/v2/User('{n}')", "type": "SFOData.User"},
        "userId": f"emp{n}", "status": "f" if left else "t", "email": mail(n),
        "firstName": "Ada", "lastName": f"Nr {n}",
        "manager": {"userId": f"emp{boss}"}, "empInfo": {"endDate": f"/Date({ticks})/" if end else None},
    }  # fmt: skip


def scim(one: Truth) -> dict[str, Any]:
    n, left, _, boss = one
    enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
    return {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "id": f"s{n}", "userName": mail(n),
        "active": not left, "emails": [{"value": mail(n), "primary": True}], "displayName": f"Ada Nr {n}",
        enterprise: {"manager": {"value": f"s{boss}", "$ref": f"../Users/s{boss}"}},
    }  # fmt: skip


def table(header: str, row: Callable[[Truth], dict[str, Any]]) -> Callable[[list[Truth]], bytes]:
    def write(people: list[Truth]) -> bytes:
        out = io.StringIO()
        writer = csv.DictWriter(out, header.split(","), restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(row(one) for one in people)
        return out.getvalue().encode("utf-8-sig")

    return write


def okta_row(one: Truth) -> dict[str, Any]:
    user = okta(one)
    status = "Deactivated" if one[1] else "Active"
    return {
        "Okta user ID": user["id"], "Okta username": mail(one[0]), "Primary email": mail(one[0]),
        "User fullname": f"Ada Nr {one[0]}", "Okta user status": status, "Status change date": user["statusChanged"],
    }  # fmt: skip


def entra_row(one: Truth) -> dict[str, Any]:
    return {**entra(one), "accountEnabled": str(not one[1]), "employeeLeaveDateTime": ""}


def google_row(one: Truth) -> dict[str, Any]:
    n, left, _, boss = one
    return {
        "First Name [Required]": "Ada", "Last Name [Required]": f"Nr {n}", "Email Address [Required]": mail(n),
        "Password [Required]": "****", "Org Unit Path [Required]": "/", "Last Sign In [READ ONLY]": "Never logged in",
        "Status [READ ONLY]": ("Suspended", "Archived")[n % 2] if left else "Active", "Manager Email": mail(boss),
    }  # fmt: skip


OKTA_CSV = "User fullname,Okta username,Primary email,Okta user ID,Okta user status,Status change date,Last login date"
ENTRA_CSV = (
    "userPrincipalName,displayName,surname,mail,givenName,id,userType,jobTitle,department,accountEnabled,usageLocation,"
    "streetAddress,state,country,officeLocation,city,postalCode,telephoneNumber,mobilePhone,companyName,createdDateTime"
)
GOOGLE_CSV = (
    "First Name [Required],Last Name [Required],Email Address [Required],Password [Required],Password Hash Function "
    "[UPLOAD ONLY],Org Unit Path [Required],New Primary Email [UPLOAD ONLY],Status [READ ONLY],"
    "Last Sign In [READ ONLY],Recovery Email,Work Phone,Employee ID,Employee Type,Employee Title,Manager Email,"
    "Department,Cost Center"
)
WORKDAY_CSV = "Employee_ID,Worker,Worker_Status,Termination_Date,Email_-_Primary_Work,Manager_ID"
JSON: dict[str, tuple[Callable[[Truth], dict[str, Any]], Callable[[list[Any]], Any]]] = {
    "okta": (okta, lambda users: users),
    "entra": (
        entra,
        lambda users: {"@odata.context": "https://graph.microsoft.com/v1.0/$metadata#users", "value": users},
    ),
    "google": (google, lambda users: {"kind": "admin#directory#users", "etag": "x", "users": users}),
    "workday": (workday, lambda users: {"Report_Entry": users}),
    "bamboohr": (bamboohr, lambda users: {"title": "People", "fields": [], "employees": users}),
    "successfactors": (successfactors, lambda users: {"d": {"results": users}}),
    "scim": (scim, lambda users: {"totalResults": len(users), "startIndex": 1, "Resources": users}),
}
CSV = {
    "okta_csv": table(OKTA_CSV, okta_row),
    "entra_csv": table(ENTRA_CSV, entra_row),
    "google_csv": table(GOOGLE_CSV, google_row),
    "workday": table(WORKDAY_CSV, workday),
    "bamboohr": table("id,firstName,lastName,status,terminationDate,workEmail,supervisorEId", bamboohr),
}
SMALL: list[Truth] = [(1, False, None, 1), (2, True, date(2026, 7, 31), 1), (3, False, None, 2), (5, True, None, 1)]


def many() -> list[Truth]:
    rng, day = random.Random(15), date(2026, 1, 1)
    found: list[Truth] = [(1, False, None, 1)]
    for n in range(2, 1001):
        left = rng.random() < 0.2
        end = day + timedelta(days=rng.randrange(400)) if left and rng.random() < 0.8 else None
        found.append((n, left, end, rng.randrange(1, n)))
    rng.shuffle(found)
    return found


def options(preset: str, **more: Any) -> RosterOptions:
    return roster_options(RosterFormat(preset=preset).model_dump(mode="json") | more, 10)  # type: ignore[arg-type]


def check(name: str, roster: Roster, people: list[Truth], *, dates: bool, managers: bool) -> None:
    assert not roster.aside.rows and not roster.held and len(roster.people) == len(people)
    for person, (n, left, end, _) in zip(roster.people, people, strict=True):
        assert person.status == ("left" if left else "active"), (name, n)
        assert person.email == mail(n) and str(n) in person.name
        assert (person.terminated_at is not None) == (dates and left and (end is not None or name.startswith("okta")))
        if end and person.terminated_at:
            assert date.fromisoformat(end.isoformat()) <= person.terminated_at.date() <= end + timedelta(days=1)
        if managers:
            boss = roster.by_person_id(person.manager)
            assert boss is not None, (name, n, person.manager)


DATED = {"okta", "okta_csv", "entra", "workday", "bamboohr", "successfactors"}


@pytest.mark.parametrize("size", ["sample", "thousand"])
@pytest.mark.parametrize("name", sorted(JSON))
def test_an_answer_in_the_documented_shape_is_read(name: str, size: str) -> None:
    people = SMALL if size == "sample" else many()
    people = people if size == "thousand" else [(n, left, end, min(boss, 3)) for n, left, end, boss in people]
    user, whole = JSON[name]
    text = json.dumps(whole([user(one) for one in people]))
    roster = read_roster_json(text, source="r.json", options=options(name))
    check(name, roster, people, dates=name in DATED, managers=True)


@pytest.mark.parametrize("size", ["sample", "thousand"])
@pytest.mark.parametrize("name", sorted(CSV))
def test_an_export_in_the_documented_shape_is_read(name: str, size: str) -> None:
    people = SMALL if size == "sample" else many()
    roster = read_roster_csv(CSV[name](people), source="r.csv", options=options(name))
    check(name, roster, people, dates=name in DATED, managers=name not in ("okta_csv", "entra_csv"))


def test_an_okta_report_with_the_fields_of_its_page_alone_is_read() -> None:
    """The page of the report (okta/okta-help, Reports/access/user-account-report.htm) names these six, and no id."""
    text = (
        "Okta user status,Okta username,Primary email,Status change date,User,User fullname\n"
        "Active,p1@example.com,p1@example.com,2026-01-05T09:30:00Z,Ada One,Ada Nr 1\n"
        "Deactivated,p2@example.com,p2@example.com,2026-07-31T09:30:00Z,Ada Two,Ada Nr 2\n"
    )
    one, two = read_roster_csv(text, source="r.csv", options=options("okta_csv")).people
    assert (one.person_id, one.status, one.terminated_at) == ("p1@example.com", "active", None)
    assert (two.person_id, two.status, two.terminated_at) == (
        "p2@example.com", "left", datetime(2026, 7, 31, 9, 30, tzinfo=UTC),
    )  # fmt: skip


def test_a_workday_report_with_columns_of_its_own_is_read_and_needs_a_status() -> None:
    """A report has the columns that its author gives it. These names are of a university's published example
    (the README of Colby's web site); it has no status, so the one here is added."""
    entry = {
        "employeeID": "00101", "primaryWorkEmail": "p1@example.com", "firstName": "Joe", "lastName": "Blow",
        "preferredSuffix": None, "superiorOrg": "President's Office (Jane Doe)", "Cost_Center_Name": "Historian",
        "workSpaceLocation": None, "employeeType": "Temporary", "CF_Has_Sabbatical_Leave_Type": "0",
    }  # fmt: skip
    with pytest.raises(InputError, match="'Worker_Status'"):
        read_roster_json(json.dumps({"Report_Entry": [entry]}), source="r.json", options=options("workday"))
    told = json.dumps({"Report_Entry": [entry | {"Currently_Active": "0", "Last_Day_of_Work": "2026-07-31"}]})
    (person,) = read_roster_json(told, source="r.json", options=options("workday")).people
    assert (person.person_id, person.status, person.email) == ("00101", "left", "p1@example.com")
    assert person.terminated_at == datetime(2026, 8, 1, tzinfo=UTC)


def test_successfactors_users_with_their_further_fields_are_read() -> None:
    """The further fields are of published answers of demonstration tenants: mtrdesign/python-saml-example, and the
    queries of moveworks/developer-docs with ``status`` and ``manager/userId``."""
    further = {
        "lastModifiedDateTime": "/Date(1462957988000+0000)/", "hireDate": "/Date(1388966400000)/", "empId": None,
        "dateOfPosition": "/Date(-62135596800000)/", "totalTeamSize": "2", "married": True, "competency": "0.0",
        "department": "Industries (IND)", "defaultFullName": "Emily Clark", "hr": {"__deferred": {}},
    }  # fmt: skip
    users = [successfactors(one) | further for one in SMALL]
    roster = read_roster_json(json.dumps({"d": {"results": users}}), source="r.json", options=options("successfactors"))
    assert [person.status for person in roster.people] == ["active", "left", "active", "left"]
    assert [person.department for person in roster.people] == ["Industries (IND)"] * 4
    assert roster.people[1].terminated_at == datetime(2026, 8, 1, tzinfo=UTC)
    assert not roster.aside.rows


def test_the_setting_and_the_presets_have_the_same_names() -> None:
    assert set(get_args(PresetName)) == {"", *PRESETS} == {"", *JSON, *CSV}
    assert all(preset.page.startswith("https://") for preset in PRESETS.values())
    assert RosterFormat(preset="okta").id_columns == {} != RosterFormat().id_columns


@pytest.mark.parametrize("name", ["okta", "entra", "google", "successfactors"])
def test_pages_without_a_total_end_with_the_last_link(name: str) -> None:
    preset, (user, whole) = PRESETS[name], JSON[name]
    fields = PageFields(preset.items, preset.total, preset.next, total_optional=True)
    people = many()
    pages = RosterPages("r", "json", fields)
    for start in range(0, 1000, 300):
        page = whole([user(one) for one in people[start : start + 300]])
        link = f"/next{start}" if start < 900 else ""
        if name == "successfactors" and link:
            page["d"]["__next"] = link
        elif name != "okta" and link:
            page[preset.next] = link
        pages.add(json.dumps(page).encode(), linked=link if name == "okta" else "")
        assert pages.next == (link or None)
        if link:
            with pytest.raises(InputError, match="not all pages were read"):
                pages.document()
            if name != "okta":
                with pytest.raises(InputError, match="a further page is named"):
                    read_roster_json(json.dumps(page), source="r", options=options(name))
    roster = read_roster_json(pages.document() if name == "okta" else json.dumps(
        whole(json.loads(pages.document()))), source="r", options=options(name))  # fmt: skip
    check(name, roster, people, dates=name in DATED, managers=True)
    again = read_roster_json(pages.document(), source="r", options=options(name))
    assert again.people == roster.people


def test_a_total_on_the_first_page_counts() -> None:
    users = [entra(one) for one in many()[:10]]
    fields = PageFields("value", "@odata.count", "@odata.nextLink", total_optional=True)
    pages = RosterPages("r", "json", fields)
    pages.add(json.dumps({"@odata.count": 10, "value": users[:6], "@odata.nextLink": "/2"}).encode())
    with pytest.raises(InputError, match="8 of 10 people and no further page"):
        pages.add(json.dumps({"value": users[6:8]}).encode())


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("okta", {"status": "GONE"}, "column status: an unknown value"),
        ("okta", {"id": None}, "no person_id"),
        ("entra", {"accountEnabled": "maybe"}, "column accountEnabled"),
        ("workday", {"Termination_Date": "31/07/2026"}, "column Termination_Date"),
        ("bamboohr", {"terminationDate": "soon"}, "column terminationDate"),
        ("successfactors", {"status": "x"}, "column status"),
    ],
)
def test_what_a_preset_does_not_know_is_refused(name: str, change: dict[str, Any], message: str) -> None:
    user, whole = JSON[name]
    with pytest.raises(InputError, match=message):
        read_roster_json(json.dumps(whole([user(SMALL[1]) | change])), source="r", options=options(name))


@pytest.mark.parametrize(
    ("reason", "archived", "status"),
    [("ADMIN", False, "left"), ("", False, "left"), (None, False, "left"), ("ABUSE", False, "unknown"),
     ("WEB_LOGIN_REQUIRED", False, "unknown"), ("ABUSE", True, "left")],
)  # fmt: skip
def test_whom_google_has_suspended_itself_has_not_left(reason: str | None, archived: bool, status: str) -> None:
    user = google(SMALL[0]) | {"suspended": True, "archived": archived, "suspensionReason": reason}
    (person,) = read_roster_json(json.dumps({"users": [user]}), source="r", options=options("google")).people
    assert person.status == status


def test_a_page_whose_headers_alone_name_a_further_one_is_refused() -> None:
    pages = RosterPages("r", "json", PageFields("employees", "", "", total_optional=True))
    with pytest.raises(InputError, match="headers name a further page"):
        pages.add(json.dumps({"employees": [bamboohr(SMALL[0])]}).encode(), linked="/next")


@pytest.mark.parametrize("name", sorted(JSON))
def test_another_answer_is_refused(name: str) -> None:
    others: list[Any] = [{"error": {"code": "Forbidden"}}, {"value": None}, [], {}, {"d": {"results": {}}}]
    for other in others:
        with pytest.raises(InputError):
            read_roster_json(json.dumps(other), source="r", options=options(name))


def test_words_and_columns_of_ones_own_come_before_those_of_the_preset() -> None:
    user = okta(SMALL[0]) | {"status": "SUSPENDED"}
    user["profile"] |= {"dmsUser": "51001", "hrId": "P1"}
    mine = {"columns": {"person_id": "profile.hrId"}, "values": {"status": {"suspended": "left"}},
            "id_columns": {"profile.dmsUser": "dms_user_id"}}  # fmt: skip
    (person,) = read_roster_json(json.dumps([user]), source="r", options=options("okta", **mine)).people
    assert (person.person_id, person.status, person.ids) == ("P1", "left", {"dms_user_id": "51001"})


# The id map


def joined(people: list[Truth], text: str) -> Roster:
    made = [okta(one) for one in people]
    form = RosterOptions(id_columns={}, preset=PRESETS["okta"], id_map=read_id_map(text, source="ids.csv"))
    return read_roster_json(json.dumps(made), source="r", options=form)


@pytest.mark.parametrize("key", ["person_id", "email"])
def test_an_id_map_is_joined_to_a_preset(key: str) -> None:
    people = many()

    def name(n: int) -> str:
        return f"00u{n:017}" if key == "person_id" else mail(n).upper()

    lines = [f"{name(n)};51{n:04};{n:032x}" for n, *_ in people if n % 3]
    roster = joined(people, "\n".join([f"{key};dms_user_id;quickbi_user_id", *lines]) + "\n")
    assert roster.spaces == {"dms_user_id", "quickbi_user_id"}
    for n, *_ in people:
        person = roster.by_id("dms_user_id", f"51{n:04}")
        assert (person is not None and person.email == mail(n)) if n % 3 else person is None


def test_a_row_of_the_id_map_that_names_nobody_proves_nobody_absent() -> None:
    lines = [f"{mail(n)},5100{n}" for n in (1, 2, 3)]
    roster = joined(
        SMALL, "\n".join(["email,dms_user_id", *lines, "who@example.com,51009", "p5@example.com,5.1E+4"]) + "\n"
    )
    assert [row.line for row in roster.aside.rows] == [6, 5]
    assert match_person("user", [("dms_user_id", "51009")], roster).method == "set_aside"
    assert match_person("user", [("dms_user_id", "51002")], roster).method == "id:dms_user_id"
    twice = joined(SMALL, "\n".join(["email,dms_user_id", *lines, f"{mail(1)},51008"]) + "\n")
    assert match_person("user", [("dms_user_id", "51008")], twice).method == "set_aside"
    assert twice.by_id("dms_user_id", "51001") is not None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no header"),
        ("email,dms\np1@example.com,51001\n", "at least one of"),
        ("name,dms_user_id\nAda,51001\n", "Name person_id or email"),
        ("email,dms_user_id\n1,51001\n2,51002\np1@example.com,51003\n", "1 of 3 rows name a person"),
        ("email,dms_user_id\np1@example.com\n", "1 cells"),
        ('email,dms_user_id\n"p1@example.com,51001\n', "not valid CSV|1 cells"),
    ],
)
def test_an_id_map_that_belongs_to_nothing_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        joined(SMALL, text)


def test_the_command_takes_a_preset_and_an_id_map(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: SimpleNamespace
) -> None:
    people = many()[:40]
    path, ids = tmp_path / "people.json", tmp_path / "ids.csv"
    path.write_text(json.dumps([okta(one) for one in people]))
    ids.write_text("email,dms_user_id\n" + "".join(f"{mail(n)},51{n:04}\n" for n, *_ in people))
    assert cli.main(["roster", str(path), "--preset", "okta", "--id-map", str(ids)]) == 0
    assert "40 have a dms_user_id" in capsys.readouterr().out
    assert cli.main(["roster", str(path), "--preset", "entra"]) == 1
    assert "people" in capsys.readouterr().err
