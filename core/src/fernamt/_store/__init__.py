"""The store. Private: plugins import from ``fernamt`` only."""
