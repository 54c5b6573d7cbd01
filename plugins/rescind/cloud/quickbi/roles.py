"""Alibaba Cloud Quick BI 2022-01-01: roles of the organization and of workspaces, and who holds them.

The preset role ids and the page sizes are from the vendor's Python SDK models (1.19.0).
"""

from __future__ import annotations

ORGANIZATION_ADMINISTRATOR = "111111111"
PERMISSION_ADMINISTRATOR = "111111112"

WORKSPACE_ADMINISTRATOR = "25"
WORKSPACE_DEVELOPER = "26"
WORKSPACE_ANALYST = "27"
WORKSPACE_VIEWER = "30"
"""Preset roles of a workspace; every other id is a custom role."""
