"""The request of one run, from the trigger form. It may narrow the limits of the deployment, never widen them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from rescind.errors import InputError
from rescind.settings.deployment import VARIABLE, Settings
from rescind.settings.wording import form_error

Names = Annotated[tuple[str, ...], Field(strict=False)]
"""A list of texts: JSON has no tuples. The texts themselves are strict."""


class ReviewRequest(BaseModel):
    """The request of one run: the validated fields of the trigger form. Nothing is converted: ``"no"`` is no flag.

    :param kind: ``policy`` (a review by the deployed policy) or ``targets`` (people and resources that the form names).
    :param principals: ids of people or accounts, each exact; with or without the id space (``dms_user_id:51001``); or
        a mail, or a name that only one person of the roster has.
    :param resources: resource ids, exact.
    :param max_revocations: most grants this run may revoke; None uses the limit of the deployment.
    :param max_percent: the same in percent of the population.
    :param ask_owners: ask the owners of resources; None uses the setting ``campaign``.
    :param automatic: continue without approval by a person, within the setting ``automatic_approval``.
    :param sparse: use calls that also cover combinations without a grant; only with the setting ``allow_sparse``.
    :param close_paths: what to do about other paths to an access that the plan ends. ``report``: name the cheapest
        removals that would close them. ``own``: also revoke what is the person's own among them: memberships, roles,
        shares, proxy accounts. ``all``: also other grants, those of groups too, and name everybody who loses something.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    kind: Literal["policy", "targets"] = "policy"
    systems: Names = ()
    principals: Names = ()
    resources: Names = ()
    reason: str = Field(default="", max_length=500)
    ticket: str = Field(default="", max_length=60, pattern=r"^[A-Za-z0-9._#/-]*$")
    dry_run: bool = True
    max_revocations: int | None = Field(default=None, ge=0)
    max_percent: int | None = Field(default=None, ge=0, le=100)
    sparse: bool = False
    close_paths: Literal["report", "own", "all"] = "report"
    ask_owners: bool | None = None
    automatic: bool = False

    @field_validator("principals", "resources")
    @classmethod
    def _exact_ids(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for item in value:
            if not item or item != item.strip() or any(ord(c) < 32 for c in item) or len(item) > 512:
                raise ValueError(
                    "ids must be exact: not empty, no surrounding blanks or control characters, at most 512 long"
                )
        return value

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if self.kind == "targets":
            if self.ask_owners or self.automatic:
                raise ValueError("ask_owners and automatic are for reviews by policy only")
            if not self.principals and not self.resources:
                raise ValueError(
                    "name at least one principal or one resource: systems alone would mean everything in them"
                )
            if len(self.reason.strip()) < 5:
                raise ValueError("reason needs at least 5 characters: it is part of the evidence")
        return self

    @classmethod
    def parse(cls, raw: Mapping[str, Any], *, kind: str, systems: tuple[str, ...]) -> Self:
        """Return the request from the params of the run.

        :param systems: the systems that exist; an empty ``systems`` field means all of them.
        :raises InputError: for a bad field; the message names it.
        """
        try:
            request = cls.model_validate({**raw, "kind": kind})
        except ValidationError as error:
            raise form_error(error) from None
        unknown = [name for name in request.systems if name not in systems]
        if unknown:
            raise InputError(
                "systems", f"unknown {', '.join(map(repr, unknown))}", f"Known systems: {', '.join(systems)}"
            )
        return request

    def asks_owners(self, settings: Settings) -> bool:
        """Return whether this run asks the owners of resources."""
        wanted = settings.campaign == "owners" if self.ask_owners is None else self.ask_owners
        return wanted and self.kind == "policy"

    def caps(self, settings: Settings) -> tuple[int, int]:
        """Return (most grants, most percent) of this run. The lower of form value and deployment limit applies."""
        count = (
            settings.max_revocations
            if self.max_revocations is None
            else min(self.max_revocations, settings.max_revocations)
        )
        percent = settings.max_percent if self.max_percent is None else min(self.max_percent, settings.max_percent)
        return count, percent

    def may_be_sparse(self, settings: Settings) -> bool:
        """Return whether calls may also cover combinations without a grant.

        :raises InputError: when the run requests it and the deployment does not allow it.
        """
        if self.sparse and not settings.allow_sparse:
            remedy = f"Switch it off, or set 'allow_sparse' in the Airflow Variable {VARIABLE!r}"
            raise InputError("sparse", "the deployment does not allow such calls", remedy)
        return self.sparse
