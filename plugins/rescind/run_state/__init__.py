"""States of a run in words, the same everywhere, and the clock of a leaver."""
