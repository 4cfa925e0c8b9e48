"""SMS and MMS through Sinch."""
