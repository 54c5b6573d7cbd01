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
    # UserUin of ListProjectMembers is null in the official sample; mixed: null for every third member.
    "wedata_member_uin": ("filled", "null", "mixed"),
    # Owner and creator of a project in ListProjectMembers: always, or only when they are members.
    "wedata_owner_listed": ("always", "members_only"),
    # Roles of a member that has none.
    "wedata_empty_roles": ("empty", "null"),
    # How CreateUser, CreatorUin and ProjectOwnerUin name a person: by uin, by user id, by login name, or not at all.
    "wedata_creator_form": ("uin", "user_id", "name", "null"),
    # RemoveMemberProjectRole of the last role: a member without roles, no member any more, or refused.
    "wedata_last_role": ("stays", "leaves", "refused"),
    # ... of a role that the member does not hold; DeleteProjectMember of somebody who is no member.
    "wedata_absent_role": ("success", "refused"),
    "wedata_absent_member": ("skipped", "refused"),
    # DeleteProjectMember of the owner or creator; taking the role from the last administrator of a project.
    "wedata_remove_head": ("refused", "allowed"),
    "wedata_last_administrator": ("allowed", "refused"),
    # Whether DeleteProjectMember takes the entries of data sources that name the user of this project.
    "wedata_member_entries": ("kept", "removed"),
    # GrantMemberProjectRole adds roles, or replaces them (its Chinese title says "modify").
    "wedata_grant_role": ("add", "replace"),
    # CreateProjectMember for a member, and for an id that nobody of the account has.
    "wedata_existing_member": ("add", "replace", "refused"),
    "wedata_unknown_member": ("accepted", "refused"),
    # Whether the owner and the creator of a project count as its administrators.
    "wedata_owner_role": ("administrator", "none"),
    # Whether a privilege of a project or a project role reaches each member.
    "wedata_project_reach": ("members", "none"),
    # Studio: how answers and requests name users: by user id (as the text of the workflow actions says) or by uin.
    "wedata_studio_ids": ("user_id", "uin"),
    # Permissions from folders above in ListCodePermissions, and whose Resource their rows carry.
    "wedata_studio_inherited": ("listed", "hidden"),
    "wedata_inherited_resource": ("parent", "own"),
    # ... in ListWorkflowPermissions, whose rows have no mark for them.
    "wedata_workflow_inherited": ("hidden", "listed"),
    # DeleteCodePermissions: an empty list, as in the sample, or one result for each resource.
    "wedata_code_results": ("empty", "per_resource"),
    # Taking a permission that is not held: success without effect, or false.
    "wedata_studio_absent": ("success", "false"),
    # DeleteCodePermissions without SubjectValues or Privileges: refused, or all that there are.
    "wedata_studio_no_subjects": ("refused", "all"),
    # ListCodeFolderContents of an empty folder.
    "wedata_empty_folders": ("empty", "null"),
    # A page of projects, members, roles or data sources behind the last one: empty, or the last one again.
    "wedata_beyond_end": ("empty", "last"),
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
    # Unit of TotalCount in the three permission lists.
    "dms_total": ("rows", "records"),
    # Which ways in the four ListAuthorized actions show.
    "dms_authorized_sources": ("all", "no_roles", "records_policies"),
    # Their pages (no total): full, or every second one empty although more rows follow.
    "dms_authorized_pages": ("full", "sparse"),
    # Roles of the tenant that reach every object without a record.
    "dms_role_reach": ("admin_dba", "admin", "all", "none"),
    # Whether owners and the DBA of an instance reach its databases, and owners of a database its tables.
    "dms_owner_reach": ("down", "own_object"),
    # Whether a proxy account reaches the instance by itself, or only what records allow.
    "dms_proxy_reach": ("instance", "records"),
    # DisableUser and DeleteUser: proxy accounts are not among what the page says goes.
    "dms_disable_proxies": ("kept", "closed"),
    # Whether a proxy account that stays can still be used while its user is disabled: it is a database's own log-on.
    "dms_disabled_proxies": ("useless", "usable"),
    # DisableUser: records, ownership and DBA settings are removed, or kept without effect until EnableUser.
    "dms_disable_records": ("removed", "kept"),
    # DisableUser of a disabled user, EnableUser of an enabled one.
    "dms_state_again": ("success", "refused"),
    # Whose role is enough to disable, enable, delete and update users.
    "dms_user_admins": ("admin", "admin_dba"),
    # GetUser of a deleted user: its row with State DELETE, or an error.
    "dms_deleted_user": ("listed", "unknown"),
    # UpdateUser's RoleNames replaces the roles, or adds to them.
    "dms_update_roles": ("replace", "add"),
    # Roles of the tenant's own in RoleNames, which the page does not name: replaced like the others, or refused and
    # those held stay, or those held stay whatever is named.
    "dms_own_roles": ("replaced", "refused", "kept"),
    # UpdateUser: nickname, mobile number and quotas that are left out; taking ADMIN from the last administrator.
    "dms_update_omitted": ("keep", "reset"),
    "dms_last_admin": ("allowed", "refused"),
    # DeleteProxyAccess with an unknown id, and CreateProxyAccess for a user who has an account of the proxy.
    "dms_absent_proxy_access": ("refused", "success"),
    "dms_second_proxy_access": ("new", "same", "refused"),
    # DeleteAbacAuthorization with an unknown id, and CreateAbacAuthorization where the policy is attached already.
    "dms_absent_authorization": ("refused", "success"),
    "dms_second_authorization": ("same", "refused"),
    # ListAbacAuthorizations without PolicySource: of all policies, or of those that the tenant made.
    "dms_source_omitted": ("all", "user_define"),
    # What a Deny policy takes away: its privilege by records and Allow policies, or by Allow policies only.
    "dms_deny_reach": ("records", "policies"),
    # SetOwners replaces the owners, or adds to them.
    "dms_set_owners": ("replace", "add"),
    # An empty list of owners, roles, proxies or policies: empty, null, or the field is missing.
    "dms_empty_lists": ("empty", "null", "missing"),
    # A page behind the last one: empty, the last one again, or an error.
    "dms_beyond_end": ("empty", "last", "error"),
    # The audit logs: zone of OpTime, StartTime and EndTime; whether EndTime belongs to the time; order of the rows.
    "dms_log_zone": ("utc", "china"),
    "dms_log_end": ("included", "excluded"),
    "dms_log_order": ("newest", "oldest"),
    # ExecState of ListSQLExecAuditLog: names as in the SDK, or numbers as on the newer page (requests take both).
    "dms_exec_state": ("names", "numbers"),
    # GetOpLog: UserId is the cloud uid, as long as in the vendor's sample, or the id of DMS; Module as in the request,
    # or its title in the language of the console, as in the sample.
    "dms_op_log_user": ("uid", "user_id"),
    "dms_op_log_module": ("code", "label"),
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
    # What a white list entry gives: all menus to any receiver, all menus to workspaces only, or no more than opening.
    "quickbi_white_list": ("all", "workspaces", "opens"),
    # ReceiverType of an organization on a white list: 3 as documented for both, or its own 2.
    "quickbi_white_type": ("documented", "own"),
    # ListWhitePortalMenu of a portal without a white list.
    "quickbi_empty_white_list": ("empty", "null"),
    # Whether a share, the owner of a portal, a workspace administrator or developer see all menus, or the open ones.
    "quickbi_share_reach": ("all", "opens"),
    "quickbi_owner_reach": ("all", "opens"),
    "quickbi_role_reach": ("all", "opens"),
    # Which roles of the organization see all menus without a record.
    "quickbi_admin_reach": ("all", "organization_admin", "none"),
    # The effective answers about a deactivated user: no access, as if it were active, or an error.
    "quickbi_deactivated": ("nothing", "answered", "refused"),
    # ListPortalMenus for a user who sees nothing: an empty tree, a null Result, or Access.Forbidden.
    "quickbi_no_menus": ("empty", "null", "refused"),
    # AdminUser and AuthAdminUser beside RoleIdList: both, only the role ids true, or only the flags (null list).
    "quickbi_admin_flags": ("both", "roles_only", "flags_only"),
    # QueryShareList of a work without shares, and whether QuerySharesToUserList follows groups.
    "quickbi_empty_shares": ("empty", "null"),
    "quickbi_shares_to_user": ("direct", "all"),
    # Shares that have run out in QueryShareList; AddShareReport for a receiver who has one: replaced, or a second one.
    "quickbi_expired_shares": ("hidden", "listed"),
    "quickbi_share_again": ("replace", "second"),
    # CancelReportShare: a comma list or one id; an absent share; an unknown user or group.
    "quickbi_share_ids": ("list", "one"),
    "quickbi_absent_share": ("skipped", "refused"),
    "quickbi_cancel_receivers": ("unchecked", "checked"),
    # DeleteAuthorizationByUserId: refused as soon as a workspace or group record reaches the user, or only without a
    # record of the user's own; whether shares of the work go too; a user without a record.
    "quickbi_delete_inherited": ("refused", "own_record"),
    "quickbi_delete_shares": ("kept", "removed"),
    "quickbi_absent_authorization": ("success", "refused"),
    # AddWorksAuthorization for a receiver who has a record: replaced, or a second one; ExpireDay ends as the day
    # begins, or when it is over (midnight in China, as in the vendor's sample of a listed ExpireDate).
    "quickbi_authorize_again": ("replace", "second"),
    "quickbi_expire_day": ("start", "end"),
    # ListAuthConfigByResource: records that have run out, and the ExpireDate of a permanent one.
    "quickbi_expired_authorizations": ("hidden", "listed"),
    "quickbi_permanent_end": ("far", "null", "empty"),
    # ListDataLevelPermissionWhiteList of an empty list: empty lists, null ones, or no model at all.
    "quickbi_empty_dataset_list": ("empty", "null", "no_model"),
    # AddDataLevelPermissionWhiteList: without OperateType; DELETE without TargetIds takes everybody of the type;
    # DELETE of who is not on the list.
    "quickbi_operate_omitted": ("refused", "add"),
    "quickbi_no_targets": ("refused", "all"),
    "quickbi_absent_target": ("skipped", "refused"),
    # UpdateUser: RoleIds replaces the roles or adds to them; without RoleIds and flags they stay or are no
    # administrator's any more (the flags were mandatory once).
    "quickbi_update_roles": ("replace", "add"),
    "quickbi_update_omitted": ("keep", "reset"),
    # Deactivated members in ListOrganizationRoleUsers.
    "quickbi_role_users": ("all", "active"),
    # A page behind the last one: empty, or the last one again.
    "quickbi_beyond_end": ("empty", "last"),
    # ListRecentViewReports: up to 9999 rows as the request says, or 100 as the answer says; OffsetDay as asked, or 90
    # days at most; whether the totals that are to be withdrawn are still there.
    "quickbi_recent_size": ("9999", "100"),
    "quickbi_recent_days": ("any", "90"),
    "quickbi_recent_totals": ("given", "withdrawn"),
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
