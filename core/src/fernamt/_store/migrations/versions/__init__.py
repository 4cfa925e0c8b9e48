"""One file a step; names begin with their number."""
