"""Makes an organization from a seed and sizes: the same ones always give the same organization."""

from __future__ import annotations

import random

from emulator.build import dms, paths, people, quickbi, usage, wedata
from emulator.build.sizes import Sizes
from emulator.keys import demo_keyring
from emulator.world import World


def build(world: World, sizes: Sizes, seed: int) -> None:
    """Fill a world. Dates are counted from the world's clock, rounded down to its day.

    :param seed: every part draws from its own stream, so that changing the size of one part leaves the
        others as they were.
    """
    world.clear()
    world.people = people.build(random.Random(f"{seed}/people"), sizes, world.clock.utc())
    tool = next(person for person in world.people if person.is_tool)
    world.keys = demo_keyring(tool.wedata_uin, tool.alibaba_uid, "rescind-bot")
    wedata.build(world, random.Random(f"{seed}/wedata"), sizes)
    dms.build(world, random.Random(f"{seed}/dms"), sizes)
    quickbi.build(world, random.Random(f"{seed}/quickbi"), sizes)
    paths.build(world, random.Random(f"{seed}/paths"), sizes)
    usage.build(world, random.Random(f"{seed}/usage"), sizes)
    world.settings.update(seed=seed, sizes=sizes.as_dict())
