"""What is put before which rule, and what is left out."""

from telepresence.method.vpn.packetrules import SYN, UDP, V4, PacketRules, marks

SUBNETS = [
    (V4, 16, False, "10.96.0.0", 0, 0),
    (V4, 24, True, "10.96.9.0", 0, 0),
    (V4, 32, False, "10.96.9.9", 0, 0),
    (V4, 32, True, "10.96.9.9", 0, 0),
]
NUMBERS = {"raw4": 1, "udp4": 5001, "log": 77}


def order(text: str, *words: str) -> bool:
    places = [text.index(word) for word in words]
    return places == sorted(places)


def test_the_most_specific_decides_and_an_exclusion_before_its_equal() -> None:
    text = PacketRules("nft", 7, NUMBERS).text(V4, {SYN, UDP}, SUBNETS, ["198.18.0.53"])
    assert order(
        text,
        "ip daddr 198.18.0.53 udp dport 53 return",
        "ip daddr 10.96.9.9/32 return",
        "ip daddr 10.96.9.9/32 goto ours",
        "ip daddr 10.96.9.0/24 return",
        "ip daddr 10.96.0.0/16 goto ours",
    )
    text = PacketRules("nat", 7, NUMBERS).text(V4, {SYN, UDP}, SUBNETS, ["198.18.0.53"])
    assert order(
        text,
        "-d 198.18.0.53 -p udp -m udp --dport 53 -j RETURN",
        "-d 10.96.9.9/32 -j RETURN",
        "-d 10.96.9.9/32 -g ",
        "-d 10.96.9.0/24 -j RETURN",
        "-d 10.96.0.0/16 -g ",
    )


def test_what_a_kernel_lacks_is_left_out() -> None:
    rules = PacketRules("nft", 7, NUMBERS)
    assert "log group 77" in rules.text(V4, {SYN}, SUBNETS, [])
    assert "tproxy" not in rules.text(V4, {SYN}, SUBNETS, [])
    assert "log group" not in rules.text(V4, {UDP}, SUBNETS, [])
    assert "tproxy to 127.0.0.1:5001" in rules.text(V4, {UDP}, SUBNETS, [])


def test_marks_are_a_sessions_own() -> None:
    every = [mark for number in (1, 2, 2**22 - 1) for mark in marks(number)]
    assert len(set(every)) == len(every)
    assert all(0x74000000 < mark < 0x75000000 for mark in every)
