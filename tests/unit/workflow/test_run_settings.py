"""What an approver is told about settings that changed since the last approved run."""

from __future__ import annotations

from rescind.workflow.run_settings import _changes

DIGEST = "0123456789abcdef" * 4


def test_the_last_character_of_the_checksum_of_an_input_counts() -> None:
    near = DIGEST[:-1] + "0"
    before = {"files": {"protections": DIGEST, "roster": DIGEST}, "settings": {}, "hidden": []}
    now = {**before, "files": {"protections": near, "roster": near}}
    assert _changes(before, before) == []
    assert _changes(before, now) == [["content of protections", DIGEST, near]]
