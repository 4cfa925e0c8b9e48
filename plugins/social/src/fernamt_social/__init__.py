"""Social media and messengers for Fernamt. A hull: it has no connector yet, so it offers no entry point."""
