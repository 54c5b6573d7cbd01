"""Policies: YAML rules with CEL conditions, checked when loaded and evaluated for each grant."""
