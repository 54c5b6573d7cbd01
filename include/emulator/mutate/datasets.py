"""Changes of white lists, rules and switches of datasets by others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from emulator.store.datasets import Rule
from emulator.store.receivers import Receiver
from emulator.world import World

Operation = dict[str, Any]


def operations() -> dict[str, Callable[[World, Operation], bool]]:
    """Operations by name."""
    return {"dataset_whitelist": _white, "dataset_level": _level, "dataset_rule": _rule, "dataset_rule_user": _aim}


def _receiver(given: Operation) -> Receiver:
    return Receiver(int(given["receiver_type"]), given["receiver_id"])


def _white(world: World, given: Operation) -> bool:
    datasets, remove = world.quickbi.datasets, bool(given.get("remove"))
    return datasets.white(datasets[given["dataset_id"]], given["rule_type"], _receiver(given), remove=remove)


def _level(world: World, given: Operation) -> bool:
    """The switch and the policy for who is hit by no rule; what is not given stays."""
    dataset, kind = world.quickbi.datasets[given["dataset_id"]], given["rule_type"]
    level = dataset.levels[kind]
    opened, miss_hit = bool(given.get("open", level.open)), given.get("miss_hit", level.miss_hit)
    return world.quickbi.datasets.set_level(dataset, kind, opened=opened, miss_hit=miss_hit)


def _rule(world: World, given: Operation) -> bool:
    datasets = world.quickbi.datasets
    if given.get("remove"):
        datasets.drop_rule(given["rule_id"])
        return True
    rule = Rule(given["rule_id"], given.get("name", "a rule"), given.get("scope", "OTHERS"))
    datasets.add_rule(datasets[given["dataset_id"]], given["rule_type"], rule)
    return True


def _aim(world: World, given: Operation) -> bool:
    datasets, remove = world.quickbi.datasets, bool(given.get("remove"))
    return datasets.aim(datasets.rule(given["rule_id"])[2], _receiver(given), remove=remove)
