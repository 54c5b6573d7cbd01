"""Which host a request goes to: a table, or a host of the same service inside the vendor's domain.

A connection names service, edition, network and region; the host follows. Finance and government regions have hosts of
their own, which a connection names as ``endpoint``: only hosts that the vendor itself can give a service. The only
other addresses that may be given are loopback ones, for the emulator, and only with ``allow_loopback_http``. Sources:
the endpoint pages and SDKs of both vendors; Tencent's pages ask for the host of the region with a finance region.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Network

from rescind.errors import ConfigurationError

_REGION = re.compile(r"[a-z]{2}(?:-[a-z0-9]{1,16}){1,4}")
_LOOPBACK = re.compile(r"(https?)://(localhost|\[::1\]|[0-9.]{7,15})(?::([1-9][0-9]{0,4}))?/?")
_LOOPBACK_NET = IPv4Network("127.0.0.0/8")

_TENCENT = {
    ("wedata", "international"): "wedata.intl.tencentcloudapi.com",
    ("wedata", "mainland"): "wedata.tencentcloudapi.com",
    ("sts", "international"): "sts.intl.tencentcloudapi.com",
    ("sts", "mainland"): "sts.tencentcloudapi.com",
}
_CLOSED = re.compile(r"-(?:fsi|finance|gov)(?:-[0-9]+)?$")
"""Ends of regions that are apart from the public cloud."""
_GIVEN = {
    "wedata": re.compile(r"wedata\.(?:intl\.|(?P<region>[a-z0-9-]+)\.)?tencentcloudapi\.com"),
    "dms": re.compile(r"dms-enterprise(?:-vpc)?\.(?:vpc-proxy\.|(?P<region>[a-z0-9-]+)\.)?aliyuncs\.com"),
    "quickbi": re.compile(r"quickbi-public(?:-vpc)?\.(?:vpc-proxy\.|(?P<region>[a-z0-9-]+)\.)?aliyuncs\.com"),
    "sts": re.compile(
        r"sts\.(?:intl\.|(?P<region>[a-z0-9-]+)\.)?tencentcloudapi\.com"
        r"|sts(?:-vpc)?\.(?:vpc-proxy\.|(?P<region_>[a-z0-9-]+)\.)?aliyuncs\.com"
    ),
}
"""What a given host of a service looks like. No name of a customer, such as that of a bucket, fits into it."""
_ALIBABA_CENTRAL = {"dms": "dms-enterprise.aliyuncs.com", "sts": "sts.aliyuncs.com"}
_ALIBABA_REGIONAL = {
    ("dms", "public"): "dms-enterprise.{}.aliyuncs.com",
    ("dms", "vpc"): "dms-enterprise-vpc.{}.aliyuncs.com",
    ("quickbi", "public"): "quickbi-public.{}.aliyuncs.com",
    ("quickbi", "vpc"): "quickbi-public-vpc.{}.aliyuncs.com",
    ("sts", "public"): "sts.{}.aliyuncs.com",
    ("sts", "vpc"): "sts-vpc.{}.aliyuncs.com",
}
_EXAMPLES = {
    "wedata": "wedata.ap-shanghai-fsi.tencentcloudapi.com",
    "dms": "dms-enterprise.cn-shanghai.aliyuncs.com",
    "quickbi": "quickbi-public.cn-shanghai-finance-1.aliyuncs.com",
    "sts": "sts.ap-shanghai-fsi.tencentcloudapi.com",
}
CENTRAL = "central"
"""The region word of a service that is reached through one central host."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where requests go.

    :param base: ``https://host`` or, on loopback, ``http://127.0.0.1:port``; no path, no trailing slash.
    """

    base: str
    host: str


def check_region(region: str) -> str:
    """Return the region when it has a region's shape (``ap-singapore``, ``cn-hangzhou``).

    :raises ConfigurationError: otherwise. New regions need no new release: only the shape is checked, and
        the domain around it is fixed.
    """
    if len(region) > 40 or not _REGION.fullmatch(region):
        raise ConfigurationError(
            "region: is not a region name of small letters, digits and dashes. "
            "Set the extra 'region' of the connection to a name like ap-singapore or cn-hangzhou"
        )
    return region


def region_of(host: str) -> str:
    """Return the region inside a host, or an empty text: the label before the vendor's domain, if it is a region."""
    labels = host.split(".")
    return labels[1] if len(labels) == 4 and _REGION.fullmatch(labels[1]) else ""


def given_endpoint(host: str, service: str, region: str, *, field: str = "endpoint") -> Endpoint:
    """Host that a connection names.

    :param region: region of the connection; the host may have no other one.
    :raises ConfigurationError: when the vendor does not give this service such a host, or for another region.
    """
    found = _GIVEN[service].fullmatch(host)
    named = "" if found is None else next((text for text in found.groupdict().values() if text), "")
    if found is None or (named and not _REGION.fullmatch(named)):
        raise ConfigurationError(
            f"{field}: is no host of {service} in the vendor's domain. Write the host alone, as on its endpoint page,"
            f" such as {_EXAMPLES[service]}"
        )
    if named and region not in ("", CENTRAL, named):
        raise ConfigurationError(f"{field}: belongs to another region than the extra 'region'. Correct one of the two")
    return Endpoint(f"https://{host}", host)


def tencent_endpoint(service: str, edition: str, region: str = "") -> Endpoint:
    """Host of a Tencent Cloud service in one edition (international, mainland).

    :raises ConfigurationError: for a region that the public host does not serve.
    """
    if _CLOSED.search(region):
        raise ConfigurationError(
            f"region: {region} is not served by the public host. Set the extra 'endpoint', for example"
            f" wedata.{region}.tencentcloudapi.com"
        )
    host = _TENCENT.get((service, edition))
    if host is None:
        raise ConfigurationError(f"edition: {service} has no such edition. Use 'international' or 'mainland'")
    return Endpoint(f"https://{host}", host)


def alibaba_endpoint(service: str, region: str, network: str) -> Endpoint:
    """Host of an Alibaba Cloud service.

    :param region: a region, or empty / ``central`` for services with one central host (dms, sts).
    :param network: ``public`` or ``vpc``.
    """
    if region in ("", CENTRAL):
        if service not in _ALIBABA_CENTRAL or network != "public":
            raise ConfigurationError(
                f"region: {service} over the {network} network has no central host. "
                "Set the extra 'region' of the connection, for example cn-hangzhou"
            )
        host = _ALIBABA_CENTRAL[service]
        return Endpoint(f"https://{host}", host)
    pattern = _ALIBABA_REGIONAL.get((service, network))
    if pattern is None:
        raise ConfigurationError("network: is not known. Use 'public' or 'vpc'")
    host = pattern.format(check_region(region))
    return Endpoint(f"https://{host}", host)


def loopback_endpoint(base_url: str, allowed: bool) -> Endpoint:
    """The emulator's address.

    Accepted spellings, and no others: ``http`` or ``https``, then ``localhost``, ``[::1]`` or a dotted quad of
    127.0.0.0/8, then an optional port and an optional slash. No user part, path, query or fragment.

    :raises ConfigurationError: for anything else, and when ``allowed`` is false.
    """
    remedy = "Leave 'base_url' empty: hosts follow from service, edition and region"
    if not allowed:
        raise ConfigurationError(f"base_url: needs the extra allow_loopback_http=true (emulator only). {remedy}")
    match = _LOOPBACK.fullmatch(base_url)
    if match is None or not _is_loopback(match[2]) or int(match[3] or "80") > 65535:
        raise ConfigurationError(f"base_url: only an address of this machine is accepted. {remedy}")
    scheme, host, port = match[1], match[2], match[3]
    netloc = f"{host}:{port}" if port else host
    return Endpoint(f"{scheme}://{netloc}", netloc)


def _is_loopback(host: str) -> bool:
    if host in ("localhost", "[::1]"):
        return True
    try:
        return IPv4Address(host) in _LOOPBACK_NET
    except AddressValueError:
        return False
