"""Partial approval: an approver leaves people out, and the narrower plan is put to an approver again."""
