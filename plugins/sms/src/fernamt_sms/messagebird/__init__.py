"""The kind ``sms.messagebird``."""
