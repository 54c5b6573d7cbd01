"""Messages in the language of the deployment: their words change, their keys do not."""

from __future__ import annotations

from rescind.i18n import Reader, current
from rescind.notifications import events
from rescind.settings import Settings

CHATS = {"chats": [{"chat": "dingtalk", "conn_id": "chat"}], "base_url": "https://airflow.example.test"}


def _told(**settings: str) -> events.Notice:
    return events.came_back(("watch", "run"), [], Settings.model_validate({"notifications": CHATS, **settings}))


def test_a_message_is_in_the_language_of_its_settings() -> None:
    english, chinese = _told(), _told(language="zh-CN", time_zone="Asia/Shanghai")
    assert english.message.title == "[Watch regrants] ↺ came back (0)"
    assert english.message.markdown("", "\n", 2000).endswith(
        "[Open in Airflow](https://airflow.example.test/rescind/runs)"
    )
    assert chinese.message.title.startswith("[监测重新授权] ↺ 重新出现")
    assert "[在 Airflow 中打开](" in chinese.message.markdown("", "\n", 2000)
    assert "在 Airflow 中打开</a>" in chinese.message.html
    assert (chinese.key, chinese.told, chinese.message.link) == (english.key, english.told, english.message.link)
    assert current() == Reader()
