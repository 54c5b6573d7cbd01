"""Tencent Cloud WeData 2025-08-06: one project, and the built-in roles of projects.

Sources: the vendor's Python SDK models of version 2025-08-06. A project names its owner and its creator; its
administrators are the members whose roles (ListProjectMembers) hold :data:`PROJECT_ADMINISTRATOR`.
"""

from __future__ import annotations

from typing import ClassVar

from rescind.cloud.base import ReadRequest, Reply
from rescind.cloud.fields import Digits
from rescind.cloud.wedata.base import WeDataCall
from rescind.cloud.wedata.inventory import Project

PROJECT_ADMINISTRATOR = "308335260274237440"
PROJECT_DATA_ENGINEER = "308335260676890624"
PROJECT_OPERATIONS_ENGINEER = "308335260844662784"
PROJECT_MEMBER = "308335260945326080"
"""Built-in project roles; every other id is a custom role."""


class GetProjectAnswer(Reply):
    """One project. The vendor allows null in place of it, which is no answer and refused as malformed."""

    Data: Project


class GetProject(WeDataCall, ReadRequest[GetProjectAnswer]):
    """Read one project with its owner and its creator."""

    action: ClassVar[str] = "GetProject"
    Answer: ClassVar[type[Reply]] = GetProjectAnswer
    ProjectId: Digits
