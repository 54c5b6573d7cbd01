"""Alibaba Cloud DMS: one typed message for each action."""
