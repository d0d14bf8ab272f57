"""The files of docs/operations/deploy that no running proxy tests, against the programs and schemas of those who read them. See run.sh."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import yaml
sys.path.insert(0, str(Path(__file__).parent.parent))
from common import check, equal, finish, free_ports, wait

ROOT, FOLDER, PROGRAMS = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
FILES = ROOT / "docs" / "operations" / "deploy"
NETWORK = FOLDER / "network"
# 1.2 today; nothing of it may be given up unnoticed. 0.1 is as good as it gets, 9.6 is a unit without hardening.
EXPOSURE_MAX = "15"


def run(*command, **more):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **more)
    if done.returncode != 0:
        raise AssertionError(f"{Path(str(command[0])).name}: {done.returncode} {(done.stdout + done.stderr).strip()[-800:]}")
    return done.stdout + done.stderr


def tool(name):
    """A program of this environment's packages."""
    return Path(sys.executable).parent / name


def read(path):
    return (FILES / path).read_text()


# systemd

UNITS = ("carat-node.service", "carat-signer.service")


def unit_for_here(name):
    """The unit, with the programs of this build and without the manual, which is not installed here."""
    text = read(f"systemd/{name}").replace("/usr/bin/", f"{PROGRAMS}/")
    text = re.sub(r"^Documentation=.*\n", "", text, flags=re.M)
    path = FOLDER / name
    path.write_text(text)
    return path


def units_are_valid():
    for name in UNITS:
        equal(run("systemd-analyze", "verify", unit_for_here(name)).strip(), "", f"systemd-analyze verify {name}")


def units_are_hardened():
    for name in UNITS:
        said = run("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_MAX}", unit_for_here(name))
        print("        " + re.search(r"Overall exposure level.*", said).group(0), flush=True)


def calls_of(name, known):
    """The system calls of a set, and of the sets in it."""
    for line in known[name]:
        if line.startswith("@"):
            yield from calls_of(line, known)
        else:
            yield line


def allowed_calls(unit):
    """What SystemCallFilter leaves, by systemd's own list."""
    known, name = {}, ""
    for line in run("systemd-analyze", "--no-pager", "syscall-filter").splitlines():
        word = line.strip()
        if line.startswith("@"):
            name = word
            known[name] = []
        elif word and not word.startswith("#") and name:
            known[name].append(word)
    allowed = set()
    for value in re.findall(r"^SystemCallFilter=(.*)$", read(f"systemd/{unit}"), re.M):
        calls = {call for word in value.removeprefix("~").split() for call in calls_of(word, known)}
        allowed = allowed - calls if value.startswith("~") else allowed | calls
    assert len(allowed) > 200, f"only {len(allowed)} system calls"
    return allowed


class Traced:
    """A command under strace, from its start to its end by SIGTERM; then `calls` are the system calls that it made."""

    def __init__(self, *command):
        self.command, self.summary, self.calls = command, FOLDER / "calls", set()

    def __enter__(self):
        with open(FOLDER / "strace.log", "a") as log:
            self.process = subprocess.Popen(
                ["strace", "-f", "-qq", "-c", "-U", "name,errors,calls", "-o", str(self.summary), *map(str, self.command)],
                stdout=log, stderr=log)
        return self

    def __exit__(self, *_):
        # To the program, which is strace's child: strace itself hands no signal on.
        for child in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            os.kill(int(child), signal.SIGTERM)
        self.process.wait(60)
        lines = self.summary.read_text().splitlines()[2:]
        self.calls = {line.split()[0] for line in lines if line.strip() and line[0].isalpha()} - {"total"}

    def check(self, unit, least):
        assert len(self.calls) > least and {"sendmsg", "fsync", "fdatasync"} & self.calls, f"strace saw {sorted(self.calls)}"
        # The start of the program is made by the service manager, and a filter always lets it through.
        foreign = self.calls - allowed_calls(unit) - {"execve"}
        assert not foreign, f"the filter of {unit} would refuse {sorted(foreign)}"
        print(f"        {len(self.calls)} different system calls, all allowed", flush=True)


def pay_once(names):
    """Waits for the one validator, and has two new accounts pay."""
    api = re.search(r'^api *= *"http://(.*)"', (NETWORK / "network.toml").read_text(), re.M).group(1)
    wait("the validator answers", lambda: subprocess.run(["bash", "-c", f"exec 3<>/dev/tcp/{api.replace(':', '/')}"],
                                                         capture_output=True).returncode == 0)
    carat = [PROGRAMS / "carat", "--network", NETWORK]
    for name in names:
        run(*carat, "friendbot", name, "--new")
    run(*carat, "pay", *names, "1", "native")


def validator_makes_allowed_calls_only():
    """A validator alone is started, paid with, and ended."""
    run(PROGRAMS / "carat-genesis", "init", "--validators", "1", "--out", NETWORK)
    with Traced(PROGRAMS / "carat-node", "run", "--home", NETWORK / "v0") as validator:
        pay_once(["alice", "bob"])
    equal(validator.process.returncode, 0, "the validator's exit code")
    validator.check("carat-node.service", 30)


def signer_makes_allowed_calls_only():
    """The same validator, with its keys in a signer."""
    home = FOLDER / "signer"
    (home / "keys").mkdir(parents=True)
    home.chmod(0o700)
    for key in (NETWORK / "v0" / "keys").glob("*.key.json"):
        shutil.move(key, home / "keys" / key.name)
    (home / "signer.toml").write_text(
        f'index = 0\nusers = [{os.getuid()}]\ngroup = {os.getgid()}\ngenesis = "{NETWORK}/genesis.json"\n')
    settings = NETWORK / "v0" / "node.toml"
    settings.write_text(settings.read_text().replace("[validator]", f'[validator]\nsigner = "unix:{home}/signer.sock"'))
    run(PROGRAMS / "carat-node", "signer", "init", "--home", home)
    with Traced(PROGRAMS / "carat-node", "signer", "run", "--home", home) as signer:
        wait("the signer listens", (home / "signer.sock").exists)
        validator = subprocess.Popen([PROGRAMS / "carat-node", "run", "--home", NETWORK / "v0"], stdout=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL)
        try:
            pay_once(["carol", "dave"])
        finally:
            validator.terminate()
            validator.wait(60)
    signer.check("carat-signer.service", 20)


def user_is_made():
    root = FOLDER / "root"
    (root / "etc").mkdir(parents=True)
    run("systemd-sysusers", f"--root={root}", FILES / "systemd" / "sysusers.conf")
    for name in ("carat", "carat-signer"):
        assert re.search(rf"^{name}:.*:/var/lib/{name}:/usr/sbin/nologin$", (root / "etc" / "passwd").read_text(), re.M), name


def log_is_rotated_under_its_writer():
    logs = FOLDER / "logs"
    logs.mkdir(mode=0o700)
    text = read("systemd/logrotate.conf").replace("/var/log/carat", str(logs)).replace("su carat carat", "su root root")
    (FOLDER / "logrotate.conf").write_text(text)
    with open(logs / "carat-node.log", "a") as writer:
        writer.write("before\n")
        writer.flush()
        run("logrotate", "--force", "--state", FOLDER / "logrotate.state", FOLDER / "logrotate.conf")
        writer.write("after\n")
    equal((logs / "carat-node.log").read_text(), "after\n", "the log")
    equal((logs / "carat-node.log.1").read_text(), "before\n", "the rotated log")


# Containers

def image_has_the_libraries():
    """The image is debian:12-slim with nothing added: what the programs load must be in it."""
    there = {"linux-vdso", "ld-linux-x86-64", "ld-linux-aarch64", "libc", "libm", "libgcc_s", "libstdc++", "libdl", "libpthread", "librt"}
    for name in ("carat-node", "carat", "carat-genesis"):
        needed = {Path(line.split()[0]).name.split(".so")[0] for line in run("ldd", PROGRAMS / name).splitlines()}
        assert needed <= there, f"{name} needs {sorted(needed - there)}"


def containerfile_copies_what_is_built():
    text = read("container/Containerfile")
    assert "cargo build --release --locked" in text
    for name in ("carat-node", "carat", "carat-genesis"):
        assert f"/src/target/release/{name} " in text, name
    run(tool("hadolint"), FILES / "container" / "Containerfile")


def compose_file_is_valid():
    run(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", FILES / "container" / "compose.yaml")


def compose_health_check_answers_as_livez():
    """The check's own words, against a listener that is alive and one that is not."""
    words = yaml.safe_load(read("container/compose.yaml"))["services"]["validator"]["healthcheck"]["test"][1:]
    for status, expected in (("200 OK", 0), ("503 Service Unavailable", 1)):
        [port] = free_ports(1)
        server = subprocess.Popen([sys.executable, "-c", f"""
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response({status[:3]} if self.path == "/livez" else 404)
        self.end_headers()
    def log_message(self, *words):
        pass
http.server.HTTPServer(("127.0.0.1", {port}), Handler).serve_forever()"""])
        try:
            here = [word.replace("/9100", f"/{port}") for word in words]
            wait("it listens", lambda: subprocess.run(["bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{port}"], capture_output=True).returncode == 0)
            equal(subprocess.run(here, capture_output=True, timeout=10).returncode, expected, status)
        finally:
            server.kill()


# Kubernetes

def manifests():
    return list(yaml.safe_load_all(read("kubernetes/carat.yaml")))


def one(kind, name):
    found = [document for document in manifests() if document["kind"] == kind and document["metadata"]["name"] == name]
    equal(len(found), 1, f"{kind} {name}")
    return found[0]


def manifests_fit_the_schemas():
    said = run(tool("kubernetes-validate"), "--strict", FILES / "kubernetes" / "carat.yaml")
    equal(said.count(" passed "), len(manifests()), "documents that passed")


def there_is_one_validator_and_the_ports_agree():
    workload = one("StatefulSet", "validator")["spec"]
    equal((workload["replicas"], workload["volumeClaimTemplates"][0]["spec"]["accessModes"]), (1, ["ReadWriteOncePod"]), "one voice")
    container = workload["template"]["spec"]["containers"][0]
    ports = {port["name"]: (port["containerPort"], port["protocol"]) for port in container["ports"]}
    settings = one("ConfigMap", "carat")["data"]["node.toml"]
    for section, name in (("network", "peers"), ("api", "rest"), ("metrics", "operator")):
        listen = re.search(rf'\[{section}\]\nlisten = "0\.0\.0\.0:(\d+)"', settings).group(1)
        equal(int(listen), ports[name][0], f"port of {section}")
    policy = one("NetworkPolicy", "validator")["spec"]
    open_ports = {(port["port"], port["protocol"]) for rule in policy["ingress"] for port in rule["ports"]}
    equal(open_ports, set(ports.values()), "ports of the policy")
    peers = set(re.findall(r'address = "([0-9.]+):7000"', settings))
    for rule in (policy["ingress"][0]["from"], policy["egress"][0]["to"]):
        equal({block["ipBlock"]["cidr"].removesuffix("/32") for block in rule}, peers, "peers of the policy")
    for service in (document for document in manifests() if document["kind"] == "Service"):
        equal(service["spec"]["selector"], workload["selector"]["matchLabels"], service["metadata"]["name"])
        for port in service["spec"]["ports"]:
            equal((port["port"], port["protocol"]), ports[port["targetPort"]], service["metadata"]["name"])


def settings_in_the_manifest_are_accepted():
    """By `carat-node check`, in a home of a real network, with the paths of this machine."""
    network = FOLDER / "four"
    run(PROGRAMS / "carat-genesis", "init", "--validators", "4", "--out", network)
    home = FOLDER / "home"
    home.mkdir()
    (home / "node.toml").write_text(one("ConfigMap", "carat")["data"]["node.toml"])
    here = {"GENESIS": network / "genesis.json", "KEYS": network / "v0" / "keys", "DATA": network / "v0" / "data"}
    more = {**os.environ, **{f"CARAT_VALIDATOR__{key}": str(value) for key, value in here.items()}}
    run(PROGRAMS / "carat-node", "check", "--home", home, env=more)


def secrets_become_key_files():
    """The init container's own words, on files as a secret mounts them: links to files that others may read."""
    workload = one("StatefulSet", "validator")["spec"]["template"]["spec"]
    script = workload["initContainers"][0]["command"]
    target, secret = FOLDER / "run-carat", FOLDER / "secret"
    (secret / "..data").mkdir(parents=True)
    for path in (FOLDER / "four" / "v0" / "keys").iterdir():
        shutil.copy(path, secret / "..data" / path.name)
        (secret / "..data" / path.name).chmod(0o440)
        (secret / path.name).symlink_to(Path("..data") / path.name)
    run(*[word.replace("/run/carat", str(target)).replace("/etc/carat/secret", str(secret)) for word in script])
    files = sorted((target / "keys").iterdir())
    assert len(files) >= 4 and all(path.stat().st_mode & 0o777 == 0o600 and not path.is_symlink() for path in files), files


# nftables

def rules_are_accepted():
    # The user may not exist here.
    text = read("nftables/carat.nft").replace("skuid carat", "skuid 65534")
    run("nft", "-c", "-f", "-", input=text)
    wrong = text.replace("policy drop", "policy perhaps")
    equal(subprocess.run(["nft", "-c", "-f", "-"], input=wrong, capture_output=True, text=True).returncode, 1, "a wrong rule")


# Manual pages and completions

PROGRAM_NAMES = ("carat", "carat-node", "carat-genesis", "carat-bench")


def pages_are_complete_and_render():
    """A page for each program and each of its commands; the formatter has nothing to complain of."""
    folder = FOLDER / "man"
    folder.mkdir()
    for name in PROGRAM_NAMES:
        run(PROGRAMS / name, "man", folder)
    pages = sorted(folder.iterdir())
    for name in PROGRAM_NAMES:
        commands = re.search(r"\nCommands:\n(.*?)\n\n", run(PROGRAMS / name, "--help"), re.S).group(1)
        commands = {line.split()[0] for line in commands.splitlines() if re.match(r"  \w", line)} - {"help"}
        assert len(commands) >= 4, f"{name} has {commands}"
        for page in {name, *(f"{name}-{command}" for command in commands)}:
            assert folder / f"{page}.1" in pages, f"no page {page}"
    for page in pages:
        text = run("groff", "-man", "-Kutf8", "-Tutf8", "-ww", "-P-cbou", page)
        assert "SYNOPSIS" in text and ": warning" not in text, f"{page.name}: {text[-300:]}"
    print(f"        {len(pages)} pages", flush=True)


def completions_are_scripts():
    for name in PROGRAM_NAMES:
        run("bash", "-n", input=run(PROGRAMS / name, "completions", "bash"))
        for shell in ("zsh", "fish"):
            assert name in run(PROGRAMS / name, "completions", shell)


def replay_leads_from_genesis_to_the_state():
    """On the home that paid under strace above: the command, its JSON, and what it says of a store that was changed."""
    home = NETWORK / "v0"
    said = run(PROGRAMS / "carat", "audit", "replay", "--home", home)
    assert "executed again" in said and "state root" in said, said
    figures = json.loads(run(PROGRAMS / "carat", "-o", "json", "audit", "replay", "--home", home))
    assert figures["blocks"] > 0 and figures["transactions"] == 3, figures


check("systemd: the units are valid", units_are_valid)
check("systemd: the units are hardened", units_are_hardened)
check("systemd: the validator makes the calls that the filter allows", validator_makes_allowed_calls_only)
check("audit: blocks lead from the genesis file to the state", replay_leads_from_genesis_to_the_state)
check("manual pages are complete and render", pages_are_complete_and_render)
check("completions are scripts", completions_are_scripts)
check("systemd: the user is made", user_is_made)
check("logrotate: the log is rotated under its writer", log_is_rotated_under_its_writer)
check("container: the linter finds nothing, and what is copied is built", containerfile_copies_what_is_built)
check("container: the image has the libraries", image_has_the_libraries)
check("compose: the file fits the schema", compose_file_is_valid)
check("compose: the health check tells alive from dead", compose_health_check_answers_as_livez)
check("kubernetes: the manifests fit the schemas", manifests_fit_the_schemas)
check("kubernetes: one validator, and ports, peers and services agree", there_is_one_validator_and_the_ports_agree)
check("kubernetes: carat-node accepts the settings", settings_in_the_manifest_are_accepted)
check("kubernetes: secrets become key files", secrets_become_key_files)
if os.geteuid() == 0:
    check("nftables: the rules are accepted", rules_are_accepted)
else:
    print("SKIP nftables rules: nft checks them for root alone", flush=True)
# Takes the keys out of the validator's home.
check("systemd: the signer makes the calls that the filter allows", signer_makes_allowed_calls_only)
finish()
