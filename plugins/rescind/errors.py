"""Every error that this package raises, in one tree.

::

    RescindError
     +-- InputError                      a value that a person or a file gave: field, shape and remedy
     +-- ConfigurationError              a connection, pool, policy or setting is missing or wrong
     +-- GuardTrippedError               a safety limit stopped the run; carries limit and measured value
     +-- PlanError                       the plan to execute is not the plan that was approved
     |    +-- PlanStaleError             too old, or the platform or the code has changed since
     |    +-- BlastRadiusExceededError   a request would touch something outside the approved effect
     |    +-- NotApprovedError           no valid approval for exactly this plan
     +-- LedgerError                     the ledger did not answer or refused; without it nothing is sent
     |    +-- LeaseLostError             another process has taken this batch over
     +-- RunStoppedError                 the kill switch is set
     |    +-- RetainedGrantLostError     a retained grant is gone; its run sends nothing more
     +-- RunInterruptedError             stopped between two calls for a passing reason; a later try goes on
     +-- ListingIncompleteError          a listing that cannot prove absence; says what is missing
     +-- CloudError                      a vendor answered, or failed to; carries code, request id, status
          +-- ThrottledError             not executed: too many requests; ``retry_after`` in seconds if given
          +-- TransientError             not executed, or a read: worth another try
          +-- RefusedError               the vendor understood and said no
          +-- UnauthorizedError          key, signature, token or right is wrong; non-retryable
          +-- NotFoundError              the vendor says that the named thing is not there
          +-- MalformedResponseError     a response that breaks the contract; says nothing about the effect of a read
          +-- UnknownOutcomeError        a write may or may not have happened: read before anything else
"""

from __future__ import annotations


class RescindError(Exception):
    """Base of every error of this package."""


class InputError(RescindError):
    """A value from outside is unusable.

    :param field: where the value stands (form field, file and line, column).
    :param problem: what is wrong, with the shape of the value rather than the value where it may be secret.
    :param remedy: what to do about it.
    """

    def __init__(self, field: str, problem: str, remedy: str) -> None:
        super().__init__(f"{field}: {problem}. {remedy}")
        self.field = field
        self.problem = problem
        self.remedy = remedy


class ConfigurationError(RescindError):
    """A connection, pool, policy or setting is missing or wrong; the message names the remedy."""


class GuardTrippedError(RescindError):
    """A safety limit stopped the run before anything was revoked.

    :param guard: which guard.
    :param limit: the configured limit, as text.
    :param measured: what was measured, as text.
    """

    def __init__(self, guard: str, limit: str, measured: str, remedy: str) -> None:
        super().__init__(f"guard {guard}: limit {limit}, measured {measured}. {remedy}")
        self.guard = guard
        self.limit = limit
        self.measured = measured


class PlanError(RescindError):
    """The plan to execute is not the plan that was approved."""


class PlanStaleError(PlanError):
    """The plan is too old, or the code, the account or the platform has changed since."""


class BlastRadiusExceededError(PlanError):
    """A final request would touch something outside the approved effect; it was not sent."""


class NotApprovedError(PlanError):
    """There is no valid approval for exactly this plan; nothing was sent."""


class LedgerError(RescindError):
    """The ledger did not answer or refused a write. Without it nothing is sent."""


class LeaseLostError(LedgerError):
    """Another process has taken this batch over; this one stops."""


class RunStoppedError(RescindError):
    """The kill switch is set; the run stops between calls and can be resumed."""


class RetainedGrantLostError(RunStoppedError):
    """A grant that was to be kept is gone; the run sends nothing more."""


class RunInterruptedError(RescindError):
    """Stopped between two calls: the worker ends, or nobody can say whether the kill switch is set.

    Nothing is lost; a later try goes on from here.
    """


class ListingIncompleteError(RescindError):
    """A listing that cannot prove absence.

    :param what: the listing, for example ``ListTable(catalog=demo)``.
    :param missing: what is missing, for example ``37 rows declared, 30 distinct rows read``.
    :param shifted: True where the rows may have moved between two pages, so that reading again may help.
    """

    def __init__(self, what: str, missing: str, *, shifted: bool = False) -> None:
        super().__init__(f"{what} is incomplete: {missing}")
        self.what = what
        self.missing = missing
        self.shifted = shifted


class CloudError(RescindError):
    """A vendor's answer, or the lack of one, as data.

    :param vendor: ``tencent`` or ``alibaba``.
    :param action: the API action.
    :param code: the vendor's error code, or empty.
    :param request_id: the vendor's request id, or empty.
    :param http_status: HTTP status, or None when no answer arrived.
    :param retry_after: seconds to wait as the vendor asked for, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        vendor: str,
        action: str,
        code: str = "",
        request_id: str = "",
        http_status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        where = f"{vendor} {action}"
        facts = ", ".join(
            part
            for part in (
                f"code {code}" if code else "",
                f"HTTP {http_status}" if http_status is not None else "",
                f"request {request_id}" if request_id else "",
            )
            if part
        )
        super().__init__(f"{where}: {message}" + (f" ({facts})" if facts else ""))
        self.vendor = vendor
        self.action = action
        self.code = code
        self.request_id = request_id
        self.http_status = http_status
        self.retry_after = retry_after


class ThrottledError(CloudError):
    """Not executed: too many requests."""


class TransientError(CloudError):
    """Not executed, or a read that failed for a passing reason."""


class RefusedError(CloudError):
    """The vendor understood the request and said no."""


class UnauthorizedError(CloudError):
    """Key, signature, token or right is wrong; no retry mends it."""


class NotFoundError(CloudError):
    """The vendor says that the named thing is not there; no proof that a grant is gone."""


class MalformedResponseError(CloudError):
    """An answer that breaks the vendor's contract."""


class UnknownOutcomeError(CloudError):
    """A write may or may not have happened: read before anything else."""


def first_of(error: BaseException) -> BaseException:
    """The first plain exception inside nested exception groups: one error with one remedy for a person."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
