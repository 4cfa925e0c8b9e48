"""Kind ``sms.vonage``: SMS through Vonage's SMS API."""
