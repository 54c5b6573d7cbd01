"""Scripted misbehavior: which calls it hits, what it does to them, and an account of what really fired."""

from __future__ import annotations
