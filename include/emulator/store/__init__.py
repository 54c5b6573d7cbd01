"""Ground truth: what is granted. Every change goes through here and tells the journal."""

from __future__ import annotations
