"""The client that a connector under test is given."""

import pytest

from fernamt.errors import Rejected, Unreachable
from fernamt.testing import FaultyProvider, ProviderFault, loopback_http


async def test_it_calls_this_machine_and_no_other_private_address() -> None:
    async with FaultyProvider() as provider, loopback_http() as http:
        assert (await http.request("GET", provider.url)).status == 200
        with pytest.raises(Rejected):
            await http.request("GET", "http://10.0.0.1/")


async def test_it_waits_as_long_as_it_is_told_to() -> None:
    async with FaultyProvider() as provider, loopback_http(timeout_s=0.05) as http:
        provider.use(ProviderFault.slow(5.0))
        with pytest.raises(Unreachable, match="did not answer in time"):
            await http.request("GET", provider.url)
