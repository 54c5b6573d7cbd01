"""The pools that a review's tasks wait in; shipped as ``include/pools.json``."""

from __future__ import annotations

DISCOVER_POOL = "rescind_discover"
REVOKE_POOL = "rescind_revoke"
VERIFY_POOL = "rescind_verify"
POOLS = (DISCOVER_POOL, REVOKE_POOL, VERIFY_POOL)
