"""SMS for Fernamt: SMPP and the providers. A hull: it has no connector yet, so it offers no entry point."""
