"""Kind ``sms.kannel``: a Kannel gateway (bearerbox and smsbox) of one's own."""
