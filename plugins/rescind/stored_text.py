"""Sentences that the ledger and the bundles hold in English, shown in the language of the reader.

What is stored, hashed and exported never changes. Each stored sentence is a template of this list, filled with values;
it is recognized as a whole, and the translated template gets the same values. What fits no template is shown as it is.
"""

from __future__ import annotations

import re
from functools import lru_cache

from rescind.i18n import SOURCE, current, mark, tr

TEMPLATES = (
    mark("the request does not name this grant"),
    mark("no rule applies"),
    mark("break-glass account"),
    mark("last administrator"),
    mark("the tool's own identity"),
    mark("comes with the data source, not with an authorization"),
    mark("column permissions have no revoke call in this API version"),
    mark("the menu is open to everybody who can open the portal"),
    mark("present in complete listings"),
    mark("already re-granted by somebody else; nothing was sent"),
    mark("already re-granted with a different level or expiry; skipped"),
    mark("it would have expired by now ({time})"),
    mark("would leave {resource} without a holder of {right} ({going} of {holders} would go)"),
    mark("cannot be restored: {reason}"),
    mark("no call grants exactly this again"),
    mark("kept by {name}: {comment}"),
    mark("closes the path {reason}"),
    mark("still present after a refusal"),
    mark("still present after an unknown outcome"),
    mark("re-granted after it was sent"),
    mark("a direct grant: {what}"),
    mark("direct grant: {what}"),
    mark("all users: {what}"),
    mark("group {id}: {what}"),
    mark("role {id}: {what}"),
    mark("project {id}: {what}"),
    mark("organization {id}: {what}"),
    mark("take {what} away from all users"),
    mark("remove {what}"),
    mark("end it by hand: {reason}"),
    mark("take the person out of {place}, or remove {what} from it"),
    mark(
        "{grants} grants of {people} principals are represented by hashes: their decisions, and that they were"
        " retained, are not in this bundle"
    ),
    mark("yes"),
    mark("no vendor action"),
    mark("asked for the people concerned"),
    mark("not asked in this run"),
    mark("yes, with {count} gaps: {reason}"),
    mark("not known"),
    mark("not known ({reason})"),
    mark("used on {day} ({reason})"),
    mark("not seen in {count} days ({reason})"),
    mark("the approval is not signed: nobody approved this plan"),
    mark("approve by {name}, signed by approval key {key}; pass --approval-key to check whose key it is"),
    mark("reject by {name}, signed by approval key {key}; pass --approval-key to check whose key it is"),
)
_ACCESS = mark("{right} on {resource}")
"""What a path ends in. A template for this place only: other sentences may hold "on" as well."""
_OTHERS = (
    mark("portal"), mark("dataset"), mark("owner"), mark("share"), mark("white list"), mark("tenant"),
    mark("logic database"), mark("logic table"), mark("organization administrator"),
    mark("permission administrator"), mark("all rows"),
)  # fmt: skip
_KIND = re.compile(r"((?:logical |data )?[a-z_]+)(.*)", re.DOTALL)
_MOST = 2000


def translated(text: str) -> str:
    """Return a stored sentence in the language of this context; one that is not known as it is."""
    language = current().language
    return text if language == SOURCE or not text or len(text) > _MOST else _translated(text, language)


@lru_cache(maxsize=2048)
def _translated(text: str, language: str) -> str:
    """Return the translation. The language is that of the context; here it is a part of the key."""
    if text in TEMPLATES:
        return tr(text)
    for template, form in _FORMS:
        found = form.fullmatch(text)
        values = {name: _value(name, value) for name, value in found.groupdict().items()} if found else {}
        if values and all(values.values()):
            return tr(template, **values)
    return text


def _value(name: str, value: str) -> str:
    """Return a value as it is shown; empty where it is none for this place, so that the template does not fit."""
    if name == "reason":
        return translated(value)
    if name == "what":
        found = _ACCESS_FORM.fullmatch(value)
        return tr(_ACCESS, right=_word(found["right"]), resource=_value("resource", found["resource"])) if found else ""
    if name in ("resource", "place") and (kind := _KIND.fullmatch(value)):
        return _word(kind[1]) + kind[2]
    return value


def _word(name: str) -> str:
    """Return the name of a kind or a right in the language of this context, or as the platform spells it."""
    spaced = name.replace("_", " ")
    return name if (known := tr(spaced)) == spaced else known


def _form(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+?)", re.escape(template)), re.DOTALL)


_FORMS = [(one, _form(one)) for one in TEMPLATES if "{" in one]
_ACCESS_FORM = _form(_ACCESS)
