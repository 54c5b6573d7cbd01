"""Names of the pools that the tasks of a run use; ``include/pools.json`` creates them."""

from __future__ import annotations

DISCOVER_POOL = "rescind_discover"
REVOKE_POOL = "rescind_revoke"
VERIFY_POOL = "rescind_verify"
POOLS = (DISCOVER_POOL, REVOKE_POOL, VERIFY_POOL)
