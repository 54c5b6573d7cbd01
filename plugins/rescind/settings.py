"""What a deployment fixes and what a run may ask for.

Two models, both closed (an unknown key is an error): :class:`Settings`, read from the Airflow Variable
``rescind_settings`` (a JSON object), and :class:`ReviewRequest`, read from the trigger form. A run may
only narrow what the deployment allows, never widen it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from rescind.data_files import project_root
from rescind.errors import ConfigurationError, InputError

VARIABLE = "rescind_settings"
LEDGER_CONNECTION = "rescind_ledger"


class RosterEndpoint(BaseModel):
    """An HTTP service that hands out the roster.

    :param conn_id: Airflow connection of type ``http``: host, login and password or headers.
    :param endpoint: path below the connection's host, with its query if it has one.
    :param format: ``scim`` (RFC 7644 ``Users``, paged by ``startIndex``), ``json`` (an object with people, total and a
        link to the next page, or one bare list), or ``csv`` (one document).
    :param page_size: people asked for in one SCIM page.
    :param items: name of the list of people in a plain JSON page; likewise ``total`` and ``next``.
    :param as_of: field of a plain JSON page with the time of the export. Without it the age is taken from the
        ``Last-Modified`` header, or from ``Date`` and ``Age``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    conn_id: str = Field(min_length=1)
    endpoint: str = Field(min_length=1, pattern=r"^[^\s#]+$")
    format: Literal["scim", "json", "csv"]
    page_size: int = Field(default=200, ge=1, le=10_000)
    items: str = Field(default="items", min_length=1)
    total: str = Field(default="total", min_length=1)
    next: str = Field(default="next", min_length=1)
    as_of: str = ""


class AutomaticApproval(BaseModel):
    """Within which limits a plan needs no person, in runs that ask for it. Every limit must be written out.

    :param max_revocations: most grants of such a plan.
    :param max_percent: most of the complete population, in percent.
    :param systems: permission systems that may take part.
    :param only_rules: rules of the policy that may decide. What a person names in a form always needs another person.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_revocations: int = Field(ge=1)
    max_percent: int = Field(ge=1, le=100)
    systems: tuple[str, ...] = Field(min_length=1)
    only_rules: tuple[str, ...] = Field(min_length=1)

    @field_validator("only_rules")
    @classmethod
    def _of_the_policy(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "requested" in value:
            raise ValueError("'requested' is what a person names in a form; somebody else has to approve that")
        return value


def airflow_home() -> Path:
    """Return Airflow's own folder, as Airflow finds it: ``AIRFLOW_HOME``, or ``~/airflow``."""
    return Path(os.path.expandvars(os.environ.get("AIRFLOW_HOME") or "~/airflow")).expanduser()


def settings_home() -> Path:
    """Return the folder that relative paths in settings start from.

    It is ``RESCIND_HOME`` if that is set. Otherwise it is the folder that holds ``plugins/rescind`` and ``include`` (a
    checkout, or copied folders), and for an installed wheel ``AIRFLOW_HOME``.
    """
    home = os.environ.get("RESCIND_HOME")
    return Path(home).expanduser() if home else project_root() or airflow_home()


class KnownGrant(BaseModel):
    """A grant that exists for certain, by the platform's own ids; ``account`` where a system covers several."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    principal: str = Field(min_length=1)
    resource: str = Field(min_length=1)
    entitlement: str = Field(min_length=1)
    account: str = ""


class Settings(BaseModel):
    """Deployment settings. Every limit here is a ceiling for every run.

    :param connections: per permission system, the connection ids that a review covers; without this setting every
        system with its default connection, such as ``wedata_default``, ``dms_default`` and ``quickbi_default``.
    :param granting_connections: per permission system, the connection ids that may give back what a run took away;
        others than those above, whose keys need no right to grant.
    :param verifying_connections: per permission system, the connection ids that discovery and verification read with,
        one for each account; their keys need no right to change anything. Without one the review's connection reads.
    :param approvers: user ids (as Airflow's auth manager knows them) who may approve a plan. Nobody may
        approve a plan that they asked for themselves.
    :param roster: who works here: a file, an object storage URL (``s3://conn_id@bucket/roster.csv``; ``.csv`` or
        ``.json``), or a :class:`RosterEndpoint`. It is read once, when a run begins, and kept for the whole run.
    :param roster_sha256: SHA-256 (hex) that the file must have. A file ``<roster>.sha256`` beside it is checked as
        well, where there is one.
    :param roster_is_complete: whether the roster lists everyone. Only then may a rule believe that somebody whom the
        roster does not know is nobody (``!person.known``, an owner who is ``unlisted``); else such rules never hold.
    :param roster_max_age_hours: an older roster decides nothing.
    :param roster_min_people: a roster with fewer people decides nothing.
    :param roster_max_leaver_percent: a roster with a larger part of leavers decides nothing.
    :param policy: file of rules, see ``include/policies/README.md``; relative paths start at
        ``RESCIND_HOME``, see :func:`settings_home`.
    :param protections: file of principals and resources from which nothing is ever taken.
    :param exceptions: file of waivers, each with owner, reason and end.
    :param owners: who answers for which resources, see ``include/config/owners.yaml``.
    :param campaign: ``owners``: runs put the questions of rules with ``decide: ask`` to the owners of the resources,
        unless the form says otherwise; ``none``: only runs that ask for it do.
    :param campaign_hours: hours that owners have to answer.
    :param automatic_approval: limits within which a run may go on without a person's approval, if it asks for that;
        None: never.
    :param max_revocations: most grants that one run may revoke; 0 means none.
    :param max_percent: most of the complete population, in percent, that one run may revoke; 0 means none.
    :param max_per_principal: most grants that one principal may lose in one run.
    :param max_restores: most grants that one run may give back; 0 means none.
    :param allow_irreversible: let a plan hold grants that cannot be given back faithfully; else they are held.
    :param allow_sparse: let a run ask for calls that reach over places where nobody holds anything (Quick BI only;
        such a call is sent right after a re-read of these places).
    :param plan_valid_hours: hours after which a frozen plan can no longer be executed.
    :param enforce_scheduled: let a scheduled review revoke after approval; otherwise it is a dry run.
    :param rows_per_call: per system, fewer resources in one call than its shape allows; 1 is the most careful.
    :param workers: processes that may send at the same time; paces them while the ledger does not answer.
    :param max_batches: most mapped revocation tasks in one run.
    :param summaries: folder for the closing summary and the items of each run.
    :param batch_seconds: how long one mapped revocation task should last, in seconds.
    :param canary_items: about how many grants of each system and account are revoked and verified before the rest
        of a large plan; 0 for none.
    :param canary_above: a plan with more grants than this is a large one.
    :param max_shrink_percent: how much smaller, in percent, a population of at least 20 grants may be than at its last
        complete listing (less what was revoked since); a smaller one counts as incomplete. 100 turns this off.
    :param sentinels: per system, grants that exist for certain; a listing that lacks one counts as incomplete.
    :param settle_seconds: first pause between two reads of a verification, in seconds; it grows.
    :param settle_in_place_seconds: how long of that a task waits with its worker; for longer it gives its slot back.
    :param settle_limit_seconds: how long verification waits for a platform to settle, in seconds.
    :param watch_days: for how many days what was verified gone is looked after.
    :param watch_alarm: what turns the watching run red: a return that is ``new``, ``any`` return that is there, or
        ``none``. What could not be checked turns it red as well, unless this is ``none``.
    :param record_gone_fails: kinds of run whose gate fails when a record is gone and access was not proven gone:
        ``policy`` for reviews by policy, ``targets`` for runs about named people or resources, such as a leaver.
    :param evidence: folder of bundles, reports and tables: a path, or a URL of object storage
        (``s3://conn_id@bucket/key``).
    :param evidence_key_file: PEM file of the Ed25519 private key that signs bundles; without a key they are unsigned,
        and say so.
    :param evidence_key_conn_id: or the connection that holds this PEM as its password.
    :param evidence_retention: how long and how bundles are kept there, in words, such as ``7 years, object lock``;
        stands in every bundle.
    :param time_source: what the clocks of workers and ledger are set by, in words, such as ``chrony, ntp.example.org``;
        stands in every bundle.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    connections: dict[str, list[str]] = Field(default_factory=dict)
    granting_connections: dict[str, list[str]] = Field(default_factory=dict)
    verifying_connections: dict[str, list[str]] = Field(default_factory=dict)
    approvers: tuple[str, ...] = ()
    roster: str | RosterEndpoint = ""
    roster_sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    roster_is_complete: bool = False
    roster_max_age_hours: int = Field(default=48, ge=1)
    roster_min_people: int = Field(default=10, ge=1)
    roster_max_leaver_percent: int = Field(default=40, ge=0, le=100)
    policy: str = "include/policies/access_review.yaml"
    protections: str = "include/config/protected.yaml"
    exceptions: str = "include/config/exceptions.yaml"
    owners: str = "include/config/owners.yaml"
    campaign: Literal["none", "owners"] = "none"
    campaign_hours: int = Field(default=72, ge=1, le=160)
    automatic_approval: AutomaticApproval | None = None
    max_revocations: int = Field(default=500, ge=0)
    max_percent: int = Field(default=20, ge=0, le=100)
    max_per_principal: int = Field(default=500, ge=0)
    max_restores: int = Field(default=500, ge=0)
    allow_irreversible: bool = False
    allow_sparse: bool = False
    plan_valid_hours: int = Field(default=24, ge=1, le=720)
    enforce_scheduled: bool = False
    workers: int = Field(default=4, ge=1, le=256)
    max_batches: int = Field(default=200, ge=1, le=200)
    rows_per_call: dict[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    batch_seconds: int = Field(default=60, ge=1, le=900)
    canary_items: int = Field(default=5, ge=0, le=100)
    canary_above: int = Field(default=200, ge=0)
    max_shrink_percent: int = Field(default=30, ge=0, le=100)
    sentinels: dict[str, tuple[KnownGrant, ...]] = Field(default_factory=dict)
    settle_seconds: float = Field(default=1.0, gt=0, le=600)
    settle_in_place_seconds: float = Field(default=30.0, gt=0, le=600)
    settle_limit_seconds: float = Field(default=300.0, gt=0, le=86_400)
    record_gone_fails: tuple[Literal["policy", "targets"], ...] = ("targets",)
    watch_days: int = Field(default=14, ge=1, le=365)
    watch_alarm: Literal["new", "any", "none"] = "new"
    summaries: str = ".rescind/summaries"
    evidence: str = ".rescind/evidence"
    evidence_key_file: str = ""
    evidence_key_conn_id: str = ""
    evidence_retention: str = Field(default="", max_length=200)
    time_source: str = Field(default="", max_length=200)

    @field_validator("connections", "granting_connections", "verifying_connections")
    @classmethod
    def _known_shape(cls, value: dict[str, list[str]]) -> dict[str, list[str]]:
        for system, conn_ids in value.items():
            if not conn_ids or len(set(conn_ids)) != len(conn_ids):
                raise ValueError(f"{system} needs at least one connection id, each once")
        return value

    @model_validator(mode="after")
    def _sentinels_are_asked_for(self) -> Self:
        unknown = sorted(set(self.sentinels) - set(self.connections))
        if unknown:
            raise ValueError(f"sentinels name {', '.join(unknown)}, for which no connections are set")
        return self

    @model_validator(mode="after")
    def _granting_is_apart(self) -> Self:
        for system, conn_ids in self.granting_connections.items():
            both = sorted(set(conn_ids) & set(self.connections.get(system, ())))
            if both:
                raise ValueError(
                    f"granting_connections of {system} name {', '.join(both)}, which revokes: use a connection of its"
                    " own, so that the revoking key needs no right to grant"
                )
        return self

    @model_validator(mode="after")
    def _checksum_of_a_file(self) -> Self:
        if self.roster_sha256 and isinstance(self.roster, RosterEndpoint):
            raise ValueError("roster_sha256 is the checksum of a file; an endpoint's pages have none")
        return self

    def path(self, name: str) -> Path:
        """Absolute path of a file setting; relative paths start at :func:`settings_home`.

        :raises ConfigurationError: when the setting is empty.
        """
        path = Path(self.location(name))
        return path if path.is_absolute() else settings_home() / path

    def location(self, name: str) -> str:
        """The path or URL in a setting.

        :raises ConfigurationError: when the setting is empty.
        """
        text = str(getattr(self, name))
        if not text:
            raise ConfigurationError(
                f"setting {name!r} is empty. Set it in the Airflow Variable {VARIABLE!r}, for example "
                f'{{"{name}": "include/examples/{name}.csv"}}'
            )
        return text

    @classmethod
    def parse(cls, raw: object, *, connections: Mapping[str, list[str]]) -> Self:
        """Return the settings from the Variable's JSON value.

        :param connections: used where the value has no ``connections``: the default connections of the systems.
        :raises ConfigurationError: for a bad field; the message names it.
        """
        raw = {} if raw is None else raw
        if not isinstance(raw, Mapping):
            raise ConfigurationError(f"Airflow Variable {VARIABLE!r} must be a JSON object, not {type(raw).__name__}")
        try:
            return cls.model_validate({"connections": connections, **raw})
        except ValidationError as error:
            raise ConfigurationError(f"Airflow Variable {VARIABLE!r}: {explained(error)}") from None


class ReviewRequest(BaseModel):
    """What one run asks for: the trigger form, validated again with no unknown keys.

    :param kind: ``policy`` (an access review by the deployed policy) or ``targets`` (what the form names).
    :param principals: ids of people or accounts, in any id space of the roster, exact.
    :param resources: resource ids, exact.
    :param max_revocations: most grants this run may revoke; None takes the deployment's ceiling.
    :param max_percent: the same in percent of the population.
    :param ask_owners: put the questions of rules that ask; None takes the deployment's ``campaign``.
    :param automatic: go on without a person's approval where the deployment's ``automatic_approval`` allows it.
    :param sparse: fewest calls of all, over places where nobody holds anything; only where the deployment allows it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["policy", "targets"] = "policy"
    systems: tuple[str, ...] = ()
    principals: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    reason: str = Field(default="", max_length=500)
    ticket: str = Field(default="", max_length=60, pattern=r"^[A-Za-z0-9._#/-]*$")
    dry_run: bool = True
    max_revocations: int | None = Field(default=None, ge=0)
    max_percent: int | None = Field(default=None, ge=0, le=100)
    sparse: bool = False
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
                raise ValueError("ask_owners and automatic belong to reviews by policy")
            if not self.principals and not self.resources:
                raise ValueError(
                    "name at least one principal or one resource; systems alone would mean everything in them"
                )
            if len(self.reason.strip()) < 5:
                raise ValueError("reason needs at least 5 characters: it is kept as evidence")
        return self

    @classmethod
    def parse(cls, raw: Mapping[str, Any], *, kind: str, systems: tuple[str, ...]) -> Self:
        """The request from the run's params.

        :param systems: the systems that exist; an empty ``systems`` field means all of them.
        :raises InputError: naming field, shape and remedy.
        """
        try:
            request = cls.model_validate({**raw, "kind": kind})
        except ValidationError as error:
            raise InputError("trigger form", explained(error), "Correct the field and start a new run") from None
        unknown = [name for name in request.systems if name not in systems]
        if unknown:
            raise InputError(
                "systems", f"unknown {', '.join(map(repr, unknown))}", f"Known systems: {', '.join(systems)}"
            )
        return request

    def asks_owners(self, settings: Settings) -> bool:
        """Whether this run puts questions to the owners of resources."""
        wanted = settings.campaign == "owners" if self.ask_owners is None else self.ask_owners
        return wanted and self.kind == "policy"

    def caps(self, settings: Settings) -> tuple[int, int]:
        """(most grants, most percent) for this run: the smaller of request and deployment."""
        count = (
            settings.max_revocations
            if self.max_revocations is None
            else min(self.max_revocations, settings.max_revocations)
        )
        percent = settings.max_percent if self.max_percent is None else min(self.max_percent, settings.max_percent)
        return count, percent

    def may_be_sparse(self, settings: Settings) -> bool:
        """Whether calls may reach over places where nobody holds anything.

        :raises InputError: the run asks for it and the deployment does not allow it.
        """
        if self.sparse and not settings.allow_sparse:
            remedy = f"Switch it off, or set 'allow_sparse' in the Airflow Variable {VARIABLE!r}"
            raise InputError("sparse", "the deployment does not allow such calls", remedy)
        return self.sparse


def explained(error: ValidationError) -> str:
    """Each problem as ``field: what (shape of the value)``; values themselves are left out."""
    parts = []
    for problem in error.errors(include_url=False):
        field = ".".join(str(part) for part in problem["loc"]) or "(whole)"
        shape = type(problem.get("input")).__name__
        parts.append(f"{field}: {problem['msg']} (got {shape})")
    return "; ".join(parts)
