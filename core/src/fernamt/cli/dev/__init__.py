"""``fernamt dev`` and ``fernamt replay``: one plugin alone, with a pretended provider, for its author."""
