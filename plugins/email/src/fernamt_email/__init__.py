"""E-mail for Fernamt."""
