"""The three words about the use of a grant: used on a day, not seen in some days, not known.

"Never used" is not one of them: no platform can show that. What is not known is never a reason to revoke.
"""

from __future__ import annotations

NOT_KNOWN = "not known"
LONG_DAYS = 90
"""Days without a use from which people are told."""


def last_use_words(days: int | None, on: str, how: str, *, plain: bool = False) -> str:
    """Return the words, with what shows it.

    :param days: ``last_used_days`` of a grant, ``on`` its ``last_used_on``, ``how`` its ``last_use``.
    :param plain: leave out why nothing is known.
    """
    if days is None:
        return f"{NOT_KNOWN} ({how})" if how and not plain else NOT_KNOWN
    if on:
        return f"used on {on} ({how})"
    return f"not seen in {days} {'day' if days == 1 else 'days'} ({how})"


def long_unused(days: int | None) -> bool:
    """Return whether a use was looked for in vain for long; never where nothing is known."""
    return days is not None and days >= LONG_DAYS
