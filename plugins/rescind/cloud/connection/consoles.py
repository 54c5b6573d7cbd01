"""Addresses of the vendors' web consoles, as the vendors document them.

No address is built from outside input. There is none for WeData's international console, for Quick BI in other regions
than those below, and for a loopback address. Sources:

* WeData: Tencent Cloud's documentation of WeData and DataInLong (Chinese site), which links ``/wedata``;
* DMS: help.aliyun.com and alibabacloud.com/help/en/dms, "Log on to the DMS console V5.0". A connection does not say
  on which of Alibaba's two sites its account is: it is taken for international in regions outside the mainland;
* Quick BI: help.aliyun.com/document_detail/197972.htm for the mainland, alibabacloud.com/help/doc-detail/144989.htm
  for the sites of the other regions.
"""

from __future__ import annotations

from rescind.cloud.connection.hosts import CENTRAL
from rescind.cloud.connection.settings import ClientSettings

_WEDATA = {"mainland": "https://console.cloud.tencent.com/wedata"}
_DMS_MAINLAND = "https://dms.aliyun.com/new"
_DMS_INTERNATIONAL = "https://dms.alibabacloud.com/new"
_QUICKBI = {
    "cn-hangzhou": "https://bi.aliyun.com",
    "ap-southeast-1": "https://bi-ap-southeast-1.data.aliyun.com",
    "ap-southeast-3": "https://bi-ap-southeast-3.data.aliyun.com",
    "ap-southeast-5": "https://bi-ap-southeast-5.data.aliyun.com",
    "cn-hongkong": "https://bi-cn-hongkong.data.aliyun.com",
    "eu-central-1": "https://bi-eu-central-1.data.aliyun.com",
}


def console_address(settings: ClientSettings) -> str:
    """Return the console address for a connection; empty where none is documented, and for the emulator."""
    if settings.base_url:
        return ""
    if settings.service == "wedata":
        return _WEDATA.get(settings.edition, "")
    if settings.service == "quickbi":
        return _QUICKBI.get(settings.region, "")
    region = settings.region or CENTRAL
    mainland = region == CENTRAL or (region.startswith("cn-") and region != "cn-hongkong")
    return _DMS_MAINLAND if mainland else _DMS_INTERNATIONAL
