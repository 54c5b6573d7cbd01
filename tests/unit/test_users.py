"""Names of users: another spelling is no other person, and look-alikes are refused."""

from __future__ import annotations

import pytest

from rescind.errors import InputError
from rescind.users import check_different, same_user, user_key


@pytest.mark.parametrize(
    "other",
    ["rita", "Rita", "RITA", " rita ", "rita\t", "\u00a0rita", "\uff52ita", "\U0001d42b\u0131ta"],
)
def test_another_spelling_is_the_same_user(other: str) -> None:
    assert same_user("rita", other) and same_user(other, "rita")


def test_other_users_are_others() -> None:
    assert not same_user("rita", "ritaa")
    assert not same_user("", "rita") and not same_user("", "")
    assert not same_user("rita", "omar")
    assert not same_user("rita", "rita@example.com")
    assert same_user("STRASSE", "straße")
    assert same_user("Zo\u00eb", "ZOE\u0308")
    assert same_user("李雷 lee", "李雷 LEE")
    assert same_user("Рита", "рита") and not same_user("Рита", "rita")
    assert user_key("İbrahim") != user_key("ibrahim")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("   ", "it is empty"),
        ("rita\u200b", r"character 5 is invisible or another blank \(U\+200B\)"),
        ("ri\u00adta", r"\(U\+00AD\)"),
        ("\u202erita", r"character 1 is invisible"),
        ("rita\ufe0f", r"\(U\+FE0F\)"),
        ("rita\u3164", r"\(U\+3164\)"),
        ("ri\u1680ta", r"\(U\+1680\)"),
        ("ri\nta", r"\(U\+000A\)"),
        ("rit\u0430", "it mixes the scripts CYRILLIC, LATIN"),
        ("r\u03b9ta", "it mixes the scripts GREEK, LATIN"),
        ("rita\u0661", "it mixes the scripts ARABIC, LATIN"),
        ("r\u0131\u0307ta", r"character 3 is a separate accent \(U\+0307\)"),
        ("\u0441\u0430\u0440\u0430", "all its letters are CYRILLIC and look like LATIN ones"),
        ("\u0391\u039d\u039d\u0391", "all its letters are GREEK and look like LATIN ones"),
    ],
)
def test_a_name_that_may_be_taken_for_another_is_refused(name: str, problem: str) -> None:
    for pair in ((name, "omar"), ("omar", name), (name, name)):
        with pytest.raises(InputError, match=rf"^user: the user name '.*' is not usable: .*{problem}"):
            same_user(*pair)


def test_the_error_is_ascii_short_and_names_the_value() -> None:
    with pytest.raises(InputError) as error:
        user_key("x" * 500 + "\u200b", where="requester")
    assert str(error.value).startswith("requester: ") and len(str(error.value)) < 300 and str(error.value).isascii()


def test_a_list_names_each_user_once() -> None:
    check_different(["rita", "omar", "omar"])
    with pytest.raises(InputError, match=r"approvers: 'Omar' and 'omar ' are one user. Keep one"):
        check_different(["Omar", "rita", "omar "], where="approvers")
