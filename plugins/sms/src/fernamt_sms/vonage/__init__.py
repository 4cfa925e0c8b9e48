"""SMS through Vonage: its Messages API and its older SMS API."""
