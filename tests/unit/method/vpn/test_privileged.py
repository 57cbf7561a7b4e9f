"""The words of rules, and where they stand."""

import sshuttle.methods.nat
import sshuttle.methods.nft

from telepresence.method.vpn.packetrules import PacketRules
from telepresence.method.vpn.privileged import (
    V4,
    NatRules,
    NftRules,
    first_rules,
    forgetting,
    with_own_rules,
)

NSLIST = [(V4, "198.18.0.53#5300#43+47"), (10, "fd00::53#5301#43")]


def test_what_is_forwarded_comes_first_then_names_behind_their_bypass() -> None:
    words = [" ".join(rule) for rule in first_rules(NftRules, V4, NSLIST)]
    assert words == [
        "fib saddr type != local return",
        "IP daddr 198.18.0.53 udp dport 53 IP dscp 43 return",
        "IP daddr 198.18.0.53 udp dport 53 IP dscp 47 return",
        "IP daddr 198.18.0.53 udp dport 53 redirect to :5300",
        "IP daddr 198.18.0.53 tcp dport 53 IP dscp 43 return",
        "IP daddr 198.18.0.53 tcp dport 53 IP dscp 47 return",
        "IP daddr 198.18.0.53 tcp dport 53 redirect to :5300",
    ]
    assert [" ".join(rule) for rule in first_rules(NatRules, 10, NSLIST)] == [
        "-m addrtype ! --src-type LOCAL -j RETURN",
        "--dest fd00::53 -p udp --dport 53 -m dscp --dscp 43 -j RETURN",
        "--dest fd00::53 -p udp --dport 53 -j REDIRECT --to-ports 5301",
        "--dest fd00::53 -p tcp --dport 53 -m dscp --dscp 43 -j RETURN",
        "--dest fd00::53 -p tcp --dport 53 -j REDIRECT --to-ports 5301",
    ]


def test_only_our_own_line_is_taken_after_the_start() -> None:
    for module, words in ((sshuttle.methods.nft, NftRules), (sshuttle.methods.nat, NatRules)):
        method = with_own_rules(module.Method, words, PacketRules("nft", 1, {}))("x")
        assert method.firewall_command("HELLO") is False


def test_a_macs_resolver_is_told_to_forget() -> None:
    assert forgetting("darwin") == [
        ["dscacheutil", "-flushcache"], ["killall", "-HUP", "mDNSResponder"],
    ]  # fmt: skip
    assert forgetting("linux") == []
