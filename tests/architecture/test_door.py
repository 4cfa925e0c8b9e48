"""The public door: what a plugin may import."""

from __future__ import annotations

import importlib
import inspect

import pytest

DOORS = ("fernamt", "fernamt.testing")


@pytest.mark.parametrize("door", DOORS)
def test_the_door_is_a_sorted_tuple_of_real_names(door: str) -> None:
    module = importlib.import_module(door)

    assert isinstance(module.__all__, tuple)
    assert list(module.__all__) == sorted(set(module.__all__))
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


@pytest.mark.parametrize("door", DOORS)
def test_nothing_private_and_no_module_goes_through_the_door(door: str) -> None:
    module = importlib.import_module(door)

    assert [name for name in module.__all__ if name.startswith("_") or inspect.ismodule(getattr(module, name))] == []


@pytest.mark.parametrize("door", DOORS)
def test_every_class_and_function_of_the_door_says_what_it_is_for(door: str) -> None:
    module = importlib.import_module(door)
    offers = {name: getattr(module, name) for name in module.__all__}
    made = {name: offer for name, offer in offers.items() if inspect.isclass(offer) or inspect.isfunction(offer)}

    assert [name for name, offer in made.items() if not offer.__doc__] == []


@pytest.mark.parametrize("door", DOORS)
def test_every_name_that_the_door_binds_is_offered(door: str) -> None:
    module = importlib.import_module(door)
    bound = {name for name, value in vars(module).items() if not name.startswith("_") and not inspect.ismodule(value)}

    assert bound - set(module.__all__) - {"annotations"} == set()
