"""SMS and MMS through Telnyx."""
