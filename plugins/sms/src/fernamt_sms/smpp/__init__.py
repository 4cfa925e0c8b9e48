"""SMPP 3.4, as an ESME: the protocol of operators and aggregators. The kind is ``sms.smpp``."""
