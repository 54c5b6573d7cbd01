from __future__ import annotations

import itertools

import pytest

from rescind.cloud.connection.hosts import (
    alibaba_endpoint,
    check_region,
    given_endpoint,
    loopback_endpoint,
    tencent_endpoint,
)
from rescind.errors import ConfigurationError

GOOD_LOOPBACK = {
    "http://127.0.0.1:8080": "127.0.0.1:8080",
    "http://127.0.0.1:8080/": "127.0.0.1:8080",
    "http://127.9.8.7:1": "127.9.8.7:1",
    "http://127.0.0.1": "127.0.0.1",
    "http://localhost:65535": "localhost:65535",
    "http://[::1]:9000": "[::1]:9000",
    "https://localhost:8443": "localhost:8443",
}

_HOSTS = [
    "0.0.0.0", "0", "0x7f000001", "2130706433", "017700000001", "0177.0.0.1", "127.1", "127.0.1", "127.000.000.001",
    "127.0.0.01", "127.0.0.256", "128.0.0.1", "126.255.255.255", "10.0.0.1", "172.16.0.1", "192.168.0.1",
    "169.254.169.254", "100.100.100.200", "metadata.tencentyun.com", "metadata.google.internal", "evil.example",
    "localhost.", "LOCALHOST", "Localhost", "localhost.localdomain", "localhost.evil.example", "localhost%00",
    "127.0.0.1.", "127.0.0.1.nip.io", "127.0.0.1.evil.example", "evil.example#127.0.0.1", "127.0.0.1#evil.example",
    "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:0:0:1]", "[::1%25eth0]", "[fe80::1]", "[fd00::1]",
    "::1", "[::1", "::1]", "\u2460\u2461\u2467.0.0.1", "\uff11\uff12\uff17.0.0.1", "127\u30020.0.1", "127.0.0.1\u200b",
    "\u0661\u0662\u0667.0.0.1", "l\u043ecalhost", "xn--lcalhost-n3a", "user@127.0.0.1", "user:pass@127.0.0.1",
    "127.0.0.1@evil.example", "evil.example@127.0.0.1", "127.0.0.1\\@evil.example", "127.0.0.1\\", "127.0.0.1 ",
    " 127.0.0.1", "127.0.0.1\t", "127.0.0.1\n", "127.0.0.1\r\nHost: evil", "127.0.0.1%2eevil", "127.0.0.1%00",
    "", ".", "..", "*", "127.0.0.1,evil.example", "127.0.0.1;evil", "127.0.0.1?x", "127.0.0.1/..", "127.0.0.1//",
]  # fmt: skip
_ADDRESSES = [
    *(f"http://{host}:8080" for host in _HOSTS),
    *(f"http://{host}" for host in _HOSTS if not host.startswith("127.0.0.1#")),
    *(f"{scheme}127.0.0.1:8080" for scheme in (
        "", "//", "ftp://", "file://", "gopher://", "HTTP://", "Http://", "http:", "http:/", "http:///", "http:\\\\",
        "javascript:", "data:", "ws://", "unix://", " http://", "http ://", "http://http://", "jar:http://",
    )),
    *(f"http://127.0.0.1{tail}" for tail in (
        ":", ":0", ":00", ":080", ":65536", ":99999", ":123456", ":-1", ":+80", ":8080x", ":80:80",
        ":\uff18\uff10", ":0x50",
        ":8080/path", ":8080?x=1", ":8080#x", ":8080/?x", ":8080/..", ":8080//", ":8080\\", ":8080 ",
        ":8080\n", ":8080/\n",
    )),
    "file:///etc/passwd", "http://", "https://", "not an address", "https://wedata.tencentcloudapi.com",
]  # fmt: skip


@pytest.mark.parametrize("address", GOOD_LOOPBACK)
def test_loopback_spellings_that_are_accepted(address: str) -> None:
    endpoint = loopback_endpoint(address, allowed=True)
    assert endpoint.host == GOOD_LOOPBACK[address]
    assert endpoint.base == address.rstrip("/")


def test_there_are_enough_bad_spellings() -> None:
    assert len(set(_ADDRESSES)) >= 150


@pytest.mark.parametrize("address", sorted(set(_ADDRESSES) - set(GOOD_LOOPBACK)), ids=ascii)
def test_all_other_spellings_are_refused(address: str) -> None:
    with pytest.raises(ConfigurationError, match="base_url"):
        loopback_endpoint(address, allowed=True)


@pytest.mark.parametrize("address", GOOD_LOOPBACK)
def test_loopback_needs_the_switch(address: str) -> None:
    with pytest.raises(ConfigurationError, match="allow_loopback_http"):
        loopback_endpoint(address, allowed=False)


_BAD_REGIONS = [
    "", "a", "ap", "AP-SINGAPORE", "ap_singapore", "ap-singapore.", ".ap-singapore", "ap-singapore.evil.com",
    "ap-singapore/", "ap-singapore#", "ap-singapore?x", "ap-singapore:443", "ap-singapore@evil", "evil.com/",
    "evil.com#", "ap singapore", "ap-singapore\n", "\nap-singapore", "ap-singapore\x00", "ap-sing\u0430pore",
    "127.0.0.1",
    "-ap-singapore", "ap--singapore", "ap-singapore-", "a" * 41, "cn-" + "a" * 40, "ap-\uff53ingapore",
    "%61p-singapore",
    "../", "cn-hangzhou%2eevil", "cn-hangzhou\\", "cn-hangzhou;", "cn-a-b-c-d-e",
]  # fmt: skip


@pytest.mark.parametrize("region", _BAD_REGIONS, ids=ascii)
def test_regions_are_refused_by_shape(region: str) -> None:
    with pytest.raises(ConfigurationError, match="region"):
        check_region(region)


@pytest.mark.parametrize(
    "region", ["ap-singapore", "ap-guangzhou", "cn-hangzhou", "cn-shanghai-finance-1", "eu-central-1"]
)
def test_regions_are_accepted_by_shape(region: str) -> None:
    assert check_region(region) == region


def test_tables() -> None:
    assert tencent_endpoint("wedata", "international").base == "https://wedata.intl.tencentcloudapi.com"
    assert tencent_endpoint("wedata", "mainland").base == "https://wedata.tencentcloudapi.com"
    assert tencent_endpoint("sts", "international").host == "sts.intl.tencentcloudapi.com"
    assert alibaba_endpoint("dms", "", "public").host == "dms-enterprise.aliyuncs.com"
    assert alibaba_endpoint("dms", "central", "public").host == "dms-enterprise.aliyuncs.com"
    assert alibaba_endpoint("dms", "eu-central-1", "vpc").host == "dms-enterprise-vpc.eu-central-1.aliyuncs.com"
    assert alibaba_endpoint("quickbi", "cn-hangzhou", "public").host == "quickbi-public.cn-hangzhou.aliyuncs.com"
    assert alibaba_endpoint("sts", "cn-hangzhou", "vpc").host == "sts-vpc.cn-hangzhou.aliyuncs.com"


@pytest.mark.parametrize(
    ("service", "region", "network"),
    [
        ("quickbi", "", "public"),
        ("dms", "", "vpc"),
        ("dms", "cn-hangzhou", "moon"),
        ("wedata", "cn-hangzhou", "public"),
    ],
)
def test_alibaba_hosts_that_do_not_exist(service: str, region: str, network: str) -> None:
    with pytest.raises(ConfigurationError):
        alibaba_endpoint(service, region, network)


def test_unknown_edition() -> None:
    with pytest.raises(ConfigurationError, match="edition"):
        tencent_endpoint("wedata", "lunar")


def test_every_host_ends_in_the_vendors_domain() -> None:
    for service, network, region in itertools.product(("dms", "quickbi", "sts"), ("public", "vpc"), ("cn-a", "eu-b-1")):
        assert alibaba_endpoint(service, region, network).host.endswith(".aliyuncs.com")


GIVEN = [
    ("wedata", "wedata.ap-shanghai-fsi.tencentcloudapi.com", "ap-shanghai-fsi"),
    ("wedata", "wedata.ap-shenzhen-fsi.tencentcloudapi.com", "ap-shenzhen-fsi"),
    ("wedata", "wedata.ap-singapore.tencentcloudapi.com", "ap-singapore"),
    ("wedata", "wedata.tencentcloudapi.com", "ap-shanghai-fsi"),
    ("wedata", "wedata.intl.tencentcloudapi.com", "ap-singapore"),
    ("dms", "dms-enterprise.cn-north-2-gov-1.aliyuncs.com", "cn-north-2-gov-1"),
    ("dms", "dms-enterprise-vpc.cn-shanghai-finance-1.aliyuncs.com", ""),
    ("dms", "dms-enterprise.vpc-proxy.aliyuncs.com", "central"),
    ("quickbi", "quickbi-public.cn-shanghai-finance-1.aliyuncs.com", "cn-shanghai-finance-1"),
    ("sts", "sts.ap-shanghai-fsi.tencentcloudapi.com", "ap-shanghai-fsi"),
    ("sts", "sts-vpc.cn-shanghai-finance-1.aliyuncs.com", "cn-shanghai-finance-1"),
]
_NOT_GIVEN = [
    "evil.example", "wedata.evil.example", "wedata.tencentcloudapi.com.evil.example", "tencentcloudapi.com",
    "evil.tencentcloudapi.com", "wedata.ap-shanghai-fsi.tencentcloudapi.com.", "https://wedata.tencentcloudapi.com",
    "wedata.tencentcloudapi.com:443", "wedata.tencentcloudapi.com/x", "wedata.a.b.tencentcloudapi.com", "",
    "user@wedata.tencentcloudapi.com", "wedata.evil.tencentcloudapi.com", "wedata.tencentcloudapi.com\n", "127.0.0.1",
    "dms-enterprise.oss-cn-hangzhou.aliyuncs.com", "dms-enterprise.cn-hangzhou.aliyuncs.com",
    "sts.ap-shanghai-fsi.tencentcloudapi.com",
]  # fmt: skip


@pytest.mark.parametrize(("service", "host", "region"), GIVEN)
def test_hosts_that_a_connection_may_name(service: str, host: str, region: str) -> None:
    assert given_endpoint(host, service, region).base == f"https://{host}"


@pytest.mark.parametrize("host", _NOT_GIVEN, ids=ascii)
def test_hosts_that_no_vendor_gives_the_service_are_refused(host: str) -> None:
    with pytest.raises(ConfigurationError, match="endpoint: is no host of wedata"):
        given_endpoint(host, "wedata", "")


@pytest.mark.parametrize("bucket", ["dms-enterprise", "dms-enterprise-vpc"])
def test_a_bucket_that_is_called_like_the_service_is_refused(bucket: str) -> None:
    with pytest.raises(ConfigurationError, match="endpoint: is no host of dms"):
        given_endpoint(f"{bucket}.oss-cn-hangzhou.aliyuncs.com", "dms", "")


def test_a_host_of_another_region_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="another region"):
        given_endpoint("wedata.ap-shanghai-fsi.tencentcloudapi.com", "wedata", "ap-shenzhen-fsi")


@pytest.mark.parametrize("region", ["ap-shanghai-fsi", "ap-shenzhen-fsi", "ap-shanghai-fsi-1", "ap-beijing-gov"])
def test_a_finance_region_never_gets_the_public_host(region: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"'endpoint', for example wedata.{region}.tencentcloudapi.com"):
        tencent_endpoint("wedata", "mainland", region)
