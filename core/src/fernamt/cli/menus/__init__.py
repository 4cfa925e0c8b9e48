"""``fernamt menu``: check, show, try and test a menu, from a file or of a plugin."""
