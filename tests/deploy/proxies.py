"""nginx and HAProxy with the project's files, in front of a running network. See run.sh."""

import contextlib
import http.client
import json
import re
import ssl
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).parent.parent))
from common import check, equal, finish, free_ports, wait

ROOT, NETWORK, CARAT = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
FILES = ROOT / "docs" / "operations" / "deploy"
HOST = "api.bank.example"
FOLDER = NETWORK / "proxies"
PASSPHRASE = json.loads((NETWORK / "genesis.json").read_text())["network_passphrase"]


def carat(*words, text=None):
    done = subprocess.run([CARAT, "--network", str(NETWORK), *words], input=text, capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"carat {' '.join(words)}: {done.stderr}")
    return done.stdout


def addresses(name):
    """Host and port of each validator's listener `name`."""
    found = re.findall(rf'^{name} *= *"http://(.*)"', (NETWORK / "network.toml").read_text(), re.M)
    equal(len(found), 4, name)
    return found


def openssl(*words):
    subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=FOLDER / "tls")


def make_certificates():
    """A certificate of the proxy, and an operator's, each its own authority."""
    (FOLDER / "tls").mkdir(parents=True)
    for name, subject in (("key", HOST), ("operator-key", "operator.bank.example")):
        out = "fullchain.pem" if name == "key" else "operators.pem"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                "-keyout", f"{name}.pem", "-out", out, "-subj", f"/CN={subject}", "-addext", f"subjectAltName=DNS:{subject}")
    tls = FOLDER / "tls"
    (tls / "api.pem").write_text((tls / "fullchain.pem").read_text() + (tls / "key.pem").read_text())


def replaced(text, old, new):
    """`text` with another value of this test's machine; what is not there cannot be replaced."""
    assert old in text, f"{old} is not in the file"
    return text.replace(old, new)


def of_this_machine(text):
    """The file with the addresses of the validators of this test."""
    for number in range(4):
        api, metrics = addresses("api")[number], addresses("metrics")[number]
        text = text.replace(f"10.0.0.1{number + 1}:8000 port 9100", f"{api} port {metrics.split(':')[1]}")
        text = replaced(text, f"10.0.0.1{number + 1}:8000", api)
        text = text.replace(f"10.0.0.1{number + 1}:9100", metrics)
    return text


class Connection(http.client.HTTPConnection):
    """TLS with the proxy: the certificate is of its name, the connection goes to this machine."""

    def __init__(self, port, context, timeout):
        super().__init__("127.0.0.1", port, timeout=timeout)
        self.context = context

    def connect(self):
        super().connect()
        self.sock = self.context.wrap_socket(self.sock, server_hostname=HOST)


class Proxy:
    """A proxy in front of the network: its ports, by what they are for."""

    def __init__(self, name, ports):
        self.name, self.ports = name, dict(zip(("everybody", "own", "operators", "plain"), ports))
        self.log = open(FOLDER / f"{name}.log", "w")

    def begin(self, *command):
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)

    def end(self):
        self.process.terminate()
        self.process.wait(20)
        self.log.close()

    def connect(self, port="everybody", certificate=False, timeout=90):
        context = ssl.create_default_context(cafile=FOLDER / "tls" / "fullchain.pem")
        if certificate:
            context.load_cert_chain(FOLDER / "tls" / "operators.pem", FOLDER / "tls" / "operator-key.pem")
        return Connection(self.ports[port], context, timeout)

    def ask(self, path, method="GET", port="everybody", body=None, certificate=False, **headers):
        """Status, headers, text."""
        connection = self.connect(port, certificate)
        headers = {"Host": HOST, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if method == "POST":
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()
        finally:
            connection.close()

    def good(self, path, **more):
        status, headers, text = self.ask(path, **more)
        assert status == 200, f"{path}: {status} {text[:300]}"
        return headers, json.loads(text)


def nginx():
    proxy = Proxy("nginx", free_ports(4))
    ports = proxy.ports
    (FOLDER / "cache").mkdir()
    text = replaced((FILES / "nginx" / "carat.conf").read_text(), "10.0.0.0/8", "127.0.0.0/8")
    text = replaced(text, "/var/cache/nginx/carat", str(FOLDER / "cache"))
    for old, new in (("listen 80", "plain"), ("listen 443", "everybody"), ("listen 8443", "own"), ("listen 9443", "operators")):
        text = re.sub(rf"{old}\b", f"listen 127.0.0.1:{ports[new]}", text)
    (FOLDER / "carat.conf").write_text(text)
    (FOLDER / "carat-upstreams.conf").write_text(of_this_machine((FILES / "nginx" / "carat-upstreams.conf").read_text()))
    temporary = "".join(f"{kind}_temp_path {FOLDER}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    # The frame that Debian has in /etc/nginx/nginx.conf.
    (FOLDER / "nginx.conf").write_text(
        f"daemon off; user root; worker_processes 2; pid {FOLDER}/nginx.pid; error_log stderr warn;\n"
        f"events {{ worker_connections 1024; }}\nhttp {{ {temporary} access_log {FOLDER}/nginx.access;\n"
        "include carat-upstreams.conf; include carat.conf; }\n")
    command = ["nginx", "-p", str(FOLDER), "-c", str(FOLDER / "nginx.conf")]
    subprocess.run([*command, "-t", "-q"], check=True)
    proxy.begin(*command)
    return proxy


def haproxy():
    proxy = Proxy("haproxy", free_ports(4))
    ports = proxy.ports
    text = of_this_machine(replaced((FILES / "haproxy" / "haproxy.cfg").read_text(), "10.0.0.0/8", "127.0.0.0/8"))
    for old, new in (("bind :443", "everybody"), ("bind :8443", "own"), ("bind :9443", "operators")):
        text = replaced(text, f"{old} ", f"bind 127.0.0.1:{ports[new]} ")
    text = replaced(text, "/etc/haproxy/tls/", f"{FOLDER}/tls/")
    (FOLDER / "haproxy.cfg").write_text(text)
    checked = subprocess.run(["haproxy", "-c", "-f", str(FOLDER / "haproxy.cfg")], capture_output=True, text=True)
    warnings = [line for line in (checked.stdout + checked.stderr).splitlines() if "WARNING" in line or "ALERT" in line]
    assert checked.returncode == 0 and not warnings, f"{checked.returncode} {warnings}"
    proxy.begin("haproxy", "-db", "-f", str(FOLDER / "haproxy.cfg"))
    return proxy


# What both must do.

def account(name):
    """A new account with coins."""
    carat("friendbot", name, "--new")
    return json.loads(carat("-o", "json", "keys", "show", name))["address"]


def payment(amount):
    """A signed payment, as the form that a client sends."""
    unsigned = carat("tx", "build", "--source", "alice", "payment", "bob", str(amount), "native")
    signed = carat("tx", "sign", "--key", "alice", text=unsigned)
    # What is before the envelope names the network.
    return "tx=" + quote(signed.strip().rpartition(":")[2], safe="")


def routes(proxy):
    def everywhere():
        _, root = proxy.good("/")
        equal(root["network_passphrase"], PASSPHRASE, "passphrase")
        for path in ("/ledgers?limit=1", "/accounts/" + ALICE, "/fee_stats", "/genesis", "/openapi.json"):
            proxy.good(path)
        equal(proxy.ask("/ui/")[0], 200, "pages")
        status, headers, _ = proxy.ask("/nowhere")
        equal((status, headers["content-type"]), (404, "application/problem+json; charset=utf-8"), "the node's own 404")
    return everywhere


def links(proxy):
    def secure():
        for spoofed in ({}, {"X_Forwarded_Proto": "http"}, {"X_Forwarded_Proto": "ftp", "Forwarded": "host=evil.example"}):
            _, root = proxy.good("/", **spoofed)
            assert root["_links"]["self"]["href"].startswith(f"https://{HOST}"), root["_links"]["self"]
    return secure


def foreign_name(proxy):
    def nothing():
        try:
            connection = proxy.connect(timeout=3)
            connection.request("GET", "/", headers={"Host": "evil.example"})
            answer = connection.getresponse()
        except (OSError, http.client.HTTPException):
            return
        raise AssertionError(f"a foreign name got {answer.status}")
    return nothing


def submissions(proxy, port):
    def settled():
        form = payment(1)
        first = proxy.ask("/transactions", "POST", port, form)
        equal(first[0], 200, first[2][:300])
        again = proxy.ask("/transactions", "POST", port, form)
        equal((again[0], json.loads(again[2])["hash"]), (200, json.loads(first[2])["hash"]), "the same bytes again")
        # 201 from a node that has not executed it yet, though another has.
        assert proxy.ask("/transactions_async", "POST", port, form)[0] in (201, 409), "the same bytes again"
    return settled


def own_port_only_submits(proxy):
    def refused():
        for path in ("/", "/ledgers", "/friendbot?addr=" + ALICE, "/transactions"):
            status = proxy.ask(path, port="own")[0]
            assert status in (403, 404), f"{path}: {status}"
    return refused


def long_bodies(proxy):
    def refused():
        # The length alone, so that the refusal is not lost in what would still be sent.
        connection = proxy.connect(timeout=20)
        connection.putrequest("POST", "/transactions", skip_host=True)
        for name, value in (("Host", HOST), ("Content-Type", "application/x-www-form-urlencoded"), ("Content-Length", "600000")):
            connection.putheader(name, value)
        connection.endheaders()
        equal(connection.getresponse().status, 413, "600 kB")
    return refused


def operators(proxy):
    def certified():
        status, _, text = proxy.ask("/readyz", port="operators", certificate=True)
        equal((status, json.loads(text)["ready"]), (200, True), "/readyz")
        assert "consensus_slot" in proxy.ask("/metrics", port="operators", certificate=True)[2]
        try:
            status = proxy.ask("/metrics", port="operators")[0]
        except OSError:
            return
        equal(status, 400, "without a certificate")
    return certified


def stream(proxy):
    """Each event comes when it happens: were it held back, the second would not come before the stream's end."""
    def passes():
        connection = proxy.connect(timeout=20)
        connection.request("GET", f"/accounts/{BOB}/payments?cursor=now&limit=200",
                           headers={"Host": HOST, "Accept": "text/event-stream"})
        answer = connection.getresponse()
        equal((answer.status, answer.headers["content-type"]), (200, "text/event-stream; charset=utf-8"), "stream")
        equal([answer.readline().strip() for _ in range(4)][2], b'data: "hello"', "the first event")
        for amount in ("3.0000000", "4.0000000"):
            equal(proxy.ask("/transactions", "POST", "own", payment(float(amount)))[0], 200, "payment")
            event = b""
            while not event.startswith(b"data: {"):
                event = answer.readline()
                assert event, "the stream ended"
            equal(json.loads(event[6:])["amount"], amount, "the event")
        connection.close()
    return passes


def killed(proxy):
    """No request fails while a validator is dead, however it died; the one behind `bank` and `operator` lives."""
    def unnoticed():
        carat("network", "kill", "v2")
        try:
            for number in range(40):
                status, _, text = proxy.ask(f"/ledgers?limit=1&n={number}")
                equal(status, 200, f"read {number} {text[:200]}")
            for amount in range(10, 14):
                status, _, text = proxy.ask("/transactions", "POST", "own", payment(amount))
                equal(status, 200, f"payment {text[:200]}")
        finally:
            carat("network", "restart", "v2")
    return unnoticed


# What only nginx does.

def closed_ledger(proxy):
    # Not the newest: another node may not have closed it yet.
    _, ledgers = proxy.good("/ledgers?order=desc&limit=5")
    return f"/ledgers/{ledgers['_embedded']['records'][-1]['sequence']}"


def cache(proxy):
    def kept():
        path = closed_ledger(proxy)
        first, ledger = proxy.good(path)
        second, again = proxy.good(path)
        equal((first["x-cache-status"], second["x-cache-status"]), ("MISS", "HIT"), path)
        equal(again, ledger, path)
        status, headers, text = proxy.ask(path, If_None_Match=first["etag"])
        equal((status, headers["x-cache-status"], text), (304, "HIT", ""), "a client that has it")
        equal(proxy.good(path, Authorization="Bearer x")[0]["x-cache-status"], "BYPASS", "with a token")
        for path in ("/", "/ledgers?limit=1", "/accounts/" + ALICE):
            for _ in range(2):
                assert proxy.good(path)[0]["x-cache-status"] != "HIT", f"{path} changes and was kept"
    return kept


def cache_outlives_the_nodes(proxy):
    """Last, as it ends the network."""
    def kept():
        path = closed_ledger(proxy)
        proxy.good(path)
        carat("network", "down")
        equal(proxy.good(path)[0]["x-cache-status"], "HIT", path)
        for path in ("/", "/ledgers?limit=1"):
            status, headers, text = proxy.ask(path)
            equal((status, headers["retry-after"], json.loads(text)["status"]), (503, "1", 503), path)
    return kept


def redirect(proxy):
    def secure():
        connection = http.client.HTTPConnection("127.0.0.1", proxy.ports["plain"], timeout=20)
        connection.request("GET", "/ledgers?limit=1", headers={"Host": HOST})
        answer = connection.getresponse()
        equal((answer.status, answer.headers["location"]), (308, f"https://{HOST}/ledgers?limit=1"), "port 80")
    return secure


# What only HAProxy does.

def stalled_node_gets_no_requests(proxy):
    """Without a quorum nobody is ready, though every REST interface answers: HAProxy must say so."""
    def unready():
        for name in ("v1", "v2"):
            carat("network", "kill", name)
        try:
            # The nodes themselves would answer 200.
            wait("nobody is asked any more", lambda: proxy.ask("/")[0] == 503)
            _, headers, text = proxy.ask("/")
            equal((headers["retry-after"], json.loads(text)["status"]), ("1", 503), "a refusal that clients know")
        finally:
            for name in ("v1", "v2"):
                carat("network", "restart", name)
        wait("it is up again", lambda: proxy.ask("/ledgers?limit=1")[0] == 200)
    return unready


def known_everywhere(address):
    """Whether every validator has executed what made an account: one that began late refuses what the others take."""
    def asked(node):
        with contextlib.suppress(OSError):
            connection = http.client.HTTPConnection(node, timeout=3)
            connection.request("GET", f"/accounts/{address}")
            return connection.getresponse().status == 200
    return all(asked(node) for node in addresses("api"))


make_certificates()
ALICE, BOB = account("alice"), account("bob")
wait("all validators know the accounts", lambda: known_everywhere(ALICE) and known_everywhere(BOB))
proxies = []
try:
    for make in (nginx, haproxy):
        check(f"{make.__name__} accepts its file", lambda: proxies.append(make()))
    for proxy in proxies:
        of = f"{proxy.name}: "
        check(of + "it is there", lambda: wait("it answers", lambda: proxy.ask("/")[0] == 200))
        check(of + "every path finds its node", routes(proxy))
        check(of + "links are https, whatever a client says", links(proxy))
        check(of + "a foreign name gets nothing", foreign_name(proxy))
        check(of + "a payment is settled, and once", submissions(proxy, "everybody"))
        check(of + "the port of the bank's own software submits", submissions(proxy, "own"))
        check(of + "and does nothing else", own_port_only_submits(proxy))
        check(of + "long bodies are refused", long_bodies(proxy))
        check(of + "operators come in with a certificate alone", operators(proxy))
        check(of + "streams pass event by event", stream(proxy))
        check(of + "no request notices a killed validator", killed(proxy))
        if proxy.name == "haproxy":
            check(of + "who has no quorum gets no requests", stalled_node_gets_no_requests(proxy))
    nginx_proxy = proxies[0]
    check("nginx: plain HTTP is sent to https", redirect(nginx_proxy))
    check("nginx: closed ledgers are kept, nothing else", cache(nginx_proxy))
    check("nginx: kept ledgers outlive the nodes, the rest is a refusal that clients know", cache_outlives_the_nodes(nginx_proxy))
finally:
    for proxy in proxies:
        proxy.end()
finish()
