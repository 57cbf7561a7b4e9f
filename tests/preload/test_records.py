"""Records of the pod's name server: resolver(3), and programs that speak DNS themselves."""

import pytest

from fake_pod import CONNECT, NAMESERVER, UDP_ASSOCIATE, UDP_CONNECT, FakePod
from services import LONG
from shim_rig import Rig

SEARCH = "TelepresenceSearch default.svc.cluster.local\nTelepresenceSearch svc.cluster.local\n"
SEARCH += "TelepresenceNdots 5\n"
SRV = "_http._tcp.web.default.svc.cluster.local"
A, PTR, MX, TXT, SRV_TYPE = "1", "12", "15", "16", "33"
NOT_FOUND, NO_DATA = 1, 4


@pytest.mark.parametrize("how", ["query", "nquery", "search", "nsearch", "send", "nsend"])
@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        (SRV_TYPE, SRV, "type 33 port 80 name web.default.svc.cluster.local"),
        (MX, "example.test", "type 15 port 0 name mail.example.test"),
        (TXT, "example.test", "txt a word and another"),
        (A, "web.default.svc.cluster.local", "a 198.18.0.1"),
        (PTR, "1.0.18.198.in-addr.arpa", "type 12 port 0 name web.default.svc.cluster.local"),
    ],
)
def test_every_kind_of_record_is_the_pods(
    each_rig: Rig, pod: FakePod, how: str, kind: str, name: str, said: str
) -> None:
    done = each_rig.run(["records", how, kind, name], pod.settings())
    assert done.stdout == f"rcode 0 answers 1\n{said}\n"
    assert (CONNECT, *NAMESERVER) in pod.seen


@pytest.mark.parametrize("how", ["querydomain", "nquerydomain"])
def test_a_domain_is_put_behind(each_rig: Rig, pod: FakePod, how: str) -> None:
    argv = ["records", how, A, "web", "default.svc.cluster.local"]
    assert "a 198.18.0.1" in each_rig.run(argv, pod.settings()).stdout


@pytest.mark.parametrize("how", ["search", "nsearch"])
def test_the_pods_search_list_is_searched(each_rig: Rig, pod: FakePod, how: str) -> None:
    settings = pod.settings() + SEARCH
    for name in ("web", "web.default", "web.default.svc.cluster.local"):
        assert "a 198.18.0.1" in each_rig.run(["records", how, A, name], settings).stdout
    done = each_rig.run(["records", how, SRV_TYPE, "_http._tcp.web"], settings)
    assert "port 80 name web." in done.stdout
    for name in ("web.", "no-such-name"):
        done = each_rig.run(["records", how, A, name], settings)
        assert done.stdout == f"error {NOT_FOUND}\n"


def test_failures_have_the_resolvers_codes(each_rig: Rig, pod: FakePod) -> None:
    settings = pod.settings()
    assert each_rig.run(["records", "query", A, "no.such"], settings).stdout == "error 1\n"
    assert each_rig.run(["records", "query", A, SRV], settings).stdout == f"error {NO_DATA}\n"
    assert "rcode 3" in each_rig.run(["records", "send", A, "no.such"], settings).stdout
    assert each_rig.run(["records", "query", A, "web"], "").stdout == "error 2\n"


def test_long_answers_come_whole(each_rig: Rig, pod: FakePod) -> None:
    assert "answers 5" in each_rig.run(["records", "query", TXT, LONG], pod.settings()).stdout


NODE = f"""
const dns = require('dns').promises;
(async () => {{
  console.log((await dns.resolve4('web.default.svc.cluster.local'))[0]);
  const srv = (await dns.resolveSrv('{SRV}'))[0];
  console.log(srv.name, srv.port);
  console.log((await dns.resolveTxt('{LONG}')).length);
}})();
"""
ASKERS = {
    "dig": (["dig", "+short", SRV, "SRV"], "0 100 80 web.default.svc.cluster.local.\n"),
    "dig-tcp": (["dig", "+short", "+tcp", "example.test", "MX"], "10 mail.example.test.\n"),
    "dig-long": (["dig", "+short", LONG, "TXT"], f'"{4:0200}"\n'),
    "host": (["host", "-t", "TXT", "example.test"], 'descriptive text "a word and another"'),
    "nslookup": (["nslookup", "web.default.svc.cluster.local"], "Address: 198.18.0.1\n"),
    "node": (["node", "-e", NODE], "198.18.0.1\nweb.default.svc.cluster.local 80\n5\n"),
}


@pytest.mark.parametrize("name", ASKERS)
def test_programs_that_speak_dns_ask_the_pods_server(rig: Rig, pod: FakePod, name: str) -> None:
    argv, said = ASKERS[name]
    done = rig.run(argv, pod.settings())
    assert said in done.stdout
    ways = {(UDP_ASSOCIATE, "0.0.0.0", 0), (UDP_CONNECT, *NAMESERVER), (CONNECT, *NAMESERVER)}
    assert ways & set(pod.seen)


def test_another_name_server_is_asked_itself(rig: Rig, pod: FakePod) -> None:
    pod.datagrams[("198.18.0.53", 53)] = pod.datagrams[NAMESERVER]
    done = rig.run(["dig", "+short", "@198.18.0.53", "example.test", "MX"], pod.settings())
    assert done.stdout == "10 mail.example.test.\n"
    assert (CONNECT, *NAMESERVER) not in pod.seen
