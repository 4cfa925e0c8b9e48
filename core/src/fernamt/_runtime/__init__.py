"""The running daemon. Private: plugins import from ``fernamt`` only."""
