"""Questions to people: what a plan does, in words, to approvers and owners."""
