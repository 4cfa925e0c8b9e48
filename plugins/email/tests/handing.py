"""A mail server beside ours, as far as our listener hears of it: it hands a mail over, and knows whether it still owes it."""

from __future__ import annotations

import aiosmtplib


async def handed_over(port: int, mail: bytes, *, timeout_s: float = 10.0) -> bool:
    """Hand a mail over and return whether it was taken: without a 250 it stays with whoever has it."""
    client = aiosmtplib.SMTP(hostname="127.0.0.1", port=port, timeout=timeout_s, start_tls=False)
    try:
        await client.connect()
        await client.sendmail("ann@customer.test", ["support@support.test"], mail)
    except (aiosmtplib.SMTPException, OSError):
        return False
    finally:
        client.close()
    return True
