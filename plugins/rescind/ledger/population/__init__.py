"""What was found: snapshots, grants, differences, decisions, regrants."""
