"""Alibaba Cloud DMS Enterprise 2018-11-01: policies, who they are attached to, and security rule sets.

Sources: the vendor's Python SDK models (3.0.0) and CLI metadata. No maximum page size is published.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from rescind.cloud.base import Page, Reply, Row
from rescind.cloud.dms.permissions import CountedPage, DmsList, DmsWhole
from rescind.cloud.fields import IdText, OptionalId, Text, Token


class AbacPolicy(Row):
    """A policy. ``AbacPolicyContent`` is JSON text with Statement, Action, Effect, Resource, Condition.

    ``AbacPolicySource``: USER_DEFINE, SYSTEM.
    """

    AbacPolicyId: IdText
    AbacPolicyName: Text | None = None
    AbacPolicySource: Text | None = None
    AbacPolicyContent: Text | None = None
    CreatorId: OptionalId = None

    def key(self) -> tuple[str, ...]:
        """The policy id."""
        return (self.AbacPolicyId,)


class ListAbacPoliciesAnswer(CountedPage[AbacPolicy]):
    """``PolicyList`` with ``TotalCount``."""

    PolicyList: tuple[AbacPolicy, ...] | None = None

    def rows(self) -> Sequence[AbacPolicy] | None:
        """The policies, or None for null."""
        return self.PolicyList


class ListAbacPolicies(DmsList[AbacPolicy]):
    """Policies of the tenant."""

    action: ClassVar[str] = "ListAbacPolicies"
    Answer: ClassVar[type[Reply]] = ListAbacPoliciesAnswer
    needs_total: ClassVar[bool] = True


class AbacAuthorization(Row):
    """A policy attached to a user or to a role. ``IdentityType``: USER, ROLE; others and None are unknown kinds.

    ``IdentityId`` is not documented further: of a user it is taken as the DMS user id.
    """

    AuthorizationId: IdText
    IdentityType: Text | None = None
    IdentityId: OptionalId = None
    IdentityName: Text | None = None
    PolicyId: OptionalId = None
    PolicyName: Text | None = None
    PolicySource: Text | None = None

    def key(self) -> tuple[str, ...]:
        """The id of the attachment."""
        return (self.AuthorizationId,)


class ListAbacAuthorizationsAnswer(CountedPage[AbacAuthorization]):
    """``AuthorizationList`` with ``TotalCount``."""

    AuthorizationList: tuple[AbacAuthorization, ...] | None = None

    def rows(self) -> Sequence[AbacAuthorization] | None:
        """The attachments, or None for null."""
        return self.AuthorizationList


class ListAbacAuthorizations(DmsList[AbacAuthorization]):
    """Who one policy is attached to. What a request without a policy answers is not documented, so one is needed."""

    action: ClassVar[str] = "ListAbacAuthorizations"
    Answer: ClassVar[type[Reply]] = ListAbacAuthorizationsAnswer
    needs_total: ClassVar[bool] = True
    PolicyId: Token
    PolicySource: Literal["USER_DEFINE", "SYSTEM"] | None = None


class StandardGroup(Row):
    """A security rule set, which an instance follows. ``GroupMode``: COMMON, STABLE, NONE_CONTROL; None is unknown."""

    GroupId: IdText
    GroupName: Text | None = None
    GroupMode: Text | None = None
    DbType: Text | None = None
    LastMenderId: OptionalId = None

    def key(self) -> tuple[str, ...]:
        """The id of the rule set."""
        return (self.GroupId,)


class ListStandardGroupsAnswer(Page[StandardGroup]):
    """``StandardGroupList``."""

    StandardGroupList: tuple[StandardGroup, ...] | None = None

    def rows(self) -> Sequence[StandardGroup] | None:
        """The rule sets, or None for null."""
        return self.StandardGroupList


class ListStandardGroups(DmsWhole[StandardGroup]):
    """Security rule sets of the tenant, in one answer."""

    action: ClassVar[str] = "ListStandardGroups"
    Answer: ClassVar[type[Reply]] = ListStandardGroupsAnswer
