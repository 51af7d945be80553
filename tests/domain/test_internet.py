"""What counts as the public internet: nothing that leads into the own network, however it is embedded."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.domain.internet import is_global_unicast

PUBLIC = ["1.1.1.1", "93.184.215.14", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101", "2002:101:101::"]
NOT_PUBLIC = [
    "0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.16.0.1", "192.0.2.1", "192.168.1.1",
    "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1",
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::101:101", "2001::1", "2001:db8::1", "2002:7f00:1::", "fc00::1",
    "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1",
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address: str) -> None:
    assert is_global_unicast(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_what_is_not_public(address: str) -> None:
    assert not is_global_unicast(address)


@pytest.mark.parametrize("text", ["", "127.1", "0177.0.0.1", "0x7f000001", "2130706433", "localhost", "1.1.1.1/32"])
def test_what_is_no_resolved_address_is_not_public(text: str) -> None:
    assert not is_global_unicast(text)


@given(st.ip_addresses(v=4))
def test_an_embedded_address_is_as_public_as_itself(address: ipaddress.IPv4Address) -> None:
    public = is_global_unicast(str(address))
    embedded = int(address)
    assert is_global_unicast(f"::ffff:{address}") == public
    assert is_global_unicast(str(ipaddress.IPv6Address((0x64FF9B << 96) | embedded))) == public
    assert is_global_unicast(str(ipaddress.IPv6Address((0x2002 << 112) | (embedded << 80)))) == public
