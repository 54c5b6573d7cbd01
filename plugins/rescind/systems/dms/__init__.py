"""The permission systems of Alibaba DMS, and what they share."""
