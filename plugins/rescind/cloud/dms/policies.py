"""Alibaba Cloud DMS Enterprise 2018-11-01: policies, who they are attached to, and security rule sets.

Sources: the vendor's Python SDK models (3.0.0), its pages of CreateAbacPolicy, CreateAbacAuthorization and
DeleteAbacAuthorization, and CLI metadata. No maximum page size is published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import model_validator

from rescind.cloud.answers.strict_json import JsonError, loads_text
from rescind.cloud.base import Reply, Row, WriteRequest
from rescind.cloud.dms.permissions import CountedPage, DmsList, Product, WriteTenantId
from rescind.cloud.fields import Flag, IdText, NumericId, OptionalId, Text, Token
from rescind.errors import CloudError, UnknownOutcomeError

Identity = Literal["USER", "ROLE"]


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

    @property
    def only_allows(self) -> bool | None:
        """Whether every statement of the policy allows something. None where its text cannot be read.

        The vendor's pages show ``Allow`` and do not list the values of ``Effect``. Any other value counts as no
        permission.
        """
        try:
            content = loads_text(self.AbacPolicyContent or "")
        except JsonError:
            return None
        statements = content.get("Statement") if isinstance(content, dict) else None
        if not isinstance(statements, list) or not statements:
            return None
        if not all(isinstance(one, dict) and isinstance(one.get("Effect"), str) for one in statements):
            return None
        return all(one["Effect"] == "Allow" for one in statements)


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
        """Kind of holder and id of the attachment: the call that detaches names both, so ids may repeat."""
        return (self.IdentityType or "", self.AuthorizationId)


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


class AttachmentAnswer(Reply):
    """``Result``: whether the policy was attached, or detached. Text in the models, true in the sample."""

    Result: Flag | None = None


class _AttachmentWrite(Product, WriteRequest[AttachmentAnswer]):
    """One attachment of a policy."""

    Answer: ClassVar[type[Reply]] = AttachmentAnswer
    IdentityType: Identity
    Tid: WriteTenantId

    def objection(self, reply: AttachmentAnswer, facts: Mapping[str, Any]) -> CloudError | None:
        """Return an unknown outcome unless ``Result`` is true: beside ``Success`` false does not say what was done."""
        return None if reply.Result else UnknownOutcomeError(f"Result is {reply.Result}", **facts)


class DeleteAbacAuthorization(_AttachmentWrite):
    """Detach a policy from the one user or role that the attachment names."""

    action: ClassVar[str] = "DeleteAbacAuthorization"
    AuthorizationId: NumericId

    def wire(self) -> dict[str, Any]:
        """The attachment, its kind and the tenant."""
        return {"AuthorizationId": self.AuthorizationId, "IdentityType": self.IdentityType, "Tid": self.Tid}


class CreateAbacAuthorization(_AttachmentWrite):
    """Attach a policy to one user or one custom role. The attachment gets a new id."""

    action: ClassVar[str] = "CreateAbacAuthorization"
    PolicyId: NumericId
    UserId: NumericId | None = None
    RoleId: NumericId | None = None

    @model_validator(mode="after")
    def _one_identity(self) -> CreateAbacAuthorization:
        if (self.UserId is None) is (self.IdentityType == "USER") or (self.RoleId is None) is (
            self.IdentityType == "ROLE"
        ):
            raise ValueError("USER needs UserId and no RoleId, ROLE needs RoleId and no UserId")
        return self

    def wire(self) -> dict[str, Any]:
        """The policy, the user or the role, and the tenant."""
        whom = {"UserId": self.UserId} if self.UserId else {"RoleId": self.RoleId}
        return {"IdentityType": self.IdentityType, "PolicyId": self.PolicyId, **whom, "Tid": self.Tid}
