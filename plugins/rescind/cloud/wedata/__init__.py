"""Tencent Cloud WeData: one typed message for each action."""
