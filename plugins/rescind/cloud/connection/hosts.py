"""Which host a request goes to: a table, never a value from outside.

A connection names service, edition, network and region; the host follows. The only addresses that may be given
are loopback ones, for the emulator, and only with ``allow_loopback_http``. Sources: the endpoint pages and
SDKs of both vendors.
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
_ALIBABA_CENTRAL = {"dms": "dms-enterprise.aliyuncs.com", "sts": "sts.aliyuncs.com"}
_ALIBABA_REGIONAL = {
    ("dms", "public"): "dms-enterprise.{}.aliyuncs.com",
    ("dms", "vpc"): "dms-enterprise-vpc.{}.aliyuncs.com",
    ("quickbi", "public"): "quickbi-public.{}.aliyuncs.com",
    ("quickbi", "vpc"): "quickbi-public-vpc.{}.aliyuncs.com",
    ("sts", "public"): "sts.{}.aliyuncs.com",
    ("sts", "vpc"): "sts-vpc.{}.aliyuncs.com",
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


def tencent_endpoint(service: str, edition: str) -> Endpoint:
    """Host of a Tencent Cloud service in one edition (international, mainland)."""
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
