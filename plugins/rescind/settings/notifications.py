"""Which chats get messages, and about what."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator

Told = Literal["asked", "reminder", "answered", "remains", "came_back"]
"""What messages are about: approval asked for, still waiting, answered; a run that ended with access left or failed;
access that came back."""


class ChatTarget(BaseModel):
    """One chat that gets messages.

    :param chat: ``dingtalk``, ``feishu`` (also Lark), ``wecom`` or ``teams``.
    :param conn_id: the connection with its webhook.
    :param events: what it is told.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    chat: Literal["dingtalk", "feishu", "wecom", "teams"]
    conn_id: str = Field(min_length=1, max_length=200)
    events: tuple[Told, ...] = Field(default=get_args(Told), min_length=1)


class Notifications(BaseModel):
    """Messages to chats. They hold no names of resources, no grants and no ids.

    :param chats: where they go.
    :param base_url: address of Airflow for their links, such as ``https://airflow.example.org/team``. Without it,
        Airflow's ``api.base_url``; without both, messages have no link.
    :param remind_hours: hours between two reminders of a request for approval that waits.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    chats: tuple[ChatTarget, ...] = Field(min_length=1)
    base_url: str = Field(default="", pattern=r"^(https?://[A-Za-z0-9.:\[\]-]{1,253}(/[A-Za-z0-9._~/-]{0,200})?)?$")
    remind_hours: int = Field(default=8, ge=1, le=168)

    @field_validator("chats")
    @classmethod
    def _each_once(cls, value: tuple[ChatTarget, ...]) -> tuple[ChatTarget, ...]:
        named = [(one.chat, one.conn_id) for one in value]
        if len(set(named)) != len(named):
            raise ValueError("a chat is listed twice; write each connection once, with all its events")
        return value
