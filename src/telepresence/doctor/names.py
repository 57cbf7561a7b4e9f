"""Look at how this machine's programs resolve names: what vpn-tcp can capture of it.

Called by: report.py.
Owns: nothing.
Never: asks a name server.
"""

from collections.abc import Iterator

from telepresence.doctor.finding import Finding
from telepresence.method.vpn.nameservers import observe_nameservers
from telepresence.method.vpn.nsswitch import hosts_line, resolved_options, swallower

DOMAIN = "cluster.local"  # what it is in most clusters; a session reads it from the pod


def judge(hosts: str, domain: str = DOMAIN, over_tls: str = "") -> Iterator[Finding]:
    words = hosts.removeprefix("hosts:").split()
    if hosts and not {"dns", "resolve"} & {*words}:
        todo = "put dns into it, or use -m inject-tcp"
        yield Finding("vpn-tcp", f"libc asks no name server ('{hosts}' in nsswitch.conf)", todo)
    found = swallower(hosts, domain)
    if found is not None:
        what = f"names in .local do not get through libc: {found.reason}"
        todo = f"{found.advice}, or use SERVICE.NAMESPACE.svc"
        yield Finding("vpn-tcp", what, todo, is_limit=True)
    elif hosts:
        yield Finding("vpn-tcp", f"libc asks name servers for cluster names ('{hosts}')")
    if over_tls.lower() in ("yes", "true", "1", "on") and "resolve" in words:
        todo = "set DNSOverTLS=no in resolved.conf, or use -m inject-tcp"
        yield Finding("vpn-tcp", "systemd-resolved asks over TLS, past port 53", todo)


def findings() -> list[Finding]:
    servers = ", ".join(map(str, observe_nameservers()))
    captured = Finding("vpn-tcp", f"questions to these name servers can be captured: {servers}")
    return [captured, *judge(hosts_line(), over_tls=(resolved_options("DNSOverTLS") or [""])[-1])]
