"""Which addresses are the public internet's, and which lead into the network one's own machine stands in."""

from __future__ import annotations

import ipaddress

_CLOSED = tuple(
    map(
        ipaddress.ip_network,
        (
            "100.64.0.0/10",  # carrier-grade NAT; some clouds' metadata service
            "168.63.129.16/32",  # a public number, but Azure's host agent
            "192.0.0.0/24",  # protocol assignments; Oracle's metadata service
            "192.88.99.0/24",  # 6to4 relays
            "::ffff:0:0/96",  # IPv4 in IPv6, in five clothes: mapped,
            "::/96",  # compatible,
            "64:ff9b::/96",  # NAT64,
            "64:ff9b:1::/48",  # NAT64 of a network's own,
            "2002::/16",  # 6to4
            "2001::/23",  # Teredo and other tunnels
            "fec0::/10",  # site-local
        ),
    )
)


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet: global, unicast, and no IPv4 address in disguise.

    Loopback, private, link-local (with the clouds' metadata services), shared, multicast and reserved ones are not.
    What is no IP address is not either. After the registries of RFC 6890, as Python's `ipaddress` holds them.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    odd = ip.is_multicast or ip.is_reserved or ip.is_link_local or ip.is_unspecified
    return ip.is_global and not odd and not any(ip in net for net in _CLOSED if net.version == ip.version)
