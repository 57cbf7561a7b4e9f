"""The container's hosts file: its own lines, and what the pod's adds."""

import pytest

from telepresence.gateway.hosts import has_ipv6, merge_hosts

OWN = "127.0.0.1\tlocalhost\n10.97.0.2\tweb-1\n"
PODS = """\
# Kubernetes-managed hosts file.
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
10.244.0.7\tweb-1.sub.default.svc.cluster.local\tweb-1

# Entries added by HostAliases.
10.1.2.3\tfoo.internal\tbar.internal  # why
fd00::5\tsix.internal
"""


def test_the_pods_aliases_come_behind_the_containers_own_lines() -> None:
    assert merge_hosts(OWN, PODS, "web-1") == (
        f"{OWN}10.1.2.3\tfoo.internal\tbar.internal\nfd00::5\tsix.internal\n"
    )


@pytest.mark.parametrize(
    ("line", "answer"),
    [("fd00::7\tweb-1\n", True), ("10.0.0.1\tweb-1\n", False), ("::1\tweb-1\n", False),
     ("fd00::7\tother\n", False)],
)  # fmt: skip
def test_a_pod_with_ipv6_has_a_line_for_it(line: str, answer: bool) -> None:
    assert has_ipv6(PODS + line, "web-1") == answer
