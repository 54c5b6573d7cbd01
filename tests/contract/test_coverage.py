"""``docs/api-coverage.md`` is what the code says, and the code has no gaps."""

from __future__ import annotations

import dataclasses

import pytest

from tests.contract import coverage
from tests.contract.messages import messages
from tests.fuzz.goldens import goldens


@pytest.fixture(scope="module")
def found() -> list[coverage.Row]:
    return coverage.rows()


def test_no_action_lacks_anything(found: list[coverage.Row]) -> None:
    assert {f"{row.product}.{row.action}": row.gaps for row in found if row.gaps} == {}
    assert {(row.product, row.action) for row in found if row.calls} == set(messages())


def test_the_document_is_current(found: list[coverage.Row]) -> None:
    written = coverage.DOCUMENT.read_text(encoding="utf-8") if coverage.DOCUMENT.exists() else ""
    assert written == coverage.render(found), "run: python tests/contract/coverage.py --write"


def test_every_message_has_broken_answers() -> None:
    assert {(golden.product, golden.action) for golden in goldens()} == set(messages())


def test_every_permission_system_makes_its_own_revoke_and_no_other(found: list[coverage.Row]) -> None:
    revokes = {
        "wedata_privileges": "RevokePrivileges",
        "wedata_data_sources": "RevokeDataSourceAuthorization",
        "wedata_project_roles": "RemoveMemberProjectRole",
        "dms_permissions": "RevokeUserPermission",
        "quickbi_menus": "CancelAuthorizationMenu",
        "quickbi_group_members": "DeleteUserGroupMembers",
        "quickbi_workspace_members": "DeleteUserFromWorkspace",
        "quickbi_shares": "CancelReportShare",
        "quickbi_work_authorizations": "DeleteAuthorizationByUserId",
        "quickbi_dataset_whitelists": "AddDataLevelPermissionWhiteList",
        "dms_accounts": "DisableUser",
        "dms_proxy_accesses": "DeleteProxyAccess",
        "wedata_studio_permissions": "DeleteCodePermissions",
        "dms_abac_authorizations": "DeleteAbacAuthorization",
    }
    for system, revoke in revokes.items():
        mine = {row.action for row in found if system in row.users and row.write}
        assert revoke in mine
        assert not (mine & set(revokes.values())) - {revoke}


def test_a_gap_shows(found: list[coverage.Row]) -> None:
    row = next(row for row in found if row.calls)
    broken = dataclasses.replace(row, emulator="", reading=False)
    assert broken.gaps == ["emulator", "reading"]
    assert f"lacks {', '.join(broken.gaps)}" in coverage.render([broken])
