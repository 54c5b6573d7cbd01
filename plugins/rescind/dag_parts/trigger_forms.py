"""Fields of the trigger forms, shared by the DAGs. Constants only: a changing default would make a new DAG version.

Their words are in the language of the environment variable ``RESCIND_LANGUAGE`` of the DAG processor: a DAG file must
not read settings while it is parsed. Values are the same in every language.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from airflow.sdk import Param

from rescind.i18n import known_language, mark, reading, tr
from rescind.systems import form_labels

LANGUAGE = "RESCIND_LANGUAGE"
P = ParamSpec("P")
_DRY_RUN = {
    "revokes": mark("**On**: stops after the plan and changes nothing. **Off**: asks for approval, then revokes."),
    "restores": mark("**On**: stops after the plan and changes nothing. **Off**: asks for approval, then restores."),
}


def _in_language(make: Callable[P, dict[str, Param]]) -> Callable[P, dict[str, Param]]:
    @wraps(make)
    def made(*args: P.args, **kwargs: P.kwargs) -> dict[str, Param]:
        with reading(known_language(os.environ.get(LANGUAGE, ""))):
            return make(*args, **kwargs)

    return made


@_in_language
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
            title=tr("Systems"),
            description_md=tr("Empty: every system in the setting `connections`."),
            section=tr("What"),
        )
    }


@_in_language
def target_params() -> dict[str, Param]:
    """Return the fields for principals and resources."""
    return {
        "principals": Param(
            [],
            type=["array", "null"],
            items={"type": "string"},
            title=tr("Principals"),
            description_md=tr(
                "One per line: the exact id of a person in the roster, an account id of a platform, a mail, or a "
                "name that only one person has. An account that no roster knows needs its id space, for example "
                "quickbi_user_id:4611."
            ),
            section=tr("What"),
        ),
        "resources": Param(
            [],
            type=["array", "null"],
            items={"type": "string"},
            title=tr("Resources"),
            description_md=tr("One exact resource id per line. With principals: only their grants on these resources."),
            section=tr("What"),
        ),
    }


@_in_language
def restore_params() -> dict[str, Param]:
    """Return the fields that select what to restore."""
    return {
        "run": Param(
            None,
            type=["null", "string"],
            pattern=r"^[A-Za-z0-9-]{0,60}$",
            title=tr("Run to restore"),
            description_md=tr(
                "Number or id of the run that revoked the access, for example `17` or `run-000017-0f3a9c1e`. Its "
                "latest bundle is verified. Leave it empty if you name the bundle."
            ),
            section=tr("What"),
        ),
        "bundle": Param(
            None,
            type=["null", "string"],
            maxLength=1000,
            title=tr("Or its evidence bundle"),
            description_md=tr(
                "Folder of the run's latest bundle: its name, or its path or URL in the evidence folder. The bundle"
                " is verified and compared with the ledger first."
            ),
            section=tr("What"),
        ),
        "principals": Param(
            [],
            type=["array", "null"],
            items={"type": "string"},
            title=tr("Principals"),
            description_md=tr("One exact id per line, as the platform spells it. Empty: every principal."),
            section=tr("What"),
        ),
        "grants": Param(
            [],
            type=["array", "null"],
            items={"type": "string"},
            title=tr("Grants"),
            description_md=tr("One grant id per line, from the run's bundle. Empty: every grant that the run revoked."),
            section=tr("What"),
        ),
        "max_restores": Param(
            None,
            type=["null", "integer"],
            minimum=0,
            title=tr("Maximum number of grants to restore"),
            description_md=tr("Empty: the deployment's limit. A lower value here applies. `0` means none."),
            section=tr("Safety"),
        ),
    }


@_in_language
def reason_params(*, required: bool) -> dict[str, Param]:
    """Return the fields for reason and ticket."""
    return {
        "reason": Param(
            None if required else "Access review",
            type="string" if required else ["string", "null"],
            minLength=5 if required else 0,
            maxLength=500,
            title=tr("Reason"),
            description_md=tr("Shown to the approver and stored as evidence."),
            section=tr("Why"),
        ),
        "ticket": Param(
            "",
            type=["string", "null"],
            pattern=r"^[A-Za-z0-9._#/-]{0,60}$",
            title=tr("Ticket"),
            description_md=tr("Ticket id, if there is one."),
            section=tr("Why"),
        ),
    }


@_in_language
def dry_run_param(act: str = "revokes", schedule: str = "") -> dict[str, Param]:
    """Return the dry-run switch, which is on by default.

    :param act: what happens after the approval: ``revokes`` or ``restores``.
    :param schedule: when the DAG also starts by itself. A paused DAG is unpaused by the dialog that triggers it.
    """
    also = " " + tr("Unpausing the DAG in this dialog also starts its schedule: {schedule}.", schedule=schedule)
    also = also if schedule else ""
    return {
        "dry_run": Param(
            True,
            type="boolean",
            title=tr("Dry run"),
            description_md=tr(_DRY_RUN[act]) + also,
            section=tr("Safety"),
        )
    }


@_in_language
def review_params() -> dict[str, Param]:
    """Return the fields about who answers, for a review by policy."""
    return {
        "ask_owners": Param(
            None,
            type=["null", "boolean"],
            title=tr("Ask the owners of resources"),
            description_md=tr(
                "**On**: the owner of each resource is asked about the grants that the policy marks with `ask`. "
                "Empty: the deployment's setting applies. If owners are not asked, these grants stay."
            ),
            section=tr("Who answers"),
        ),
        "automatic": Param(
            False,
            type="boolean",
            title=tr("Automatic approval"),
            description_md=tr(
                "**On**: no person approves the plan if the setting `automatic_approval` allows it. Otherwise a "
                "person is asked."
            ),
            section=tr("Who answers"),
        ),
    }


@_in_language
def cap_params() -> dict[str, Param]:
    """Return the caps. The lower of form value and deployment limit applies; 0 means none."""
    return {
        "max_revocations": Param(
            None,
            type=["null", "integer"],
            minimum=0,
            title=tr("Maximum number of grants to revoke"),
            description_md=tr("Empty: the deployment's limit. A lower value here applies. `0` means none."),
            section=tr("Safety"),
        ),
        "max_percent": Param(
            None,
            type=["null", "integer"],
            minimum=0,
            maximum=100,
            title=tr("Maximum share of all grants, in percent"),
            description_md=tr("Empty: the deployment's limit. A lower value here applies. `0` means none."),
            section=tr("Safety"),
        ),
    }


@_in_language
def sparse_param() -> dict[str, Param]:
    """Return the switch for the shortest plan, which the deployment must allow."""
    return {
        "sparse": Param(
            False,
            type="boolean",
            title=tr("Fewest possible calls (Quick BI)"),
            description_md=tr(
                "A call may cover menu and user pairs without a grant. Those menus are listed again right before "
                "each call. Needs the setting `allow_sparse`."
            ),
            section=tr("Safety"),
        )
    }


@_in_language
def closing_param() -> dict[str, Param]:
    """Return the choice about other paths to an access that the plan ends."""
    return {
        "close_paths": Param(
            "report",
            type="string",
            enum=["report", "own", "all"],
            values_display={
                "report": tr("Only list what would close them"),
                "own": tr("End the person's own memberships, roles and shares too"),
                "all": tr("End grants of groups too, from which others lose access"),
            },
            title=tr("Other paths to the same access"),
            description_md=tr(
                "For example a group with the same right. **Only list**: the approver and the report see the fewest"
                " removals that would close these paths, with the least other access lost. **End own**: the "
                "person's own memberships, roles, shares and proxy accounts that are such a path become part of the"
                " plan. The approver sees what else the person loses. **End grants of groups**: grants of groups "
                "become part of the plan too, if that takes fewer removals or less other access, or nothing else "
                "closes the path. The approver sees everybody who loses access."
            ),
            section=tr("What"),
        )
    }
