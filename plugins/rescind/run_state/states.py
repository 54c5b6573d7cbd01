"""States of runs and items in words: one vocabulary for pages, report, questions, notes, logs and the command line.

The ledger keeps short machine words. This module turns them into what people read, together with a tone and a sign, so
that color is never the only difference. A run is good only if nothing remains: it is amber whenever anything does.
"""

from __future__ import annotations

from dataclasses import dataclass

from rescind.i18n import mark, tr

GOOD, WARN, BAD, WAITING, WORKING, PLAIN = "good", "warn", "bad", "hold", "live", "plain"
"""Tones: proven; something remains; failed; a person is asked; at work; nothing to say."""

REVOKE, RESTORE = "revoke", "restore"
_DONE = {REVOKE: mark("closed, all proven gone"), RESTORE: mark("closed, all restored")}
_LEFT = {REVOKE: mark("closed, access remains ({count})"), RESTORE: mark("closed, not all restored ({count})")}
_FAILED = {REVOKE: mark("failed, access remains ({count})"), RESTORE: mark("failed, not all restored ({count})")}
_EMPTY = {REVOKE: mark("closed, nothing to revoke"), RESTORE: mark("closed, nothing to restore")}


@dataclass(frozen=True, slots=True)
class StateWords:
    """A state for people.

    :param key: a short name without blanks, for tests and styles.
    :param tone: one of the tones of this module.
    :param sign: one character that goes with the tone.
    :param words: what it means.
    """

    key: str
    tone: str
    sign: str
    words: str

    @property
    def text(self) -> str:
        """The sign and the words, for logs and notes."""
        return f"{self.sign} {self.words}"


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the grants of a run.

    :param items: grants that were to be changed, in a call or held back.
    :param proven: those that are proven gone or were already gone; in a restore, proven restored.
    :param unproven: those whose record is gone while access was not proven gone.
    :param effective: those that are still reachable in another way.
    :param held: those that a guard held back; nothing was sent for them.
    :param kept: grants that the request named and that no call could remove, beside ``items``.
    :param left_out: those of ``held`` that an approver left out.
    """

    items: int = 0
    proven: int = 0
    unproven: int = 0
    effective: int = 0
    held: int = 0
    kept: int = 0
    left_out: int = 0

    @property
    def remaining(self) -> int:
        """Grants whose access remains, as far as the run knows. Those without a proof are not among them."""
        return max(self.items - self.proven - self.unproven, 0) + self.kept

    @property
    def other(self) -> int:
        """Remaining grants that are neither held back nor reachable in another way: still there, or not checked."""
        return max(self.remaining - self.held - self.effective - self.kept, 0)


def closed_state(
    state: str, counts: Counts, *, operation: str = REVOKE, answer: str | None = None, calls: int | None = None
) -> StateWords:
    """Return the state of a run that has ended.

    :param state: the state in the ledger: ``succeeded``, ``failed``, ``rejected``, ``dry_run``, ``abandoned``.
    :param operation: ``revoke`` or ``restore``.
    :param answer: ``approve`` or ``reject``; None without an answer.
    :param calls: calls of the plan; None without a plan.
    """
    if state == "dry_run":
        return StateWords(state, PLAIN, "◇", tr("dry run, nothing sent"))
    if state == "rejected":
        return StateWords(state, PLAIN, "✕", tr("rejected, nothing sent"))
    if state == "failed" and calls and answer is None:
        return StateWords("not_approved", BAD, "✕", tr("not approved, nothing sent"))
    if state == "failed":
        left = counts.remaining and calls is not None
        words = tr(_FAILED[operation], count=counts.remaining) if left else tr("failed")
        return StateWords(state, BAD, "✕", words)
    if state != "succeeded":
        return StateWords(state, PLAIN, "✕" if state == "abandoned" else "·", tr(state.replace("_", " ")))
    if counts.remaining:
        return StateWords("remains", WARN, "▲", tr(_LEFT[operation], count=counts.remaining))
    if counts.unproven:
        return StateWords("not_proven", WARN, "▲", tr("closed, not proven gone ({count})", count=counts.unproven))
    if not counts.items:
        return StateWords("nothing", GOOD, "✓", tr(_EMPTY[operation]))
    return StateWords("proven", GOOD, "✓", tr(_DONE[operation]))


_PROOF = {
    # (nothing was found, of the run over everybody: it has not ended, nothing is left, something is): state
    (False, "pending"): ("proof_pending", WAITING, "●", mark("known access gone, full proof pending{run}")),
    (True, "pending"): ("proof_pending", WAITING, "●", mark("no known access found, full proof pending{run}")),
    (False, "done"): ("proof_done", GOOD, "✓", mark("closed, all proven gone{run}")),
    (True, "done"): ("proof_done", GOOD, "✓", mark("closed, all proven gone{run}")),
    (False, "open"): ("proof_open", WARN, "▲", mark("known access gone, full proof open{run}")),
    (True, "open"): ("proof_open", WARN, "▲", mark("no known access found, full proof open{run}")),
}
_PROOF_BESIDE = {
    "pending": mark("{state}; full proof pending{run}"),
    "done": mark("{state}; full proof closed{run}"),
    "open": mark("{state}; full proof open{run}"),
}


def proof_state(state: StateWords, number: int | None, tone: str) -> StateWords:
    """Return the state of a closed run of known access. Only the run over everybody that follows it proves the rest.

    That run finds nothing more of access that this one could not prove gone, so it makes no state better than its own.

    :param state: the state of the run by itself.
    :param number: of the run that follows; None before it has begun.
    :param tone: of that run's own state; empty before it has ended.
    """
    proof = "pending" if not tone else "done" if tone == GOOD else "open"
    run = tr(" (run {number})", number=number) if number else ""
    if state.tone == GOOD:
        key, own, sign, words = _PROOF[state.key == "nothing", proof]
        return StateWords(key, own, sign, tr(words, run=run))
    return StateWords(state.key, state.tone, state.sign, tr(_PROOF_BESIDE[proof], state=state.words, run=run))


def what_remains(counts: Counts, *, operation: str = REVOKE) -> list[str]:
    """Return what remains after a run, one phrase for each kind; empty when nothing does."""
    back = operation == RESTORE
    parts = (
        (counts.other, mark("{count} not restored") if back else mark("{count} still there or not checked")),
        (counts.effective, mark("{count} still reachable in another way")),
        (counts.held - counts.left_out, mark("{count} skipped") if back else mark("{count} held back")),
        (counts.left_out, mark("{count} kept by the approver")),
        (counts.kept, mark("{count} asked for, but no call of this run can remove them")),
        (counts.unproven, mark("{count} record gone, access not proven gone")),
    )
    return [tr(words, count=count) for count, words in parts if count]


WAITS_FOR_APPROVAL = mark("waiting for approval")

NOT_STARTED = StateWords("not_started", PLAIN, "⊘", mark("not started"))
"""The state of a run that preflight refused."""

_STAGES = {
    WAITS_FOR_APPROVAL: (WAITING, "●"),
    mark("waiting for owners"): (WAITING, "●"),
    mark("blocked"): (WARN, "▲"),
}


# Further stages, states and machine words that reach tr() from a variable.
_OTHERS = (
    mark("starting"), mark("discovering"), mark("deciding"), mark("closing"), mark("rejected"), mark("restoring"),
    mark("revoking"), mark("verifying"), mark("abandoned"), mark("succeeded"),
    mark("user"), mark("group"), mark("role"), mark("platform role"), mark("project"), mark("organization"),
    mark("workspace"), mark("everyone"), mark("menu"), mark("table"), mark("database"), mark("logical table"),
    mark("logical database"), mark("instance"), mark("catalog"), mark("schema"), mark("data source"),
    mark("accepted"), mark("unknown"), mark("no answer yet"), mark("active"), mark("left"),
    mark("discover"), mark("plan"), mark("revoke"), mark("restore"), mark("verify"),
)  # fmt: skip


def live_state(stage: str) -> StateWords:
    """Return the state of a run that has not ended, from its stage in words."""
    tone, sign = _STAGES.get(stage, (WORKING, "◔"))
    return StateWords(stage.replace(" ", "_"), tone, sign, tr(stage))


def answered_state(answer: str, *, automatic: bool = False) -> StateWords:
    """Return the state of a run right after its approval was answered.

    :param answer: ``approve`` or ``reject``.
    :param automatic: whether a rule answered.
    """
    if answer != "approve":
        return closed_state("rejected", Counts())
    return StateWords("approved", WORKING, "◔", tr("approved automatically") if automatic else tr("approved"))


def returned_state(count: int) -> StateWords:
    """Return the state of a watch that found regrants.

    :param count: grants that were proven gone and are present again.
    """
    return StateWords("came_back", BAD, "↺", tr("came back ({count})", count=count))


_KEPT_BY = "kept by "


def kept_by(name: str, comment: str) -> str:
    """Return the reason of a grant that an approver left out of the plan."""
    return f"{_KEPT_BY}{name}: {comment}"


def was_left_out(state: str, reason: str) -> bool:
    """Return whether an item was left out by an approver, by its state and its reason."""
    return state == "held" and reason.startswith(_KEPT_BY)


_ITEMS: dict[str, tuple[str, str]] = {
    "planned": (mark("will go"), PLAIN),
    "approved": (mark("will go"), PLAIN),
    "sent": (mark("sent, no answer yet"), WARN),
    "accepted": (mark("sent"), PLAIN),
    "refused": (mark("refused"), BAD),
    "unknown": (mark("sent, answer unknown"), WARN),
    "held": (mark("held back"), WAITING),
    "kept": (mark("kept by the approver"), WAITING),
    "stale": (mark("changed since the plan"), WARN),
    "expired": (mark("not sent in time"), WARN),
    "restored": (mark("restored"), GOOD),
    "not_sent": (mark("not sent"), WARN),
    "verified_gone": (mark("proven gone"), GOOD),
    "already_absent": (mark("was already gone"), GOOD),
    "record_gone": (mark("record gone, access not proven gone"), WARN),
    "still_present": (mark("still there"), BAD),
    "still_effective": (mark("still reachable"), WARN),
    "unverified": (mark("not checked"), WARN),
    "without_verdict": (mark("not checked"), WARN),
    "scope_incomplete": (mark("listing incomplete"), BAD),
    "kept_lost": (mark("retained, missing"), BAD),
    "complete": (mark("complete"), GOOD),
    "named_people": (mark("named people only"), PLAIN),
    "known_access": (mark("known access only"), PLAIN),
    "incomplete": (mark("incomplete"), BAD),
}
"""Item states, verdicts and kinds of finding: their words and their tone."""


def words_of(name: str) -> str:
    """Return the words for an item state, a verdict or a kind of finding; unknown names without their underscores."""
    return tr(_ITEMS[name][0] if name in _ITEMS else name.replace("_", " "))


def tone_of(name: str) -> str:
    """Return the tone of an item state, a verdict or a kind of finding."""
    return _ITEMS[name][1] if name in _ITEMS else PLAIN


GONE, GOES, STAYS = "gone", "goes", "stays"
_RECORD_GONE = ("verified_gone", "already_absent", "record_gone", "still_effective")
_ON_THE_WAY = dict.fromkeys(("planned", "approved"), "not_sent") | dict.fromkeys(
    ("sent", "accepted"), "without_verdict"
)
"""States of items that go, and what they are once the run can do nothing more."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one record of access in a run: ``gone``, ``goes`` or ``stays``, and that in words."""

    kind: str
    words: str


def fate_of(state: str, verdict: str, *, can_send: bool, reason: str = "") -> Fate:
    """Return the fate of a planned item. It is gone only when a listing showed that its record is.

    An access that is still effective has lost this record; the path that remains is another one.

    :param verdict: the latest verdict, or empty.
    :param reason: why the item is in its state; it names the approver who left it out.
    :param can_send: whether the run can still send and check; without it, nothing goes any more.
    """
    if verdict in _RECORD_GONE:
        return Fate(GONE, tr("record gone"))
    if not verdict and was_left_out(state, reason):
        return Fate(STAYS, reason)
    if verdict or state not in _ON_THE_WAY:
        return Fate(STAYS, words_of(verdict or state))
    return Fate(GOES, words_of(state)) if can_send else Fate(STAYS, words_of(_ON_THE_WAY[state]))
