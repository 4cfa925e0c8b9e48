"""What tests of plugins need. Public."""

__all__ = ()
