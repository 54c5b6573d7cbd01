"""Files that the pages hand out: the report, the evidence bundle, and lists as CSV."""
