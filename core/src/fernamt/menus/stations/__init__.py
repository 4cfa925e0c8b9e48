"""Nodes compiled into what a step needs: each knows what it leads to, and what it says in every case."""

from fernamt.menus.stations.station import Scope, Station

__all__ = ("Scope", "Station")
