"""Kind ``sms.http``: any gateway that takes and brings messages by HTTP, by configuration alone."""
