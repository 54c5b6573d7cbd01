"""Tencent Cloud WeData 2025-08-06: one project, and the built-in roles of projects.

Sources: the vendor's Python SDK models of version 2025-08-06. A project names its owner and its creator; its
administrators are the members whose roles (ListProjectMembers) hold :data:`PROJECT_ADMINISTRATOR`.
"""

from __future__ import annotations

PROJECT_ADMINISTRATOR = "308335260274237440"
PROJECT_DATA_ENGINEER = "308335260676890624"
PROJECT_OPERATIONS_ENGINEER = "308335260844662784"
PROJECT_MEMBER = "308335260945326080"
"""Built-in project roles; every other id is a custom role."""
