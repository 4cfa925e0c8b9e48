"""Kind ``sms.twilio``: SMS and MMS through Twilio."""
