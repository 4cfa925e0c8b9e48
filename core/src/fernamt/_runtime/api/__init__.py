"""The HTTP API: what it takes and says (``shapes``), what it can be asked (``description``), and who answers (``serving``)."""
