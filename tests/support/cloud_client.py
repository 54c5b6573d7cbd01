"""What tests of the client share: two writes, a pacer that writes down what it hears, and a scripted network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

from rescind.cloud.base import Bucket
from rescind.cloud.client import CloudClient
from rescind.cloud.quickbi.menus import CancelAuthorizationMenu
from rescind.cloud.wedata.data_sources import FromProject, RevokeDataSourceAuthorization

Client = Callable[..., CloudClient]
Make = Callable[..., httpx.Response]
SOURCE = RevokeDataSourceAuthorization(DataSourceId="65377", target=FromProject(project_id="29", whole_project=True))
CANCEL = CancelAuthorizationMenu(DataPortalId="p", MenuIds=["a", "b"], UserIds=["1"])
CANARIES = ("canary-secret-0001", "canary-token-0001")


class Recorder:
    """A pacer that writes down what it is told."""

    def __init__(self) -> None:
        self.said: list[tuple[str, Any]] = []

    async def slot(self, bucket: Bucket, *, write: bool) -> None:
        self.said.append(("slot", write))

    def throttled(self, bucket: Bucket, retry_after: float | None) -> None:
        self.said.append(("throttled", retry_after))

    def succeeded(self, bucket: Bucket) -> None:
        self.said.append(("succeeded", bucket.action))


def script(*steps: Any) -> Callable[[httpx.Request], httpx.Response]:
    """A network that gives one answer (or raises one error) per request; the last step repeats."""
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        step = steps[min(len(seen), len(steps) - 1)]
        seen.append(request)
        if isinstance(step, Exception):
            raise step
        return step(request) if callable(step) else step

    handler.seen = seen  # type: ignore[attr-defined]
    return handler


def throttle(tencent: Make, headers: dict[str, str] | None = None) -> httpx.Response:
    return tencent(Error={"Code": "RequestLimitExceeded", "Message": "m"}, headers=headers)
