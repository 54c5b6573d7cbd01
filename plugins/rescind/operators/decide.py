"""Seal, decide and plan: from a snapshot to a frozen plan."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from rescind.errors import ListingIncompleteError
from rescind.ledger import Ledger
from rescind.operators.bases.review import ReviewOperator
from rescind.operators.canary import named_batches
from rescind.review import Decider
from rescind.review.fact_tuples import FactTuples
from rescind.settings import ReviewRequest
from rescind.workflow.closing.decisions import plan_closings
from rescind.workflow.closing.residual_access import note_residual_access
from rescind.workflow.inputs import decision_context, inputs_of
from rescind.workflow.offboarding.named_people import sealed_people
from rescind.workflow.planner_of_run import planner_of_run
from rescind.workflow.question.owner_questions import asked_decisions, put_questions
from rescind.workflow.references import BatchRef, QuestionRef

if TYPE_CHECKING:
    from airflow.sdk import Context


class SealOperator(ReviewOperator):
    """Close the snapshot and report, per system and account, whether it is complete.

    Incomplete scopes are reported. Later stages leave them out.
    """

    LABELS: ClassVar[dict[str, str]] = {
        "task_display_name": "Seal snapshot",
        "doc_md": "Closes the snapshot. An incomplete scope is reported and left out of the plan.",
    }

    def review(self, context: Context, ledger: Ledger) -> dict[str, Any]:
        """Seal the snapshot.

        :raises ListingIncompleteError: when no scope is complete.
        """
        run = self.run_of(context, ledger)
        sealed = ledger.scopes.seal(run.run_id, sealed_people(ledger, run))
        for scope in sealed.scopes:
            level = self.log.info if scope.state == "complete" else self.log.error
            figures = f"{scope.counted} grants, {scope.pages} pages, {scope.dangling} dangling references"
            level("%s %s: %s, %s %s", scope.system, scope.account, scope.state, figures, scope.error)
        if not any(sealed.complete.values()):
            raise ListingIncompleteError(
                "the snapshot", "no scope is complete, so nothing can be decided; see the discover tasks"
            )
        return {
            "snapshot": sealed.digest,
            "complete": sum(sealed.complete.values()),
            "incomplete": len(sealed.complete) - sum(sealed.complete.values()),
        }


class DecideOperator(ReviewOperator):
    """Give every grant of the snapshot one decision with rule and reason, and write the questions to owners.

    :returns: one ``{"question": digest, "label": text}`` for each question, for mapping; none in most runs.
    """

    LABELS: ClassVar[dict[str, str]] = {
        "task_display_name": "Decide",
        "doc_md": "Applies policy, roster, exceptions and protections to every grant.",
    }

    def review(self, context: Context, ledger: Ledger) -> list[QuestionRef]:
        """Decide every grant."""
        run = self.run_of(context, ledger)
        owners = inputs_of(ledger, run).owners
        decider = Decider(decision_context(ledger, run))
        counts = ledger.decisions.write_sets(run.run_id, FactTuples(decider))
        for (choice, rule), grants in Counter(counts.rules).most_common():
            self.log.info("%6d  %s: %s", grants, choice, rule)
        for line in decider.people.uncertain_lines():
            self.log.warning(line)
        self.log.info("%d decided: %d to keep, %d to revoke", counts.decided, counts.keep, counts.revoke)
        if owners is None:
            return []
        asked = asked_decisions(ledger, run, decider)
        questions, own = put_questions(ledger, run, owners, decider, asked)
        self.log.info(
            "%d questions to owners; %d grants are kept: only their holder could answer",
            len(questions),
            len(own),
        )
        return questions


class PlanOperator(ReviewOperator):
    """Turn decisions into the fewest calls, check every guard, and freeze the effects under one digest.

    :returns: one ``{"batch": id, "label": text}`` for each canary batch; none for a small plan or a dry run. What is
        sent comes from :class:`~rescind.operators.questions.approve_part.ApprovePartOperator`, which may have a
        smaller plan, and from :class:`~rescind.operators.canary.ProceedOperator`.
    """

    LABELS: ClassVar[dict[str, str]] = {
        "task_display_name": "Plan",
        "doc_md": "Finds the fewest calls, applies the guards, and freezes the plan under one digest.",
    }

    def review(self, context: Context, ledger: Ledger) -> list[BatchRef]:
        """Freeze the plan.

        :raises GuardTrippedError: when a cap or another guard stops the run.
        """
        run = self.run_of(context, ledger)
        settings = self.settings_of(ledger, run)
        answered = ledger.questions.apply(run.run_id)
        self.log.info("%d grants to revoke by the answers of their owners", answered)
        allowed = ReviewRequest.model_validate(dict(run.params)).close_paths
        first = planner_of_run(ledger, run, settings)
        closings = None if allowed == "report" else plan_closings(ledger, run, first, allowed=allowed)
        planner = planner_of_run(ledger, run, settings)
        plan = planner.freeze(now=datetime.now(UTC))
        for line in planner.lines():
            self.log.info(line)
        self.log.info("plan %s: %d items (held ones included) in %d calls", plan.digest[:12], plan.items, plan.calls)
        for line in note_residual_access(ledger, run, closings):
            self.log.info(line)
        if run.dry_run:
            return []
        return named_batches(ledger, run, canary=True)
