"""The calls of operators that stand alone: one grant of a vendor, its listing, and whether it is gone."""
