"""Fields of the trigger forms, shared by the DAGs. Constants only: a changing default would make a new DAG version."""

from __future__ import annotations

from airflow.sdk import Param

from rescind.systems import form_labels


def system_param() -> dict[str, Param]:
    """Return the field for the permission systems that the run covers."""
    labels = form_labels()
    return {
        "systems": Param(
            [],
            type=["array", "null"],
            items={"type": "string"},
            examples=list(labels),
            values_display=labels,
            title="Systems",
            description_md="Empty: every system in the setting `connections`.",
            section="What",
        )
    }


def target_params() -> dict[str, Param]:
    """Return the fields for principals and resources."""
    return {
        "principals": Param(
            [],
            type=["array", "null"],
            items={"type": "string"},
            title="Principals",
            description_md="One per line: the exact id of a person in the roster, an account id of a platform, a mail, "
            "or a name that only one person has. An account that no roster knows needs its id space, for example "
            "quickbi_user_id:4611.",
            section="What",
        ),
        "resources": Param(
            [],
            type=["array", "null"],
            items={"type": "string"},
            title="Resources",
            description_md="One exact resource id per line. With principals: only their grants on these resources.",
            section="What",
        ),
    }


def restore_params() -> dict[str, Param]:
    """Return the fields that select what to restore."""
    return {
        "run": Param(
            None,
            type=["null", "string"],
            pattern=r"^[A-Za-z0-9-]{0,60}$",
            title="Run to restore",
            description_md="Number or id of the run that revoked the access, for example `17` or "
            "`run-000017-0f3a9c1e`. Its latest bundle is verified. Leave it empty if you name the bundle.",
            section="What",
        ),
        "bundle": Param(
            None,
            type=["null", "string"],
            maxLength=1000,
            title="Or its evidence bundle",
            description_md="Folder of the run's latest bundle: its name, or its path or URL in the evidence folder. "
            "The bundle is verified and compared with the ledger first.",
            section="What",
        ),
        "principals": Param(
            [],
            type=["array", "null"],
            items={"type": "string"},
            title="Principals",
            description_md="One exact id per line, as the platform spells it. Empty: every principal.",
            section="What",
        ),
        "grants": Param(
            [],
            type=["array", "null"],
            items={"type": "string"},
            title="Grants",
            description_md="One grant id per line, from the run's bundle. Empty: every grant that the run revoked.",
            section="What",
        ),
        "max_restores": Param(
            None,
            type=["null", "integer"],
            minimum=0,
            title="Maximum number of grants to restore",
            description_md="Empty: the deployment's limit. A lower value here applies. `0` means none.",
            section="Safety",
        ),
    }


def reason_params(*, required: bool) -> dict[str, Param]:
    """Return the fields for reason and ticket."""
    return {
        "reason": Param(
            None if required else "Access review",
            type="string" if required else ["string", "null"],
            minLength=5 if required else 0,
            maxLength=500,
            title="Reason",
            description_md="Shown to the approver and stored as evidence.",
            section="Why",
        ),
        "ticket": Param(
            "",
            type=["string", "null"],
            pattern=r"^[A-Za-z0-9._#/-]{0,60}$",
            title="Ticket",
            description_md="Ticket id, if there is one.",
            section="Why",
        ),
    }


def dry_run_param(act: str = "revokes", schedule: str = "") -> dict[str, Param]:
    """Return the dry-run switch, which is on by default.

    :param act: what happens after the approval.
    :param schedule: when the DAG also starts by itself. A paused DAG is unpaused by the dialog that triggers it.
    """
    also = f" Unpausing the DAG in this dialog also starts its schedule: {schedule}." if schedule else ""
    return {
        "dry_run": Param(
            True,
            type="boolean",
            title="Dry run",
            description_md=f"**On**: stops after the plan and changes nothing. **Off**: asks for approval, then {act}."
            + also,
            section="Safety",
        )
    }


def review_params() -> dict[str, Param]:
    """Return the fields about who answers, for a review by policy."""
    return {
        "ask_owners": Param(
            None,
            type=["null", "boolean"],
            title="Ask the owners of resources",
            description_md="**On**: the owner of each resource is asked about the grants that the policy marks with "
            "`ask`. Empty: the deployment's setting applies. If owners are not asked, these grants stay.",
            section="Who answers",
        ),
        "automatic": Param(
            False,
            type="boolean",
            title="Automatic approval",
            description_md="**On**: no person approves the plan if the setting `automatic_approval` allows it. "
            "Otherwise a person is asked.",
            section="Who answers",
        ),
    }


def cap_params() -> dict[str, Param]:
    """Return the caps. The lower of form value and deployment limit applies; 0 means none."""
    return {
        "max_revocations": Param(
            None,
            type=["null", "integer"],
            minimum=0,
            title="Maximum number of grants to revoke",
            description_md="Empty: the deployment's limit. A lower value here applies. `0` means none.",
            section="Safety",
        ),
        "max_percent": Param(
            None,
            type=["null", "integer"],
            minimum=0,
            maximum=100,
            title="Maximum share of all grants, in percent",
            description_md="Empty: the deployment's limit. A lower value here applies. `0` means none.",
            section="Safety",
        ),
    }


def sparse_param() -> dict[str, Param]:
    """Return the switch for the shortest plan, which the deployment must allow."""
    return {
        "sparse": Param(
            False,
            type="boolean",
            title="Fewest possible calls (Quick BI)",
            description_md="A call may cover menu and user pairs without a grant. Those menus are listed again right "
            "before each call. Needs the setting `allow_sparse`.",
            section="Safety",
        )
    }


def closing_param() -> dict[str, Param]:
    """Return the choice about other paths to an access that the plan ends."""
    return {
        "close_paths": Param(
            "report",
            type="string",
            enum=["report", "own", "all"],
            values_display={
                "report": "Name what would close them",
                "own": "End the person's own memberships, roles and shares too",
                "all": "End grants of groups too, from which others lose access",
            },
            title="Other paths to the same access",
            description_md="For example a group with the same right. **Name**: the approver and the report see the "
            "cheapest removals that would close them. **End own**: memberships, roles, shares and proxy accounts of "
            "the same person that are among them become part of the plan. The approver sees what else goes with them. "
            "**End grants of groups**: also other grants become part of the plan, where that is cheaper or the only "
            "way. The approver sees everybody who loses something.",
            section="What",
        )
    }
