"""The clouds of an access review on loopback: WeData, DMS Enterprise and Quick BI as one small server.

A program of its own, written from the vendors' published pages and SDKs. It holds an invented
organization with its grants, verifies signatures, limits requests, and carries out list, grant and
revoke calls with the vendors' envelopes, types, quirks and dangerous semantics. Everything it does is
written to a journal of requests and effects, so that a test can compare what a tool claims with what
really happened. It listens on loopback only and needs nothing beyond the standard library.
"""

from __future__ import annotations

__version__ = "1.0.0"
