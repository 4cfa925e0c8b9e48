"""Matrix for Fernamt: an application service that is one user, in all the rooms that he was asked into."""

from fernamt import Registry, hookimpl
from fernamt_matrix.leaving import ENTRIES, leave, leave_when_solved
from fernamt_matrix.registration import registration
from fernamt_matrix.settings import MatrixSettings, PluginSettings


@hookimpl
def fernamt_register(registry: Registry) -> None:
    """Offer the channel, the command that makes us known to a homeserver, and who leaves rooms."""
    registry.settings(PluginSettings)
    registry.connector(
        "matrix",
        settings=MatrixSettings,
        factory="fernamt_matrix.connector:Matrix",
        about="Matrix rooms, as an application service of a homeserver",
    )
    registry.command("registration", registration)
    registry.subscriber("leave-when-solved", leave_when_solved, entries=ENTRIES)
    registry.job("leave", leave)
