"""The vendors' signatures, from the side that checks them."""

from __future__ import annotations
