"""SMS through Infobip."""
