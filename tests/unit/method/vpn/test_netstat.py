"""Routes as macOS prints them."""

from telepresence.method.vpn.netstat import take_netstat
from telepresence.method.vpn.routes import take_routes

# Mac OS X 10.13 and 10.3, as their users have published them.
HIGH_SIERRA = """\
Routing tables

Internet:
Destination        Gateway            Flags        Refs      Use   Netif Expire
default            10.10.10.1         UGSc           20       16     en0
10.10.10/24        link#4             UCS             1        0     en0
10.10.10.1/32      link#4             UCS             1        0     en0
10.10.10.1         bc:67:1c:40:3:f6   UHLWIir        21       14     en0   1193
10.10.10.104/32    link#4             UCS             0        0     en0
10.10.10.107       a8:6b:ad:6b:c4:a5  UHLWI           0        0     en0    820
127                127.0.0.1          UCS             0        0     lo0
127.0.0.1          127.0.0.1          UH             54  2734893     lo0
169.254            link#4             UCS             0        0     en0
172.16.111/24      link#11            UC              1        0  vmnet1
192.168.220        link#12            UC              1        0  vmnet8
224.0.0/4          link#4             UmCS            2        0     en0
224.0.0.251        1:0:5e:0:0:fb      UHmLWI          0        0     en0
239.255.255.250    1:0:5e:7f:ff:fa    UHmLWI          0      784     en0
255.255.255.255/32 link#4             UCS             0        0     en0
"""
PANTHER = """\
Internet6:
Destination Gateway Flags Netif Expire
::1 link#1 UHL lo0
fe80::%lo0/64 fe80::1%lo0 Uc lo0
fe80::1%lo0 link#1 UHL lo0
ff01::/32 ::1 U lo0
ff02::/32 ::1 UC lo0
"""
# The columns of macOS 11 and newer, with what VPNs add: halves of everything, a split tunnel.
VPN = """\
Routing tables

Internet:
Destination        Gateway            Flags               Netif Expire
0/1                10.8.0.1           UGScg               utun3
default            192.168.1.1        UGScg                 en0
default            link#18            UCSIg           bridge100      !
10.8/24            10.8.0.2           UGSc                utun3
10.8.0.1           10.8.0.2           UH                  utun3
10.96.7/24         utun4              USc                 utun4
128.0/1            10.8.0.1           UGSc                utun3
192.168.1          link#6             UCS                   en0      !
192.168.64         link#18            UC              bridge100      !
203.0.113.9        192.168.1.1        UGHS                  en0

Internet6:
Destination                             Gateway                                 Flags               Netif Expire
default                                 fe80::%utun0                            UGcIg               utun0
fd7a:115c:a1e0::/48                     fe80::aede:48ff:fe00:1122%utun5         Uc                  utun5
fe80::%en0/64                           link#6                                  UCI                   en0
fe80::1c3b:9aff:fe3f:5c35%en0           a6:83:e7:3c:5c:35                       UHLI                  lo0
ff00::/8                                ::1                                     UmCI                  lo0
"""  # noqa: E501 # as it is printed


def read(text: str) -> dict[str, str]:
    return {str(to): device for to, device in take_routes([*take_netstat(text)]).items()}


def test_networks_of_interfaces_are_read_and_neighbours_are_not() -> None:
    assert read(HIGH_SIERRA) == {
        "10.10.10.0/24": "en0",
        "10.10.10.1/32": "en0",
        "10.10.10.104/32": "en0",
        "169.254.0.0/16": "en0",
        "172.16.111.0/24": "vmnet1",
        "192.168.220.0/24": "vmnet8",
    }
    assert read(PANTHER) == {}


def test_a_vpns_routes_are_read_and_its_ways_to_say_default_are_not() -> None:
    assert read(VPN) == {
        "10.8.0.0/24": "utun3",
        "10.8.0.1/32": "utun3",
        "10.96.7.0/24": "utun4",
        "192.168.1.0/24": "en0",
        "192.168.64.0/24": "bridge100",
        "203.0.113.9/32": "en0",
        "fd7a:115c:a1e0::/48": "utun5",
        "fe80::/64": "en0",
    }


def test_what_is_no_table_is_no_route() -> None:
    assert read("netstat: sysctl: no memory\nDestination Gateway Flags Netif\nx y U en0\n") == {}
