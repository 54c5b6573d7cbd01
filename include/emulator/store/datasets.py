"""Datasets of Quick BI: rules that restrict rows and columns, and the white lists that they do not restrict."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from emulator.journal import Journal
from emulator.store.receivers import Receiver
from emulator.visibility import Visibility

SYSTEM = "quickbi_dataset_whitelists"
ROW, COLUMN = "ROW_LEVEL", "COLUMN_LEVEL"


@dataclass(slots=True)
class Rule:
    """A rule: who is in ``receivers``, or everybody with scope ALL, sees what the condition lets through."""

    rule_id: str
    name: str
    scope: str = "OTHERS"
    open: bool = True
    receivers: dict[Receiver, None] = field(default_factory=dict)


@dataclass(slots=True)
class Level:
    """Row or column security of a dataset.

    ``miss_hit``: who is hit by no rule sees everything (ALL) or nothing (NONE).
    """

    open: bool = False
    miss_hit: str = "NONE"
    white: dict[Receiver, None] = field(default_factory=dict)
    rules: dict[str, Rule] = field(default_factory=dict)


@dataclass(slots=True)
class Dataset:
    """A dataset ("cube") of a workspace."""

    dataset_id: str
    name: str
    workspace_id: str
    owner: str
    created: str
    levels: dict[str, Level] = field(default_factory=lambda: {ROW: Level(), COLUMN: Level()})

    def row(self, rule_type: str, receiver: Receiver) -> dict[str, Any]:
        """A white list entry as a row of the truth."""
        return {
            "dataset_id": self.dataset_id, "rule_type": rule_type, "receiver_type": receiver.kind,
            "receiver_id": receiver.id,
        }  # fmt: skip


class Datasets(dict[str, Dataset]):
    """All datasets by id; tells the journal what changes."""

    def __init__(self, journal: Journal, visibility: Visibility) -> None:
        super().__init__()
        self._journal = journal
        self._visibility = visibility

    def white(self, dataset: Dataset, rule_type: str, receiver: Receiver, *, remove: bool = False) -> bool:
        """Put a receiver on a white list or take it off; False when nothing changed."""
        held = dataset.levels[rule_type].white
        if (receiver in held) != remove:
            return False
        entry = (dataset.dataset_id, rule_type, receiver)
        if remove:
            del held[receiver]
            self._visibility.removed(SYSTEM, entry)
        else:
            held[receiver] = None
            self._visibility.added(SYSTEM, entry)
        self._journal.effect("removed" if remove else "added", SYSTEM, dataset.row(rule_type, receiver))
        return True

    def listed(self, dataset: Dataset, rule_type: str) -> list[Receiver]:
        """A white list as a listing shows it."""
        place = (dataset.dataset_id, rule_type)
        late = (self._visibility.shown, self._visibility.hidden)
        shown, hidden = ([item[2] for item in one(SYSTEM, lambda item: item[:2] == place)] for one in late)
        held = dataset.levels[rule_type].white
        return [*(one for one in held if one not in hidden), *(one for one in shown if one not in held)]

    def rule(self, rule_id: str) -> tuple[Dataset, str, Rule]:
        """A rule with its dataset and type.

        :raises KeyError: for an unknown id.
        """
        for dataset in self.values():
            for rule_type, level in dataset.levels.items():
                if rule_id in level.rules:
                    return dataset, rule_type, level.rules[rule_id]
        raise KeyError(rule_id)

    def aim(self, rule: Rule, receiver: Receiver, *, remove: bool = False) -> bool:
        """Let a rule hit a receiver or not any more; False when nothing changed."""
        if (receiver in rule.receivers) != remove:
            return False
        if remove:
            del rule.receivers[receiver]
        else:
            rule.receivers[receiver] = None
        self._journal.effect("removed" if remove else "added", "quickbi_dataset_rule_users", {
            "rule_id": rule.rule_id, "receiver_type": receiver.kind, "receiver_id": receiver.id,
        })  # fmt: skip
        return True

    def add_rule(self, dataset: Dataset, rule_type: str, rule: Rule) -> None:
        """Add a rule, or replace the one with its id."""
        dataset.levels[rule_type].rules[rule.rule_id] = rule
        self._journal.effect("added", "quickbi_dataset_rules", self.rule_row(dataset, rule_type, rule))

    def drop_rule(self, rule_id: str) -> None:
        """Delete a rule.

        :raises KeyError: for an unknown id.
        """
        dataset, rule_type, rule = self.rule(rule_id)
        del dataset.levels[rule_type].rules[rule_id]
        self._journal.effect("removed", "quickbi_dataset_rules", self.rule_row(dataset, rule_type, rule))

    def set_level(self, dataset: Dataset, rule_type: str, *, opened: bool, miss_hit: str) -> bool:
        """Switch security on or off, and say what who is hit by no rule sees; False when nothing changed."""
        level = dataset.levels[rule_type]
        if (level.open, level.miss_hit) == (opened, miss_hit):
            return False
        level.open, level.miss_hit = opened, miss_hit
        self._journal.effect("changed", "quickbi_dataset_levels", {
            "dataset_id": dataset.dataset_id, "rule_type": rule_type, "open": opened, "miss_hit": miss_hit,
        })  # fmt: skip
        return True

    def forget(self, receiver: Receiver) -> None:
        """Take a receiver that is being deleted off every white list and out of every rule."""
        for dataset in self.values():
            for rule_type, level in dataset.levels.items():
                self.white(dataset, rule_type, receiver, remove=True)
                for rule in level.rules.values():
                    self.aim(rule, receiver, remove=True)

    @staticmethod
    def rule_row(dataset: Dataset, rule_type: str, rule: Rule) -> dict[str, Any]:
        """A rule as a row of the truth."""
        return {
            "dataset_id": dataset.dataset_id, "rule_type": rule_type, "rule_id": rule.rule_id, "scope": rule.scope,
            "open": rule.open,
        }  # fmt: skip

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """Everything that decides who sees which rows and columns, by kind."""
        levels = [(one, kind, level) for one in self.values() for kind, level in one.levels.items()]
        rules = [(one, kind, rule) for one, kind, level in levels for rule in level.rules.values()]
        return {
            "quickbi_datasets": [
                {"dataset_id": one.dataset_id, "workspace_id": one.workspace_id, "owner": one.owner}
                for one in self.values()
            ],
            "quickbi_dataset_levels": [
                {"dataset_id": one.dataset_id, "rule_type": kind, "open": level.open, "miss_hit": level.miss_hit}
                for one, kind, level in levels
            ],
            SYSTEM: [one.row(kind, receiver) for one, kind, level in levels for receiver in level.white],
            "quickbi_dataset_rules": [self.rule_row(*each) for each in rules],
            "quickbi_dataset_rule_users": [
                {"rule_id": rule.rule_id, "receiver_type": receiver.kind, "receiver_id": receiver.id}
                for _, _, rule in rules for receiver in rule.receivers
            ],
        }  # fmt: skip

    def in_workspace(self, workspace_id: str) -> Iterator[Dataset]:
        """Datasets of one workspace."""
        return (one for one in self.values() if one.workspace_id == workspace_id)
