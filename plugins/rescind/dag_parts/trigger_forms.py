"""Fields of the trigger forms, shared by the DAGs; constants only, so that parsing makes no new DAG version."""

from __future__ import annotations

from airflow.sdk import Param

from rescind.systems import REGISTRY


def system_param() -> dict[str, Param]:
    """Which permission systems the run covers."""
    labels = {name: system.form_label for name, system in REGISTRY.items()}
    return {
        "systems": Param(
            [],
            type=["array", "null"],
            items={"type": "string"},
            examples=list(labels),
            values_display=labels,
            title="Systems",
            description_md="Leave empty for all systems that the deployment names.",
            section="What",
        )
    }


def target_params() -> dict[str, Param]:
    """Whose access, on what."""
    return {
        "principals": Param(
            [],
            type=["array", "null"],
            items={"type": "string"},
            title="Principals",
            description_md="One exact id per line: a person of the roster, or an account id of a platform.",
            section="What",
        ),
        "resources": Param(
            [],
            type=["array", "null"],
            items={"type": "string"},
            title="Resources",
            description_md="One exact resource id per line. With principals: only their grants on these.",
            section="What",
        ),
    }


def restore_params() -> dict[str, Param]:
    """What is to be given back."""
    return {
        "run": Param(
            None,
            type=["null", "string"],
            pattern=r"^[A-Za-z0-9-]{0,60}$",
            title="Run to undo",
            description_md="Number or id of the run that took it away, for example `17` or `run-000017-0f3a9c1e`. "
            "Or name its bundle.",
            section="What",
        ),
        "bundle": Param(
            None,
            type=["null", "string"],
            maxLength=1000,
            title="Or its bundle",
            description_md="Folder of its last bundle: its name, or path or URL below the deployment's evidence. It is "
            "verified, and held against the ledger, before anything else.",
            section="What",
        ),
        "principals": Param(
            [],
            type=["array", "null"],
            items={"type": "string"},
            title="Principals",
            description_md="One exact id per line, as the platform names it. Empty: everybody.",
            section="What",
        ),
        "grants": Param(
            [],
            type=["array", "null"],
            items={"type": "string"},
            title="Grants",
            description_md="One grant id per line, from the run's bundle. Empty: everything that was taken away.",
            section="What",
        ),
        "max_restores": Param(
            None,
            type=["null", "integer"],
            minimum=0,
            title="Most grants to give back",
            description_md="Empty: the deployment's ceiling. `0` means none.",
            section="Safety",
        ),
    }


def reason_params(*, required: bool) -> dict[str, Param]:
    """Why: kept as evidence."""
    return {
        "reason": Param(
            None if required else "Access review",
            type="string" if required else ["string", "null"],
            minLength=5 if required else 0,
            maxLength=500,
            title="Reason",
            description_md="Kept as evidence and shown to the approver.",
            section="Why",
        ),
        "ticket": Param(
            "",
            type=["string", "null"],
            pattern=r"^[A-Za-z0-9._#/-]{0,60}$",
            title="Ticket",
            description_md="Id of the ticket, if there is one.",
            section="Why",
        ),
    }


def dry_run_param(act: str = "revokes") -> dict[str, Param]:
    """Safe by default. ``act``: what happens after the approval."""
    return {
        "dry_run": Param(
            True,
            type="boolean",
            title="Dry run",
            description_md=f"**On**: everything up to the plan. **Off**: asks for approval, then {act}.",
            section="Safety",
        )
    }


def review_params() -> dict[str, Param]:
    """Who is asked, in a review by policy."""
    return {
        "ask_owners": Param(
            None,
            type=["null", "boolean"],
            title="Ask the owners of resources",
            description_md="**On**: grants that the policy marks with `ask` are put to the owners of their resources. "
            "Empty: as the deployment says. Without questions such grants stay.",
            section="Who answers",
        ),
        "automatic": Param(
            False,
            type="boolean",
            title="Automatic approval",
            description_md="**On**: no person approves, where the deployment's `automatic_approval` allows it for this "
            "plan; else a person is asked.",
            section="Who answers",
        ),
    }


def cap_params() -> dict[str, Param]:
    """Belts: the smaller of these and the deployment's own ceilings counts; 0 means none."""
    return {
        "max_revocations": Param(
            None,
            type=["null", "integer"],
            minimum=0,
            title="Most grants to revoke",
            description_md="Empty: the deployment's ceiling. `0` means none.",
            section="Safety",
        ),
        "max_percent": Param(
            None,
            type=["null", "integer"],
            minimum=0,
            maximum=100,
            title="Most of the population, in percent",
            description_md="Empty: the deployment's ceiling. `0` means none.",
            section="Safety",
        ),
    }


def sparse_param() -> dict[str, Param]:
    """The shortest plan, where the deployment allows it."""
    return {
        "sparse": Param(
            False,
            type="boolean",
            title="Fewest calls of all (Quick BI)",
            description_md="Calls may reach over places where nobody holds anything; each is sent right after these "
            "places were read again. Needs `allow_sparse` in the settings.",
            section="Safety",
        )
    }
