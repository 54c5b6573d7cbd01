from __future__ import annotations

import ast
import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rescind.hooks.base
import rescind.hooks.dms
import rescind.hooks.quickbi
import rescind.hooks.wedata
from rescind.cloud.clients import DmsClient, QuickBiClient, WeDataClient
from rescind.cloud.dms.inventory import GetUser
from rescind.errors import ConfigurationError
from rescind.hooks.base import CloudHook, run
from rescind.hooks.dms import DmsHook
from rescind.hooks.quickbi import QuickBiHook
from rescind.hooks.wedata import WeDataHook

pytestmark = pytest.mark.airflow

HOOKS = [
    (WeDataHook, WeDataClient, "wedata_default", "tencent_wedata"),
    (DmsHook, DmsClient, "dms_default", "alibaba_dms"),
    (QuickBiHook, QuickBiClient, "quickbi_default", "alibaba_quickbi"),
]
WHO_TENCENT = {
    "Response": {"Arn": "qcs::cam::uin/1:uin/2", "AccountId": "100000000001", "UserId": "2", "Type": "CAMUser"}
}
WHO_ALIBABA = {"Arn": "acs:ram::1968:user/a", "AccountId": "196813200012", "UserId": "2166", "IdentityType": "RAMUser"}


@pytest.mark.parametrize(("hook", "client", "conn_id", "own"), HOOKS)
@pytest.mark.parametrize("kind", ["own", "generic", "http"])
def test_connections_of_three_types(
    connection: Callable[..., str], hook: Any, client: Any, conn_id: str, own: str, kind: str
) -> None:
    connection(conn_id, own if kind == "own" else kind)
    assert (hook.conn_type, hook.default_conn_name) == (own, conn_id)
    made = hook().get_conn()
    assert isinstance(made, client)
    assert made.settings.login == "AKIDexample"
    assert getattr(hook(**{hook.conn_name_attr: conn_id}), hook.conn_name_attr) == conn_id


def test_an_own_pacer_is_used(connection: Callable[..., str]) -> None:
    from tests.support.ledger.pacing import FreePacer

    pacer = FreePacer()
    assert WeDataHook(connection("wedata_a", "generic")).get_conn(pacer).pacer is pacer


def test_older_forms_prefix_their_fields(connection: Callable[..., str]) -> None:
    extra = {"extra__alibaba_dms__tid": "3001", "own_ids": "7, 8", "limits": '{"*": 4}', "session_token": ""}
    settings = DmsHook(connection("dms_a", "alibaba_dms", extra=extra)).settings()
    assert (settings.tid, settings.own_ids, settings.rate(GetUser), settings.session_token) == (
        "3001",
        ("7", "8"),
        4,
        None,
    )


@pytest.mark.parametrize(
    ("over", "words"),
    [
        ({"conn_type": "postgres"}, "has type 'postgres'"),
        ({"login": ""}, "key id"),
        ({"password": ""}, "secret"),
        ({"host": "evil.example"}, "Leave host empty"),
        ({"extra": {"verify": False}}, "verify"),
        ({"extra": {"region": ""}}, "region"),
        ({"extra": {"region": "evil.com/"}}, "region"),
        ({"extra": {"limits": "many"}}, "limits is not JSON"),
        ({"extra": {"base_url": "http://10.1.2.3"}}, "base_url"),
    ],
)
def test_wrong_connections_name_field_and_remedy(
    connection: Callable[..., str], over: dict[str, Any], words: str
) -> None:
    conn_id = connection("wedata_b", **{"conn_type": "generic", **over})
    ok, text = WeDataHook(conn_id).test_connection()
    assert not ok
    assert words in text
    assert "wedata_b" in text
    assert "hook-canary" not in text
    with pytest.raises(ConfigurationError):
        WeDataHook(conn_id).get_conn()


def test_a_missing_connection() -> None:
    ok, text = WeDataHook("nowhere_to_be_found").test_connection()
    assert not ok
    assert "does not exist" in text
    assert "AIRFLOW_CONN_NOWHERE_TO_BE_FOUND" in text


def test_extras_that_are_no_object(monkeypatch: pytest.MonkeyPatch) -> None:
    hook = WeDataHook("x")
    for extra in ("[1]", "not json", '"text"'):
        with pytest.raises(ConfigurationError, match="not a JSON object"):
            hook._extras(extra)


_PROJECTS = {"Response": {"Data": {"Items": [], "TotalCount": 4}}}
_MEMBERS = {"Success": True, "Result": {"Data": [], "TotalNum": 9}}
_TENANT = {"Success": True, "Tenant": {"Tid": 3001}}


@pytest.mark.parametrize(
    ("hook", "conn_id", "replies", "words"),
    [
        (
            WeDataHook,
            "wedata_c",
            {"GetCallerIdentity": WHO_TENCENT, "ListProjects": _PROJECTS},
            "account 100000000001, identity qcs::cam::uin/1:uin/2, region ap-singapore: 4 projects. Rights: 1 of 21",
        ),
        (
            DmsHook,
            "dms_c",
            {"GetCallerIdentity": WHO_ALIBABA, "GetUserActiveTenant": _TENANT},
            "account 196813200012, identity acs:ram::1968:user/a, region cn-hangzhou: tenant 3001",
        ),
        (
            QuickBiHook,
            "quickbi_c",
            {"GetCallerIdentity": WHO_ALIBABA, "QueryUserList": _MEMBERS},
            "region cn-hangzhou: 9 members",
        ),
    ],
)
def test_a_good_connection_says_who_and_where(
    cloud: Any, connection: Callable[..., str], hook: type[CloudHook], conn_id: str, replies: dict[str, Any], words: str
) -> None:
    cloud.replies = replies
    ok, text = hook(connection(conn_id, "generic")).test_connection()
    assert ok, text
    assert words in text


def test_a_wrong_key_an_unreachable_host_and_a_wrong_account(cloud: Any, connection: Callable[..., str]) -> None:
    cloud.replies = {
        "GetCallerIdentity": {"Response": {"Error": {"Code": "AuthFailure.SecretIdNotFound", "Message": "m"}}}
    }
    ok, text = WeDataHook(connection("wedata_d", "generic")).test_connection()
    assert not ok
    assert "Check key id (login), secret (password)" in text
    cloud.replies = {"GetCallerIdentity": WHO_TENCENT}
    ok, text = WeDataHook(connection("wedata_d", "generic", extra={"account_id": "5"})).test_connection()
    assert not ok
    assert "account_id" in text
    cloud.replies = {
        "GetCallerIdentity": WHO_TENCENT,
        "ListProjects": {"Response": {"Error": {"Code": "InvalidAction"}}},
    }
    ok, text = WeDataHook(connection("wedata_d", "generic")).test_connection()
    assert not ok
    assert "Check region and edition" in text


def test_missing_rights_are_named_but_are_no_failure(cloud: Any, connection: Callable[..., str]) -> None:
    """A connection that serves data sources alone needs no right to the catalog."""
    refused = {"Response": {"Error": {"Code": "UnauthorizedOperation", "Message": "m"}}}
    cloud.replies = {
        "GetCallerIdentity": WHO_TENCENT, "ListProjects": _PROJECTS, "ListCatalog": refused, "ListPermissions": refused,
    }  # fmt: skip
    ok, text = WeDataHook(connection("wedata_g", "generic")).test_connection()
    assert ok
    assert "refused: ListPermissions, ListCatalog; cannot be told: ListProjectMembers" in text
    assert not {action for action in cloud.actions() if not action.startswith(("List", "Get"))}


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"credentials": "environment"}, "TENCENTCLOUD_SECRET_ID"),
        ({"credentials": "oidc"}, "TKE_WEB_IDENTITY_TOKEN_FILE"),
        ({"credentials": "instance_role"}, "credentials 'instance_role' provide no key"),
        ({"credentials": "vault"}, "credentials"),
    ],
)
def test_missing_keys_name_their_source(
    connection: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    extra: dict[str, Any],
    words: str,
) -> None:
    for name in ("TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY", "TKE_WEB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("rescind.cloud.credentials.TencentInstanceSource.address", "http://127.0.0.1:1")
    conn_id = connection("wedata_h", "tencent_wedata", login=None, password=None, extra=extra)
    ok, text = WeDataHook(conn_id).test_connection()
    assert not ok
    assert words in text
    assert "127.0.0.1:1 cannot be reached" not in text


def test_keys_of_the_environment_are_masked(
    cloud: Any, connection: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    masked: list[str] = []
    monkeypatch.setattr("rescind.hooks.base._masker", lambda: masked.append)
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "LTAIenv")
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "env-canary-secret")
    monkeypatch.setenv("ALIBABA_CLOUD_SECURITY_TOKEN", "env-canary-token")
    given = {"AccessKeyId": "STS.r", "AccessKeySecret": "role-canary-secret", "SecurityToken": "role-canary-token",
             "Expiration": "2099-01-01T00:00:00Z"}  # fmt: skip
    cloud.replies = {
        "AssumeRole": {"Credentials": given}, "GetCallerIdentity": WHO_ALIBABA, "GetUserActiveTenant": _TENANT,
    }  # fmt: skip
    extra = {"credentials": "environment", "role_arn": "acs:ram::1:role/audit"}
    ok, text = DmsHook(connection("dms_h", "alibaba_dms", login=None, password=None, extra=extra)).test_connection()
    assert ok, text
    assert masked == ["env-canary-secret", "env-canary-token", "role-canary-secret", "role-canary-token"]
    assert "canary" not in text


def test_a_refused_key_names_where_it_came_from(
    cloud: Any, connection: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENCENTCLOUD_SECRET_ID", "AKIDenv")
    monkeypatch.setenv("TENCENTCLOUD_SECRET_KEY", "env-canary-secret")
    cloud.replies = {"GetCallerIdentity": {"Response": {"Error": {"Code": "AuthFailure.SecretIdNotFound"}}}}
    extra = {"credentials": "environment"}
    ok, text = WeDataHook(connection("wedata_i", "generic", login=None, password=None, extra=extra)).test_connection()
    assert not ok
    assert "Check the key in the worker's environment" in text


def test_an_unreachable_host(connection: Callable[..., str]) -> None:
    conn_id = connection("wedata_e", "generic", extra={"base_url": "http://127.0.0.1:1"})
    ok, text = WeDataHook(conn_id).test_connection()
    assert not ok
    assert "127.0.0.1:1 cannot be reached" in text
    assert "firewall" in text


def test_run_works_inside_a_running_loop() -> None:
    async def inner() -> int:
        return 7

    async def outer() -> int:
        return run(inner())

    assert run(inner()) == asyncio.run(outer()) == 7


def test_importing_hooks_builds_no_messages() -> None:
    """Dag files import hooks at every parse; the message models are built when a client is made."""
    for module in (rescind.hooks.base, rescind.hooks.wedata, rescind.hooks.dms, rescind.hooks.quickbi):
        tree = ast.parse(Path(module.__file__).read_text())
        imported = {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
        assert {name for name in imported if name and name.startswith("rescind.cloud")} <= {
            "rescind.cloud.connection.settings"
        }
