"""The configuration."""

from attrs import field, frozen


@frozen
class Secret:
    """A secret; ``repr`` and ``str`` hide it."""

    _value: str = field(repr=False)

    def reveal(self) -> str:
        """Return the secret itself."""
        return self._value
