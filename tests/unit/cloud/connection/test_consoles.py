from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

from rescind.cloud.connection import consoles
from rescind.cloud.connection.consoles import console_address
from rescind.cloud.connection.settings import ClientSettings, Service


def settings(service: Service, **fields: Any) -> ClientSettings:
    return ClientSettings.from_fields(service, {"login": "key", "password": "secret", **fields})


@pytest.mark.parametrize(
    ("service", "fields", "address"),
    [
        ("wedata", {"region": "ap-guangzhou", "edition": "mainland"}, "https://console.cloud.tencent.com/wedata"),
        ("wedata", {"region": "ap-singapore"}, ""),
        ("dms", {}, "https://dms.aliyun.com/new"),
        ("dms", {"region": "central"}, "https://dms.aliyun.com/new"),
        ("dms", {"region": "cn-shanghai"}, "https://dms.aliyun.com/new"),
        ("dms", {"region": "cn-hongkong"}, "https://dms.alibabacloud.com/new"),
        ("dms", {"region": "ap-southeast-1"}, "https://dms.alibabacloud.com/new"),
        ("quickbi", {"region": "cn-hangzhou"}, "https://bi.aliyun.com"),
        ("quickbi", {"region": "ap-southeast-3"}, "https://bi-ap-southeast-3.data.aliyun.com"),
        ("quickbi", {"region": "us-east-1"}, ""),
        ("dms", {"base_url": "http://127.0.0.1:8900", "allow_loopback_http": True}, ""),
    ],
)
def test_a_console_is_a_documented_one_or_none(service: Service, fields: dict[str, Any], address: str) -> None:
    assert console_address(settings(service, **fields)) == address


def test_every_address_is_whole_constant_and_encrypted() -> None:
    tables = [value for name, value in vars(consoles).items() if name.isupper() and name.startswith("_")]
    addresses = [one for table in tables for one in (table.values() if isinstance(table, dict) else [table])]
    assert len(addresses) == 9
    for address in addresses:
        parts = urlsplit(address)
        assert (parts.scheme, parts.query, parts.fragment, parts.port) == ("https", "", "", None)
        assert parts.netloc.endswith((".aliyun.com", ".alibabacloud.com", "cloud.tencent.com"))
