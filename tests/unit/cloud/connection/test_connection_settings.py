from __future__ import annotations

from typing import Any

import pytest

from rescind.cloud.connection.settings import ClientSettings
from rescind.cloud.quickbi.menus import CancelAuthorizationMenu, ListPortalMenus
from rescind.cloud.wedata.inventory import ListTable
from rescind.cloud.wedata.privileges import ListPermissions, RevokePrivileges
from rescind.errors import ConfigurationError

BASE = {"login": "AKIDx", "password": "sekret-value", "region": "ap-singapore"}


def wedata(**fields: Any) -> ClientSettings:
    return ClientSettings.from_fields("wedata", {**BASE, **fields})


def test_defaults() -> None:
    settings = wedata()
    assert settings.vendor == "tencent"
    assert settings.host_of().host == "wedata.intl.tencentcloudapi.com"
    assert settings.host_of("sts").host == "sts.intl.tencentcloudapi.com"
    assert settings.rate_region == "ap-singapore"
    assert ClientSettings.from_fields("dms", {"login": "a", "password": "b"}).rate_region == "central"


def test_secret_is_not_shown() -> None:
    settings = wedata(session_token="token-value")
    assert "sekret-value" not in repr(settings) + str(settings) + settings.model_dump_json()
    assert "token-value" not in repr(settings)
    assert "AKIDx" not in settings.key_mark


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"verify": False}, "verify"),
        ({"verify_ssl": "false"}, "verify_ssl"),
        ({"host": "evil.example"}, "host"),
        ({"proxy": "127.0.0.1:1"}, "proxy"),
        ({"ca_bundle": "ca.pem"}, "ca_bundle"),
        ({"sts_endpoint": "evil.example"}, "sts_endpoint"),
        ({"endpoint": "evil.example"}, "endpoint"),
        ({"login": ""}, "key id"),
        ({"password": ""}, "secret"),
        ({"password": " x "}, "blanks"),
        ({"login": "AKIDx\n"}, "blanks"),
        ({"region": ""}, "region"),
        ({"region": "evil.com/"}, "region"),
        ({"edition": "lunar"}, "edition"),
        ({"share": 0}, "share"),
        ({"share": 1.5}, "share"),
        ({"limits": {"*": 0}}, "limits"),
        ({"limits": {"*": -1}}, "limits"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"timeout_s": "never"}, "timeout_s"),
        ({"account_id": 1.5}, "account_id"),
        ({"account_id": "a b"}, "account_id"),
        ({"base_url": "http://127.0.0.1:1"}, "allow_loopback_http"),
        ({"base_url": "http://10.0.0.1", "allow_loopback_http": True}, "base_url"),
        ({"role_session_name": "has blank"}, "role_session_name"),
        ({"sts_signature": "md5"}, "sts_signature"),
    ],
)
def test_wrong_fields_are_named(fields: dict[str, Any], word: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        wedata(**fields)
    assert word in str(caught.value)
    assert "sekret-value" not in str(caught.value)


def test_forms_send_none_and_text() -> None:
    settings = wedata(
        share="0.5", own_ids="1, 2,,3", account_id=1000000000000000001, tid=None, session_token=None, limits={"*": 10}
    )
    assert settings.own_ids == ("1", "2", "3")
    assert settings.account_id == "1000000000000000001"
    assert settings.rate(ListPermissions) == 5.0


def test_rates() -> None:
    settings = wedata(limits={"RevokePrivileges": 4, "*": 8}, share=0.5)
    assert settings.rate(RevokePrivileges) == 2.0
    assert settings.rate(ListTable) == 4.0
    quickbi = ClientSettings.from_fields("quickbi", {"login": "a", "password": "b", "region": "cn-hangzhou"})
    assert quickbi.rate(ListPortalMenus) == 30.0
    assert quickbi.rate(CancelAuthorizationMenu) == 50.0


def test_loopback_serves_the_token_service_too() -> None:
    settings = wedata(base_url="http://127.0.0.1:8123/", allow_loopback_http="true")
    assert settings.host_of().base == settings.host_of("sts").base == "http://127.0.0.1:8123"


@pytest.mark.parametrize("kind", ["environment", "instance_role", "oidc"])
def test_other_credentials_need_no_key_in_the_connection(kind: str) -> None:
    settings = ClientSettings.from_fields("dms", {"credentials": kind, "role_arn": "acs:ram::1:role/r"})
    assert (settings.login, settings.allow_imds_v1) == ("", False)


def test_settings_of_other_credentials_are_not_left_out_silently() -> None:
    for fields, word in (
        ({"instance_role_name": "a"}, "instance_role_name is only used with credentials=instance_role, not with"),
        ({"oidc_role_arn": "acs:ram::1:role/r"}, "oidc_role_arn is only used with credentials=oidc"),
        ({"credentials": "environment"}, "login is only used with credentials=static, not with environment"),
        ({"credentials": "oidc", "login": "", "password": "", "session_token": "t"}, "session_token is only used"),
        ({"credentials": "vault"}, "credentials"),
        ({"credentials": "profile"}, "credentials"),
        ({"profile": "audit"}, "profile"),
        ({"credentials": "instance_role", "instance_role_name": "a/../b"}, "instance_role_name"),
        ({"role_arn": "has blank in it"}, "role_arn"),
        ({"metadata": "http://10.0.0.1"}, "metadata"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            wedata(**fields)
        assert word in str(caught.value)
        assert "sekret-value" not in str(caught.value)


def test_connections_without_a_key_are_told_apart() -> None:
    marks = {
        ClientSettings.from_fields("dms", {"credentials": kind, **fields}).key_mark
        for kind, fields in (
            ("environment", {}),
            ("instance_role", {}),
            ("instance_role", {"instance_role_name": "b"}),
            ("instance_role", {"instance_role_name": "b", "role_arn": "acs:ram::1:role/r"}),
        )
    }
    assert len(marks) == 4


def test_a_finance_region_needs_its_host_and_takes_the_token_service_from_it() -> None:
    with pytest.raises(ConfigurationError, match="region: ap-shanghai-fsi is not served by the public host"):
        wedata(region="ap-shanghai-fsi", edition="mainland")
    settings = wedata(region="ap-shanghai-fsi", endpoint=" WeData.ap-shanghai-fsi.tencentcloudapi.com ")
    assert settings.host_of().host == "wedata.ap-shanghai-fsi.tencentcloudapi.com"
    assert settings.host_of("sts").host == "sts.ap-shanghai-fsi.tencentcloudapi.com"
    named = wedata(
        region="ap-shanghai-fsi",
        endpoint="wedata.ap-shanghai-fsi.tencentcloudapi.com",
        sts_endpoint="sts.tencentcloudapi.com",
    )
    assert named.host_of("sts").host == "sts.tencentcloudapi.com"


def test_hosts_of_alibaba_that_a_connection_names() -> None:
    host = "dms-enterprise.cn-north-2-gov-1.aliyuncs.com"
    settings = ClientSettings.from_fields("dms", {"login": "a", "password": "b", "endpoint": host})
    assert settings.host_of().host == host
    assert settings.host_of("sts").host == "sts.cn-north-2-gov-1.aliyuncs.com"
    with pytest.raises(ConfigurationError, match="endpoint: belongs to another region"):
        ClientSettings.from_fields("dms", {"login": "a", "password": "b", "endpoint": host, "region": "cn-hangzhou"})
