"""Modes: the places where the vendors' pages are silent or contradict each other, as switches.

Each mode names the reading taken by default first. Set them with ``--mode name=value`` on the command
line or ``POST /_control/modes``.
"""

from __future__ import annotations

CHOICES: dict[str, tuple[str, ...]] = {
    # RevokePrivileges of something that is not granted: success without effect, or Result false.
    "wedata_absent_revoke": ("success", "false"),
    # One row of ListPermissions: one subject, or all subjects that hold the same privileges.
    "wedata_rows": ("per_subject", "grouped"),
    # Unit of ListPermissions' TotalCount.
    "wedata_total": ("rows", "grants"),
    # Letter case of ResourceType in listings.
    "wedata_type_case": ("title", "upper"),
    # The Granted flag of a listed grant (the official sample shows false).
    "wedata_granted_flag": ("false", "true"),
    # UserUin of ListProjectMembers is null in the official sample.
    "wedata_member_uin": ("filled", "null"),
    # Whether the default audience of a data source shows up in DescribeDataSourceAuthority.
    "wedata_default_audience": ("hidden", "listed"),
    # RevokeUserPermission with an unknown or already revoked UserAccessId.
    "dms_absent_revoke": ("refused", "success", "error"),
    # Whether the fields beside UserAccessId are compared with the record.
    "dms_check_fields": ("id_only", "strict"),
    # Business failures as HTTP 4xx with the gateway's envelope, or HTTP 200 with Success false.
    "dms_error_style": ("http", "body"),
    # ErrorCode and ErrorMessage beside Success true, as in the vendor's own sample.
    "dms_success_noise": ("off", "on"),
    # Whether lists show records whose ExpireDate is past.
    "dms_expired": ("listed", "hidden"),
    # Lists without the Logic parameter: both kinds, or physical ones only.
    "dms_logic_omitted": ("both", "physical"),
    # DsType of instance rows in ListUserPermissions.
    "dms_instance_ds_type": ("INSTANCE", "empty"),
    # Success and Result typed, or as text ("true", "2") as in the old samples.
    "quickbi_spelling": ("typed", "strings"),
    # HTTP status of a business error: 400 on the current pages, 500 on the old ones.
    "quickbi_error_status": ("400", "500"),
    # CancelAuthorizationMenu's Result: menus that lost something, or menus named in the request.
    "quickbi_result_counts": ("removed", "requested"),
    # AuthorizeMenu on an existing pair: left as it is, or its authorization points replaced.
    "quickbi_authorize_existing": ("keep", "overwrite"),
    # Whether a group receiver reaches the members of its sub-groups.
    "quickbi_subgroups": ("covered", "not_covered"),
    # HTTP status of a throttled Alibaba call, and whether it carries x-acs-retry-after (milliseconds).
    "alibaba_throttle_status": ("400", "429", "503"),
    "alibaba_retry_after": ("off", "on"),
    # Key case of Alibaba's error envelope.
    "alibaba_error_keys": ("pascal", "camel"),
}


class Modes:
    """The current choice for every mode; unknown names or values are refused."""

    def __init__(self) -> None:
        self._values = {name: choices[0] for name, choices in CHOICES.items()}

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def set(self, name: str, value: str) -> None:
        """Choose a value.

        :raises ValueError: for an unknown mode or value; the text lists what is possible.
        """
        if name not in CHOICES:
            raise ValueError(f"unknown mode {name!r}; known: {', '.join(sorted(CHOICES))}")
        if value not in CHOICES[name]:
            raise ValueError(f"mode {name} takes one of {', '.join(CHOICES[name])}, not {value!r}")
        self._values[name] = value

    def as_dict(self) -> dict[str, str]:
        """All current choices."""
        return dict(self._values)
