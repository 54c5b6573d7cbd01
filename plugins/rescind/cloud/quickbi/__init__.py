"""Alibaba Cloud Quick BI: one typed message for each action."""
