"""Snapshots, grants, differences between snapshots, decisions and regrants."""
