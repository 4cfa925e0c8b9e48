"""Every rule of the kit, for ``sms.http``."""

from __future__ import annotations

import json
from collections.abc import Mapping

from fernamt import Address, Response, Secret
from fernamt.testing import ConnectorConformance, FaultyProvider, ProviderCall


def answered(call: ProviderCall) -> Response:
    """Answer as the gateway of the settings does."""
    said = {"balance": "12.50"} if call.method == "GET" else {"result": {"state": "ok", "id": f"g-{call.number}"}}
    return Response(body=json.dumps(said).encode(), media_type="application/json")


def key_of(call: ProviderCall) -> str:
    """Return the key by which the gateway knows a repeat."""
    return str(call.json()["reference"]) if call.body else ""


class TestHttp(ConnectorConformance):
    kind = "sms.http"

    def server(self) -> FaultyProvider:
        return FaultyProvider(honours_keys=True, key=key_of, answer=answered)

    def settings(self, server: FaultyProvider) -> Mapping[str, object]:
        return {
            "sender": "+493023125000",
            "secret": Secret("secret-of-the-tests"),
            "send": {
                "url": f"{server.url}/send",
                "headers": ["Authorization: Bearer {secret}"],
                "body": '{"to": "{to}", "from": "{sender}", "text": "{text}", "reference": "{key}", "dlr": "{callback}"}',
                "success": "result.state",
                "success_values": ["ok"],
                "id": "result.id",
                "code": "error",
                "check_url": f"{server.url}/balance",
                "idempotent": True,
            },
            "inbound": {
                "auth": "hmac",
                "auth_name": "X-Signature",
                "auth_secret": Secret("signature-of-the-tests"),
                "prefix": "sha256=",
                "items": "events",
            },
            "message": {"id": "id", "sender": "from", "text": "text"},
            "receipt": {
                "id": "id",
                "key": "reference",
                "status": "state",
                "code": "code",
                "sent": ["sent"],
                "delivered": ["delivered"],
                "read": ["read"],
                "failed": ["failed"],
            },
            "errors": {"opted_out": ["17"]},
        }

    def recipient(self) -> Address:
        return Address("phone", "+4915112345678")
