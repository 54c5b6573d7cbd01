"""Garbage collection inside a task."""

from __future__ import annotations

import gc

import pytest

from rescind.airflow_support.garbage import seldom_collected


def test_old_objects_are_left_out_and_all_is_as_before_afterwards() -> None:
    threshold = gc.get_threshold()
    with pytest.raises(ValueError, match="ends early"), seldom_collected():
        assert gc.get_freeze_count() > 1000
        assert gc.get_threshold() > threshold
        raise ValueError("ends early")
    assert (gc.get_freeze_count(), gc.get_threshold()) == (0, threshold)
