"""Telephone calls with IVR menus for Fernamt. A hull: it has no connector yet, so it offers no entry point."""
