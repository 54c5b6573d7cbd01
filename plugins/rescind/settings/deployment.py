"""The settings of a deployment, from the Airflow Variable ``rescind_settings``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from rescind.approvers import Approver, check_approver_list
from rescind.data_files import project_root
from rescind.errors import ConfigurationError, InputError
from rescind.i18n import known_zone
from rescind.settings.binding import ADDRESSES, BOUND, FREE, recorded
from rescind.settings.notifications import Notifications
from rescind.settings.roster import RosterEndpoint, RosterFormat
from rescind.settings.wording import explained

VARIABLE = "rescind_settings"
LEDGER_CONNECTION = "rescind_ledger"
PAGE_CONNECTION = "rescind_page"
"""Optional connection of the page to the ledger, with a role of its own."""


class AutomaticApproval(BaseModel):
    """Limits within which a plan needs no approval by a person, in runs that request it.

    Every limit is required, except the one per day.

    :param max_revocations: most grants of such a plan.
    :param max_percent: most of the grants that could be revoked, in percent.
    :param max_revocations_per_day: most grants of one system and account that all runs together may revoke within 24
        hours, this plan included; 0 means none. Without it, the value of ``max_revocations``.
    :param systems: permission systems that may take part.
    :param only_rules: rules of the policy that may decide. Targets that a person names in a form always need another
        person.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_revocations: int = Field(ge=1)
    max_percent: int = Field(ge=1, le=100)
    max_revocations_per_day: int | None = Field(default=None, ge=0)
    systems: tuple[str, ...] = Field(min_length=1)
    only_rules: tuple[str, ...] = Field(min_length=1)

    @property
    def per_day(self) -> int:
        """The limit per day that applies."""
        return self.max_revocations if self.max_revocations_per_day is None else self.max_revocations_per_day

    @field_validator("only_rules")
    @classmethod
    def _of_the_policy(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "requested" in value:
            raise ValueError("'requested' is the rule for targets of a form; another person must approve those")
        return value


def airflow_home() -> Path:
    """Return Airflow's own folder, as Airflow finds it: ``AIRFLOW_HOME``, or ``~/airflow``."""
    return Path(os.path.expandvars(os.environ.get("AIRFLOW_HOME") or "~/airflow")).expanduser()


def settings_home() -> Path:
    """Return the folder that relative paths in settings start from.

    It is ``RESCIND_HOME`` if that is set. Otherwise it is the folder that holds ``include``: beside ``plugins`` (a
    checkout, or copied folders) or ``plugins`` itself, and for an installed wheel ``AIRFLOW_HOME``.
    """
    home = os.environ.get("RESCIND_HOME")
    return Path(home).expanduser() if home else project_root() or airflow_home()


class KnownGrant(BaseModel):
    """A grant that is known to exist, by the ids of the platform; ``account`` if the system covers several."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    principal: str = Field(min_length=1)
    resource: str = Field(min_length=1)
    entitlement: str = Field(min_length=1)
    account: str = ""


class LastUsed(BaseModel):
    """How far back a review by policy asks when grants were last used, and how many calls it may take.

    :param days: closed days to look back. The result for a grant is: used on a day, not seen in so many days, or not
        known.
    :param max_calls: most calls for each system and account. A log that needs more counts as not read: not known.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    days: int = Field(default=90, ge=1, le=365)
    max_calls: int = Field(default=3000, ge=1, le=100_000)


class Settings(BaseModel):
    """Deployment settings. Every limit here is a ceiling for every run.

    :param connections: per permission system, the connection ids that a review covers; without this setting every
        system with its default connection, such as ``wedata_default``, ``dms_default`` and ``quickbi_default``.
    :param granting_connections: per permission system, the connection ids that restore access. They must differ from
        ``connections``, so that the revoking keys need no right to grant.
    :param verifying_connections: per permission system, the connection ids for discovery and verification, one for each
        account. Their keys need read rights only. Without one, ``connections`` is used.
    :param approvers: users who may approve a plan: user ids of Airflow's auth manager, or ``{"id": ..., "name": ...}``
        where the id is not the user name (FAB, Keycloak). The requester cannot approve their own run.
    :param requester_check: ``where_possible``: refuse to send for a run that ``airflow dags trigger`` started, because
        its requester is an operating system user whom nobody can tell from the approver. Airflow's API says so, if
        there is the connection ``rescind_airflow``. ``required``: refuse it also where that cannot be asked. ``off``:
        allow it; the approver is told. A run of *Offboard* needs one known sender unless it is ``off``.
    :param roster: the people of the organization: a file, an object storage URL (``s3://conn_id@bucket/roster.csv``;
        ``.csv`` or ``.json``), or a :class:`RosterEndpoint`. It is read once, when a run starts, and used for the whole
        run.
    :param roster_format: how to read it: names of its columns, words of its status, its time zone.
    :param roster_id_map: CSV file with the ids of people in the platforms, by ``person_id`` or ``email``, joined to the
        roster; a path or an object storage URL.
    :param roster_sha256: SHA-256 (hex) that the file must have. A file ``<roster>.sha256`` beside it is checked too, if
        it exists.
    :param roster_is_complete: whether the roster lists everyone. Only then may a rule conclude something from a person
        who is missing in it (``!person.known``, an owner who is ``unlisted``). Otherwise such rules never match.
    :param roster_max_age_hours: an older roster is not used for decisions.
    :param roster_min_people: a roster with fewer people is not used for decisions.
    :param roster_max_leaver_percent: a roster with a larger share of leavers is not used for decisions.
    :param roster_max_bad_rows_percent: a roster with a larger share of rows that cannot be read is refused. Other such
        rows are named and set aside, and anyone who may be meant keeps everything. 0 sets none aside.
    :param roster_max_shrink_percent: how many of the people, or of the ids of one platform, a roster may have lost
        since the last review, in percent; with more it is not used. 100 turns this off.
    :param roster_as_of: where the age of a roster file comes from: ``modified`` (its time of modification), ``name`` (a
        date in its name), ``checksum`` (a date in its checksum file), or ``column:NAME`` (a column with the time of the
        export; the oldest cell counts).
    :param policy: file of rules, see ``include/policies/README.md``; relative paths start at ``RESCIND_HOME``,
        without it at the folder that holds ``include``, or at ``AIRFLOW_HOME``.
    :param protections: file of principals and resources whose access is never revoked.
    :param exceptions: file of exceptions, each with owner, reason and end.
    :param owners: file of the owners of resources, see ``include/config/owners.yaml``.
    :param campaign: ``owners``: the owners of the resources answer the questions of rules with ``decide: ask``, unless
        the form says otherwise. ``none``: only in runs that request it.
    :param campaign_hours: hours that owners have to answer.
    :param automatic_approval: limits within which a run may continue without approval by a person, if it requests that.
        None: never.
    :param max_revocations: most grants that one run may revoke; 0 means none.
    :param max_percent: most of the grants that could be revoked, in percent, that one run may revoke; 0 means none.
    :param max_per_principal: most grants that one principal may lose in one run.
    :param max_restores: most grants that one run may restore; 0 means none.
    :param allow_single_writes: let the operators for single calls (``send=True``) use connections that are named in
        these settings. Otherwise they need a connection, and a key, of their own.
    :param restore_without_bundle: restore a run by its number although the evidence folder has no bundle of it, from
        the ledger alone; otherwise that is refused. The approver is told.
    :param allow_irreversible: revoke grants that cannot be restored exactly; otherwise they are held.
    :param allow_sparse: let a run use calls that also cover combinations without a grant (Quick BI only). Such a call
        is sent right after these combinations were listed again.
    :param plan_valid_hours: hours after which a frozen plan can no longer be executed.
    :param enforce_scheduled: let a review of the DAG's own schedule revoke after approval; otherwise it is a dry run.
        A backfill, and a run that an asset or another DAG starts, is a dry run unless its configuration says otherwise.
    :param enforce_events: let a run of *Offboard* revoke after approval; otherwise it is a dry run. An event cannot
        choose this.
    :param event_senders: Airflow users whose asset events *Offboard* uses, by the audit log; others are left out and
        named. Empty: everybody who may send events.
    :param event_max_people: most people and accounts that the events of one *Offboard* run may name; with more, the run
        is refused. An event that alone names more is left out.
    :param rows_per_call: per system, most resources in one call, below the limit of the API; 1 is the most careful.
    :param workers: processes that may send at the same time. Each takes its share of the rate limit while the ledger is
        not available.
    :param max_batches: most mapped revocation tasks in one run.
    :param summaries: folder for the summary and the items of each run.
    :param batch_seconds: how long one mapped revocation task lasts, in seconds, if it has the rate limit to itself.
        Tasks of one system and account share it, so they last longer when they run at the same time.
    :param canary_items: about how many grants of each system and account are revoked and verified before the rest of a
        large plan; 0 for none. Authorizations of works that wait for other calls of the plan have none.
    :param canary_above: a plan with more grants than this is a large one.
    :param max_shrink_percent: how much smaller, in percent, a population of at least 20 grants may be than at its last
        complete listing (less what was revoked since); a smaller one counts as incomplete. 100 turns this off.
    :param targeted_discovery_hours: a run about named people lists only them, in systems that list by person (DMS
        permissions, DMS accounts), if the last listing of the whole population is at most so many hours old. In WeData
        privileges, WeData data sources and Quick BI menus it first reads only the objects on which that listing shows
        them, and starts a run over everybody at its end. 0: always list everybody.
    :param last_used: ask in reviews by policy when grants were last used, see :class:`LastUsed`; ``{}`` for its
        defaults. Only DMS and Quick BI tell; it takes further calls and rights. None: not asked, so not known. A run
        about named people does not ask.
    :param sentinels: per system, grants that exist for certain; a listing that lacks one counts as incomplete.
    :param settle_seconds: first pause between two reads of a verification, in seconds; it grows.
    :param settle_in_place_seconds: how long a task waits while it occupies its worker, in seconds; after that it is
        deferred.
    :param settle_limit_seconds: how long verification waits for a platform to settle, in seconds.
    :param watch_days: for how many days grants that were verified gone are watched.
    :param watch_alarm: what fails the watch run: a ``new`` regrant, ``any`` regrant that still exists, or ``none``. A
        grant that could not be checked fails it too, unless this is ``none``.
    :param record_gone_fails: kinds of run whose gate fails when a record is gone and access was not proven gone:
        ``policy`` for reviews by policy, ``targets`` for runs about named people or resources, such as a leaver.
    :param not_reviewed: by permission system, ids of objects (portal, work, table, data source, instance, database)
        that are left out because their listing cannot be read; the report names them as not reviewed.
    :param evidence: folder of bundles, reports and tables: a path, or a URL of object storage
        (``s3://conn_id@bucket/key``).
    :param evidence_key_file: PEM file of the Ed25519 private key that signs bundles; without a key they are marked as
        unsigned.
    :param evidence_key_conn_id: alternatively, the connection that holds this PEM as its password.
    :param evidence_old_keys: PEM files of the public keys that signed bundles before a rotation. A restore accepts
        bundles of these keys too.
    :param approval_key_file: PEM file of the Ed25519 private key that signs approvals. A run that may send something
        needs it. Use another key than for evidence.
    :param approval_key_conn_id: alternatively, the connection that holds this PEM as its password. With neither of
        them, the environment variable ``RESCIND_APPROVAL_KEY`` is used.
    :param approval_public_keys: further public keys whose approvals are accepted, for a rotation, or for workers
        without the private key: the base64 line of each PEM file.
    :param evidence_whole: put every grant into the bundle of a run about named people as well. Otherwise such a bundle
        represents the other principals by hashes.
    :param evidence_retention: how long and how bundles are stored, as text, such as ``7 years, object lock``. It is
        part of every bundle.
    :param notifications: switches messages to chats on, see :class:`Notifications`: ``{"chats": [{"chat": "dingtalk",
        "conn_id": "chat_security"}]}``. None: no messages.
    :param language: language of pages for readers who chose none, and of questions, reports, notes and messages:
        ``en``, ``zh-CN`` or ``ja``.
    :param time_zone: time zone that these show beside UTC, such as ``Asia/Shanghai``; empty: UTC only.
    :param time_source: the time source of workers and ledger, as text, such as ``chrony, ntp.example.org``. It is part
        of every bundle.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    connections: Annotated[dict[str, list[str]], BOUND] = Field(default_factory=dict)
    granting_connections: Annotated[dict[str, list[str]], BOUND] = Field(default_factory=dict)
    verifying_connections: Annotated[dict[str, list[str]], BOUND] = Field(default_factory=dict)
    approvers: Annotated[tuple[Approver, ...], BOUND] = ()
    requester_check: Annotated[Literal["where_possible", "required", "off"], BOUND] = "where_possible"
    roster: Annotated[str | RosterEndpoint, BOUND] = ""
    roster_format: Annotated[RosterFormat, BOUND] = RosterFormat()
    roster_id_map: Annotated[str, BOUND] = ""
    roster_sha256: Annotated[str, BOUND] = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    roster_is_complete: Annotated[bool, BOUND] = False
    roster_max_age_hours: Annotated[int, BOUND] = Field(default=48, ge=1)
    roster_min_people: Annotated[int, BOUND] = Field(default=10, ge=1)
    roster_max_leaver_percent: Annotated[int, BOUND] = Field(default=40, ge=0, le=100)
    roster_max_bad_rows_percent: Annotated[int, BOUND] = Field(default=10, ge=0, le=50)
    roster_max_shrink_percent: Annotated[int, BOUND] = Field(default=20, ge=0, le=100)
    roster_as_of: Annotated[str, BOUND] = Field(default="modified", pattern=r"^(modified|name|checksum|column:.+)$")
    policy: Annotated[str, BOUND] = "include/policies/access_review.yaml"
    protections: Annotated[str, BOUND] = "include/config/protected.yaml"
    exceptions: Annotated[str, BOUND] = "include/config/exceptions.yaml"
    owners: Annotated[str, BOUND] = "include/config/owners.yaml"
    campaign: Annotated[Literal["none", "owners"], BOUND] = "none"
    campaign_hours: Annotated[int, BOUND] = Field(default=72, ge=1, le=160)
    automatic_approval: Annotated[AutomaticApproval | None, BOUND] = None
    max_revocations: Annotated[int, BOUND] = Field(default=500, ge=0)
    max_percent: Annotated[int, BOUND] = Field(default=20, ge=0, le=100)
    max_per_principal: Annotated[int, BOUND] = Field(default=500, ge=0)
    max_restores: Annotated[int, BOUND] = Field(default=500, ge=0)
    allow_single_writes: Annotated[bool, FREE] = False
    restore_without_bundle: Annotated[bool, BOUND] = False
    allow_irreversible: Annotated[bool, BOUND] = False
    allow_sparse: Annotated[bool, BOUND] = False
    plan_valid_hours: Annotated[int, BOUND] = Field(default=24, ge=1, le=720)
    enforce_scheduled: Annotated[bool, BOUND] = False
    enforce_events: Annotated[bool, BOUND] = False
    event_senders: Annotated[tuple[str, ...], BOUND] = ()
    event_max_people: Annotated[int, BOUND] = Field(default=20, ge=1, le=1000)
    workers: Annotated[int, FREE] = Field(default=4, ge=1, le=256)
    max_batches: Annotated[int, FREE] = Field(default=200, ge=1, le=200)
    rows_per_call: Annotated[dict[str, Annotated[int, Field(ge=1)]], FREE] = Field(default_factory=dict)
    batch_seconds: Annotated[int, FREE] = Field(default=60, ge=1, le=900)
    canary_items: Annotated[int, BOUND] = Field(default=5, ge=0, le=100)
    canary_above: Annotated[int, BOUND] = Field(default=200, ge=0)
    max_shrink_percent: Annotated[int, BOUND] = Field(default=30, ge=0, le=100)
    targeted_discovery_hours: Annotated[int, BOUND] = Field(default=0, ge=0, le=8760)
    last_used: Annotated[LastUsed | None, BOUND] = None
    sentinels: Annotated[dict[str, tuple[KnownGrant, ...]], BOUND] = Field(default_factory=dict)
    not_reviewed: Annotated[dict[str, tuple[str, ...]], BOUND] = Field(default_factory=dict)
    settle_seconds: Annotated[float, BOUND] = Field(default=1.0, gt=0, le=600)
    settle_in_place_seconds: Annotated[float, FREE] = Field(default=30.0, gt=0, le=600)
    settle_limit_seconds: Annotated[float, BOUND] = Field(default=300.0, gt=0, le=86_400)
    record_gone_fails: Annotated[tuple[Literal["policy", "targets"], ...], BOUND] = ("targets",)
    watch_days: Annotated[int, FREE] = Field(default=14, ge=1, le=365)
    watch_alarm: Annotated[Literal["new", "any", "none"], FREE] = "new"
    summaries: Annotated[str, FREE] = ".rescind/summaries"
    evidence: Annotated[str, FREE] = ".rescind/evidence"
    evidence_key_file: Annotated[str, FREE] = ""
    evidence_key_conn_id: Annotated[str, FREE] = ""
    evidence_old_keys: Annotated[tuple[str, ...], BOUND] = ()
    approval_key_file: Annotated[str, FREE] = ""
    approval_key_conn_id: Annotated[str, FREE] = ""
    approval_public_keys: Annotated[tuple[str, ...], FREE] = ()
    evidence_whole: Annotated[bool, FREE] = False
    evidence_retention: Annotated[str, FREE] = Field(default="", max_length=200)
    notifications: Annotated[Notifications | None, FREE] = None
    language: Annotated[Literal["en", "zh-CN", "ja"], FREE] = "en"
    time_zone: Annotated[str, FREE] = ""
    time_source: Annotated[str, FREE] = Field(default="", max_length=200)

    @field_validator("connections", "granting_connections", "verifying_connections")
    @classmethod
    def _known_shape(cls, value: dict[str, list[str]]) -> dict[str, list[str]]:
        for system, conn_ids in value.items():
            if not conn_ids or len(set(conn_ids)) != len(conn_ids):
                raise ValueError(f"{system} needs at least one connection id, each once")
        return value

    @field_validator("approvers")
    @classmethod
    def _different_people(cls, value: tuple[Approver, ...]) -> tuple[Approver, ...]:
        try:
            check_approver_list(value)
        except InputError as error:
            raise ValueError(f"{error.problem}. {error.remedy}") from None
        return value

    @field_validator("time_zone")
    @classmethod
    def _zone_exists(cls, value: str) -> str:
        if value and not known_zone(value):
            raise ValueError("is not a time zone that this machine knows, such as Asia/Shanghai")
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
                    f"granting_connections of {system} name {', '.join(both)}, which is also used to revoke. Use a"
                    " separate connection, so that the revoking key needs no right to grant"
                )
        return self

    @model_validator(mode="after")
    def _checksum_of_a_file(self) -> Self:
        if self.roster_sha256 and isinstance(self.roster, RosterEndpoint):
            raise ValueError("roster_sha256 is the checksum of a file. Remove it: an HTTP endpoint has no checksum")
        return self

    def path(self, name: str) -> Path:
        """Return the absolute path of a file setting; relative paths start at :func:`settings_home`.

        :raises ConfigurationError: when the setting is empty.
        """
        path = Path(self.location(name))
        return path if path.is_absolute() else settings_home() / path

    def location(self, name: str) -> str:
        """Return the path or URL of a setting.

        :raises ConfigurationError: when the setting is empty.
        """
        text = str(getattr(self, name))
        if not text:
            raise ConfigurationError(
                f"setting {name!r} is empty. Set it in the Airflow Variable {VARIABLE!r}, for example "
                f'{{"{name}": "include/examples/{name}.csv"}}'
            )
        return text

    def bound(self) -> dict[str, Any]:
        """Return the settings that an approval covers, as JSON without floats.

        Settings hold no secrets by themselves. The query and the password of an address, which may be one, are
        replaced by a digest.
        """
        values = self.model_dump(mode="json", include=set(_bound()))
        return {name: recorded(value, address=name in ADDRESSES) for name, value in values.items()}

    def as_recorded(self, values: Mapping[str, Any]) -> Self:
        """Return these settings with the bound values that a run recorded when it began.

        The addresses of its input files stay as they are now: those files are read once, when the run begins, except
        for protections and exceptions, whose present content counts.

        :param values: what :meth:`bound` returned then.
        """
        kept = {name: value for name, value in values.items() if name in _bound() - ADDRESSES}
        return type(self).model_validate({**self.model_dump(), **kept})

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


def _bound() -> frozenset[str]:
    return frozenset(name for name, field in Settings.model_fields.items() if BOUND in field.metadata)
