"""A pacer for tests that are not about pace."""

from __future__ import annotations

from rescind.cloud.base import Bucket


class FreePacer:
    """Never waits."""

    async def slot(self, bucket: Bucket, *, write: bool) -> None:
        """Return immediately."""

    def throttled(self, bucket: Bucket, retry_after: float | None) -> None:
        """Ignore it."""

    def succeeded(self, bucket: Bucket) -> None:
        """Ignore it."""
