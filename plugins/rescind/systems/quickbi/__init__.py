"""The permission systems of Alibaba Quick BI, and what they share."""
