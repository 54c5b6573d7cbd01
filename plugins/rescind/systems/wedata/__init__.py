"""The permission systems of Tencent WeData, and what they share."""
