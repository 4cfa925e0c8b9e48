"""Whatever a provider, or somebody who is none, may write where a value stands in its JSON."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from hypothesis import strategies as st


def values(samples: Collection[Any], *, fields: Collection[str]) -> st.SearchStrategy[Any]:
    """Return values of every kind: some that mean something to the reader, and objects and lists of them with these *fields*."""
    inside = st.dictionaries(st.sampled_from([*fields]), st.text(max_size=5))
    return st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.text(max_size=12),
        st.sampled_from([*samples]),
        st.lists(inside, max_size=2),
        inside,
    )
