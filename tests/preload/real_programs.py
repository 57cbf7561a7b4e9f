"""What real programs are told to do, and what they say when it worked.

Called by: test_programs.py, which runs each under every engine.
Owns: nothing.
Never: tells a program of a proxy.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

JAVA = str(Path(__file__).with_name("programs") / "Pods.java")
GET = "GET / HTTP/1.0\\r\\n\\r\\n"
URL = ["-sS", "--max-time", "9"]
SRV_NAME = "_http._tcp.web.default.svc.cluster.local"
SRV_SAID = "web.default.svc.cluster.local"
BASH = f"exec 3<>/dev/tcp/web/80; printf '{GET}' >&3; cat <&3"

BASH_UDP = "exec 3<>/dev/udp/198.18.0.2/80; printf pods >&3; read -rt 9 -N 4 -u 3; echo $REPLY"
BASH_UDP_FORK = "exec 3<>/dev/udp/198.18.0.2/80; (printf pods >&3); timeout 9 head -c 4 <&3"

PYTHON = "import urllib.request as u; print(u.urlopen('http://web', timeout=9).read().decode())"
AIO = f"""
import asyncio
async def main():
    r, w = await asyncio.open_connection('web', 80)
    w.write(b'{GET}')
    print((await r.read()).decode(), w.get_extra_info('peername'))
    w.close()
"""
PYTHON_UDP = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(9)
s.sendto(b'pods', ('198.18.0.2', 80))
print(*s.recvfrom(99))
"""
PYTHON_FORK = f"import os; os.fork() or os._exit(0)\n{PYTHON}"
PYTHON_PASS = f"""
import socket, subprocess, sys
GIVE = '''
import socket
near = socket.socket(fileno=0)
far = socket.create_connection(('web', 80), 9)
socket.send_fds(near, [b'one'], [far.fileno()])
'''
near, far = socket.socketpair()
child = subprocess.Popen([sys.executable, '-c', GIVE], stdin=far)
_, [fd], _, _ = socket.recv_fds(near, 9, 1)
child.wait()
web = socket.socket(fileno=fd)
print(web.getpeername())
web.setblocking(True)
web.sendall(b'{GET}')
print(web.makefile().read())
"""
PYTHON_INHERIT = f"""
import socket, subprocess, sys
LOOK = 'import socket; s = socket.socket(fileno=0); print(s.getpeername(), s.send(b"x"))'
web = socket.create_connection(('web', 80), 9)
subprocess.run([sys.executable, '-c', LOOK], stdin=web, check=True)
web.setblocking(True)
web.sendall(b'{GET}')
print(web.makefile().read())
"""
NODE = "require('http').get('http://web/', r => r.on('data', d => console.log(String(d))))"
FETCH = """
process.versions.undici || process.exit(1);
fetch('http://web/').then(r => r.text()).then(console.log);
"""
NODE_LOOKUP = "require('dns').lookup('web', (e, a) => console.log(e || a + ' pods'))"
NODE_RESOLVE = f"require('dns').resolve('{SRV_SAID}', (e, a) => console.log(e || a[0] + ' pods'))"
NODE_SRV = f"require('dns').resolveSrv('{SRV_NAME}', (e, a) => console.log(e || a[0].name))"
NODE_UDP = """
const s = require('dgram').createSocket('udp4');
s.on('message', (m, r) => { console.log(String(m), r.address); s.close(); });
s.send('pods', 80, '198.18.0.2');
"""
NODE_FORK = (
    "require('child_process').execFile('curl', ['-sS', 'http://web'], (e, out) => console.log(out))"
)
NODE_PASS = f"""
const GET = "{GET}";
const far = `process.on('message', (_, web) => {{
  console.log(web.remoteAddress, web.remotePort);
  web.on('data', d => console.log(String(d))).on('end', () => process.exit());
  web.write(${{JSON.stringify(GET)}}); web.resume(); }})`;
const child = require('child_process').spawn(process.execPath, ['-e', far],
  {{stdio: ['ignore', 'inherit', 'inherit', 'ipc']}});
const web = require('net').connect(80, 'web', () => child.send('it', web));
"""
PERL = f"""use IO::Socket::INET;
$s = IO::Socket::INET->new(PeerAddr => "web:80", Timeout => 9) or die $!;
print $s "{GET}"; print <$s>"""
PERL_UDP = """use IO::Socket::INET;
$s = IO::Socket::INET->new(PeerAddr => "198.18.0.2:80", Proto => "udp") or die $!;
$s->send("pods"); $s->recv($got, 99); print $got, " ", $s->peerhost"""
RUBY = "require 'net/http'; puts Net::HTTP.get(URI('http://web/'))"
RUBY_UDP = """require 'socket'
s = UDPSocket.new; s.send('pods', 0, '198.18.0.2', 80); p s.recvfrom(99)"""
RUBY_SRV = f"""require 'resolv'
p Resolv::DNS.new.getresource('{SRV_NAME}', Resolv::DNS::Resource::IN::SRV).target"""
RUBY_PASS = f"""require 'socket'
near, far = UNIXSocket.pair
fork {{ far.send_io(TCPSocket.new('web', 80)) }}
web = near.recv_io(TCPSocket)
puts web.remote_address.inspect_sockaddr
web.write("{GET}")
puts web.read"""
RUBY_FORK = f"fork {{ {RUBY} }}; Process.wait"
PHP = "echo file_get_contents('http://web/');"
PHP_UDP = """$s = stream_socket_client('udp://198.18.0.2:80'); fwrite($s, 'pods');
echo fread($s, 99), stream_socket_get_name($s, true);"""
PHP_SRV = f"echo dns_get_record('{SRV_NAME}', DNS_SRV)[0]['target'];"
PHP_FORK = "passthru('curl -sS http://web');"
SQL = "select 'po' || 'ds'"
LUA = "redis.call('set', 'it', 'pods') return redis.call('get', 'it')"
GIT = """cd "$(mktemp -d)" && git clone -q http://git/it.git && cd it &&
git log --format=%s && git fetch -q origin more && git show FETCH_HEAD:it
rm -rf "$PWD"
"""
NGINX = """cd "$(mktemp -d)" && cat > conf <<'END' &&
worker_processes 2; daemon off; user root; pid pid; error_log /dev/null; events {}
http {
  access_log off; client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f;
  uwsgi_temp_path u; scgi_temp_path s;
  server { listen unix:door; location / { proxy_pass http://web; } }
}
END
{ nginx -p . -c conf 2>/dev/null & }
for i in $(seq 100); do test -S door && break; read -rt 0.05 < <(:); done
curl -sS --max-time 9 --unix-socket door http://nginx/; kill "$(cat pid)"; wait; rm -r "$PWD"
"""
# Its standard input has to stay open: at its end ncat goes, be an answer on its way or not.
NCAT_UDP = "ncat -u -i 500ms 198.18.0.2 80 < <(printf pods; read -rt 1 <> <(:))"
APT = """cd "$(mktemp -d)" && chmod 777 . &&
/usr/lib/apt/apt-helper -qq -o APT::Sandbox::User=root download-file http://web/ got
cat got; rm -r "$PWD"
"""


@dataclass(frozen=True)
class Use:
    """`columns` of the row `program` are proved when `said` is in what it prints."""

    program: str
    columns: tuple[str, ...]
    argv: list[str]
    said: str = "pods"


BY_NAME = ("connect", "DNS")
USES = {
    "curl": Use("curl", BY_NAME, ["curl", *URL, "http://web"]),
    "curl-address": Use("curl", ("connect",), ["curl", *URL, "http://198.18.0.1/"]),
    "curl-fast-open": Use("curl", ("connect",), ["curl", *URL, "--tcp-fastopen", "http://web"]),
    "curl-parallel": Use(
        "curl --parallel",
        BY_NAME,
        ["curl", *URL, "--parallel", "--parallel-immediate", *["http://web"] * 9],
        "pods\n" * 9,
    ),
    "wget": Use("wget", BY_NAME, ["wget", "-q", "-O", "-", "-T", "9", "-t", "1", "http://web"]),
    "bash": Use("bash /dev/tcp", BY_NAME, ["bash", "-c", BASH]),
    "bash-udp": Use("bash /dev/udp", ("UDP",), ["bash", "-c", BASH_UDP]),
    "bash-udp-fork": Use("bash /dev/udp", ("UDP", "fork"), ["bash", "-c", BASH_UDP_FORK]),
    "ncat": Use("ncat", BY_NAME, ["bash", "-c", f"printf '{GET}' | ncat web 80"]),
    "ncat-udp": Use("ncat", ("UDP",), ["bash", "-c", NCAT_UDP]),
    "nc": Use("nc", BY_NAME, ["bash", "-c", f"printf '{GET}' | nc web 80"]),
    "nc-udp": Use("nc", ("UDP",), ["bash", "-c", "printf pods | nc -u -w 1 198.18.0.2 80"]),
    "python": Use("python", BY_NAME, ["python3", "-c", PYTHON]),
    "python-udp": Use(
        "python", ("UDP",), ["python3", "-c", PYTHON_UDP], "b'pods' ('198.18.0.2', 80)"
    ),
    "python-fork": Use("python", ("fork",), ["python3", "-c", PYTHON_FORK]),
    "python-pass": Use(
        "python", ("fd passing",), ["python3", "-c", PYTHON_PASS], "('198.18.0.1', 80)\nHTTP"
    ),
    "python-inherit": Use(
        "python", ("fd passing",), ["python3", "-c", PYTHON_INHERIT], "('198.18.0.1', 80) 1\n"
    ),
    "asyncio": Use("python asyncio", BY_NAME, ["python3", "-c", AIO + "asyncio.run(main())"]),
    "uvloop": Use(
        "python uvloop",
        BY_NAME,
        [sys.executable, "-c", AIO + "import uvloop; uvloop.run(main())"],
        "pods\n ('198.18.0.1', 80)",
    ),
    "node": Use("node", BY_NAME, ["node", "-e", NODE]),
    "node-undici": Use("node", BY_NAME, ["node", "-e", FETCH]),
    "node-lookup": Use("node", ("DNS",), ["node", "-e", NODE_LOOKUP], "198.18.0.1 pods"),
    "node-resolve": Use("node", ("DNS",), ["node", "-e", NODE_RESOLVE], "198.18.0.1 pods"),
    "node-srv": Use("node", ("SRV",), ["node", "-e", NODE_SRV], SRV_SAID),
    "node-udp": Use("node", ("UDP",), ["node", "-e", NODE_UDP], "pods 198.18.0.2"),
    "node-pass": Use("node", ("fd passing",), ["node", "-e", NODE_PASS], "198.18.0.1 80\nHTTP"),
    "node-fork": Use("node", ("fork",), ["node", "-e", NODE_FORK]),
    "java-url": Use("java", BY_NAME, ["java", JAVA, "url"]),
    "java-nio": Use("java NIO", BY_NAME, ["java", JAVA, "nio"], "/198.18.0.1:80"),
    "java-ipv6": Use(
        "java preferIPv6Addresses",
        BY_NAME,
        ["java", "-Djava.net.preferIPv6Addresses=true", JAVA, "url"],
    ),
    "java-udp": Use("java", ("UDP",), ["java", JAVA, "udp"], "pods/198.18.0.2:80"),
    "java-srv": Use("java", ("SRV",), ["java", JAVA, "srv"], SRV_SAID),
    "java-fork": Use("java", ("fork",), ["java", JAVA, "child"]),
    "perl": Use("perl", BY_NAME, ["perl", "-e", PERL]),
    "perl-udp": Use("perl", ("UDP",), ["perl", "-e", PERL_UDP], "pods 198.18.0.2"),
    "perl-fork": Use("perl", ("fork",), ["perl", "-e", "system('curl', '-sS', 'http://web')"]),
    "ruby": Use("ruby", BY_NAME, ["ruby", "-e", RUBY]),
    "ruby-udp": Use("ruby", ("UDP",), ["ruby", "-e", RUBY_UDP], '"198.18.0.2"'),
    "ruby-srv": Use("ruby", ("SRV",), ["ruby", "-e", RUBY_SRV], SRV_SAID),
    "ruby-pass": Use("ruby", ("fd passing",), ["ruby", "-e", RUBY_PASS], "198.18.0.1:80\nHTTP"),
    "ruby-fork": Use("ruby", ("fork",), ["ruby", "-e", RUBY_FORK]),
    "php": Use("php", BY_NAME, ["php", "-r", PHP]),
    "php-udp": Use("php", ("UDP",), ["php", "-r", PHP_UDP], "pods198.18.0.2:80"),
    "php-srv": Use("php", ("SRV",), ["php", "-r", PHP_SRV], SRV_SAID),
    "php-fork": Use("php", ("fork",), ["php", "-r", PHP_FORK]),
    "redis-cli": Use(
        "redis-cli", BY_NAME, ["redis-cli", "-h", "redis", "-p", "80", "eval", LUA, "0"]
    ),
    "psql": Use("psql", BY_NAME, ["psql", "-h", "db", "-U", "me", "-Atc", SQL, "postgres"]),
    "nginx": Use("nginx", (*BY_NAME, "fork"), ["bash", "-c", NGINX]),
    "git": Use("git", (*BY_NAME, "fork"), ["bash", "-c", GIT], "one\nmore pods\n"),
    "apt": Use("apt", (*BY_NAME, "fork"), ["bash", "-c", APT]),
    "dig": Use("dig", ("SRV", "UDP"), ["dig", "+short", SRV_NAME, "SRV"], SRV_SAID),
    "dig-tcp": Use("dig", ("connect",), ["dig", "+short", "+tcp", SRV_NAME, "SRV"], SRV_SAID),
    "host": Use("host", ("SRV", "UDP"), ["host", "-t", "SRV", SRV_NAME], SRV_SAID),
    "nslookup": Use("nslookup", ("SRV", "UDP"), ["nslookup", "-type=SRV", SRV_NAME], SRV_SAID),
    "env": Use("env -i", (*BY_NAME, "fork"), ["env", "-i", "/usr/bin/curl", *URL, "http://web"]),
    "sh": Use("sh -c", (*BY_NAME, "fork"), ["sh", "-c", "curl -sS http://web; true"]),
    "timeout": Use("timeout", (*BY_NAME, "fork"), ["timeout", "9", "curl", "-sS", "http://web"]),
    "xargs": Use(
        "xargs -P",
        (*BY_NAME, "fork"),
        ["bash", "-c", "printf '%s\\n' web web web web | xargs -n 1 -P 4 curl -sS"],
        "pods\n" * 4,
    ),
}
