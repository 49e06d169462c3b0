"""Which addresses are the public internet's."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.transport.addresses import is_public

PRIVATE = ["10.0.0.1", "172.16.0.1", "192.168.1.1", "127.0.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"]


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "172.32.0.1", "100.128.0.1", "2606:4700::1111"])
def test_the_public_internet_is_open(address):
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *PRIVATE,
        "100.100.100.200",  # Alibaba's metadata
        "168.63.129.16",  # Azure's
        "192.0.0.192",  # Oracle's
        "fd00:ec2::254",  # AWS's over IPv6
        "192.0.2.1",
        "198.18.0.1",
        "192.88.99.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "fc00::1",
        "ff02::1",
        "2001:db8::1",
        "64:ff9b:1::1",
        "",
        "example.com",
        "127.1",
        "0x7f000001",
    ],
)
def test_all_else_is_closed(address):
    assert not is_public(address)


@given(st.sampled_from(PRIVATE) | st.ip_addresses(v=4).map(str))
def test_ipv4_in_an_ipv6_disguise_is_closed(address):
    number = int(ipaddress.IPv4Address(address))
    disguises = [0xFFFF << 32 | number, number, 0x64FF9B << 96 | number, 0x2002 << 112 | number << 80]
    assert not any(is_public(str(ipaddress.IPv6Address(disguise))) for disguise in disguises)
