"""Signers as processes of their own, beside the validators of a running network. See run.sh."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from common import check, equal, finish, free_ports, wait
from running import Network, run

NETWORK, PROGRAMS = Path(sys.argv[1]), Path(sys.argv[2])
RUNNING = Network(NETWORK, PROGRAMS)
# A path in the network's folder may be too long for a socket.
SOCKETS = Path("/tmp") / f"carat-signers-{os.getpid()}"
NOBODY = 65534
# This one's signer is reached by TLS, as from another machine.
REMOTE = 2
ADDRESS = f"127.0.0.1:{free_ports(1)[0]}"
signers = {}


def pay(count=2):
    RUNNING.pay(count)


def readiness(index):
    return RUNNING.status(index)


def metric(index, name):
    return RUNNING.metric(index, name)


def home(index):
    return SOCKETS / f"s{index}"


def user(index):
    """The first signer has a user of its own, where that can be had."""
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if index == 0 and os.getuid() == 0 else {}


def take_over(index):
    """Moves a validator's keys to a signer, as docs/operations/signer.md says."""
    folder = home(index)
    folder.mkdir(parents=True)
    shutil.move(NETWORK / f"v{index}" / "keys", folder / "keys")
    shutil.copy(NETWORK / "genesis.json", folder / "genesis.json")
    if index == REMOTE:
        made = RUNNING.carat("keys", "--keys", folder / "link", "generate", "link")
        link = re.search(r"\bG[A-Z2-7]{55}\b", made)[0]
        place = f'tls:{ADDRESS}"\nsigner_key = "{folder}/link/link.toml'
        (folder / "signer.toml").write_text(f'index = {index}\nremote = {{ listen = "{ADDRESS}", client = "{link}" }}\n')
    else:
        place = f"unix:{folder}/signer.sock"
        (folder / "signer.toml").write_text(f"index = {index}\nusers = [{os.getuid()}]\n")
    settings = NETWORK / f"v{index}" / "node.toml"
    named = f'[validator]\nsigner = "{place}"\n'
    text = settings.read_text()
    assert "[validator]\n" in text
    settings.write_text(text.replace("[validator]\n", named))
    if user(index):
        run("chown", "-R", f"{NOBODY}:{NOBODY}", folder)
    made = run(PROGRAMS / "carat-node", "signer", "init", "--home", folder, **user(index))
    equal(made.returncode, 0, made.stderr)


def starts(index):
    return (NETWORK / f"signer{index}.log").read_text().count("signer started")


def start(index):
    log = open(NETWORK / f"signer{index}.log", "a")
    before = starts(index)
    command = [PROGRAMS / "carat-node", "signer", "run", "--home", home(index)]
    signers[index] = subprocess.Popen(command, stderr=log, **user(index))
    wait(f"signer {index} listens", lambda: starts(index) > before)


def kill(index):
    signers[index].send_signal(signal.SIGKILL)
    signers[index].wait()


def no_key_file_and_the_network_settles():
    for index in range(4):
        found = [path for path in (NETWORK / f"v{index}").rglob("*") if path.name.endswith(".key.json")]
        equal(found, [], "key files")
    pay()
    if user(0):
        owner = Path(f"/proc/{signers[0].pid}").stat().st_uid
        equal(owner, NOBODY, "user of the signer")


def killed_signer_makes_its_validator_mute_and_no_more():
    kill(1)
    wait("v1 says so", lambda: readiness(1)["state"] == "no-signer")
    equal(metric(1, "signer_present"), 0)
    pay()
    reached = readiness(0)["slot"]
    wait("v1 follows", lambda: readiness(1)["slot"] >= reached)
    start(1)
    wait("v1 is back", lambda: readiness(1)["ready"])
    equal(metric(1, "signer_refusals_total"), 0)


def signers_killed_under_payments_lose_nothing():
    for turn in range(6):
        index = turn % 4
        kill(index)
        pay(1)
        start(index)
    for index in range(4):
        wait(f"v{index} is ready", lambda: readiness(index)["ready"])
        equal(metric(index, "signer_refusals_total"), 0, f"refusals of signer {index}")
    RUNNING.check_payments_arrived()
    RUNNING.carat("audit", "roots", "--ledgers", "20")


def stranger_is_refused_by_key_and_counted():
    settings = NETWORK / f"v{REMOTE}" / "node.toml"
    right = settings.read_text()
    RUNNING.carat("keys", "--keys", home(REMOTE) / "link", "generate", "stranger")
    settings.write_text(right.replace("link/link.toml", "link/stranger.toml"))
    said = run(PROGRAMS / "carat-node", "check", "--home", settings.parent)
    settings.write_text(right)
    assert said.returncode != 0 and "does not answer" in said.stderr and "hint:" in said.stderr, said.stderr
    log = (NETWORK / f"signer{REMOTE}.log").read_text()
    assert ", expected " in log and "refused=1" in log, log[-600:]
    pay(1)
    equal(metric(REMOTE, "signer_present"), 1, "the validator itself is served")


def link_key_rests_encrypted():
    """Under the passphrase that the validator's start finds."""
    passphrase, link, settings = NETWORK / "passphrase", home(REMOTE) / "link" / "link.toml", NETWORK / f"v{REMOTE}" / "node.toml"
    passphrase.write_text("correct horse battery staple\n")
    passphrase.chmod(0o600)
    secret = link.read_text().split('"')[3]
    done = run(PROGRAMS / "carat-node", "key", "encrypt", "--home", settings.parent, "--passphrase-file", passphrase)
    equal(done.returncode, 0, done.stderr)
    assert str(link) in done.stdout and secret not in link.read_text(), done.stdout
    settings.write_text(settings.read_text().replace("[validator]\n", f'[validator]\npassphrase_file = "{passphrase}"\n'))
    RUNNING.carat("network", "restart", f"v{REMOTE}")
    wait("its validator signs again", lambda: metric(REMOTE, "signer_present") == 1)
    pay(1)


def all_signers_killed_stop_the_network_and_it_goes_on():
    for index in range(4):
        kill(index)
    for index in range(4):
        wait(f"v{index} says so", lambda: readiness(index)["state"] in ("no-signer", "stalled", "changing-view", "no-quorum"))
    for index in range(4):
        start(index)
    pay()
    RUNNING.check_payments_arrived()


try:
    for index in range(4):
        take_over(index)
        start(index)
    RUNNING.carat("network", "up")
    RUNNING.fund("alice", "bob")
    check("no home holds a key file, and payments settle", no_key_file_and_the_network_settles)
    check("a killed signer makes its validator mute and no more", killed_signer_makes_its_validator_mute_and_no_more)
    check("signers killed under payments lose nothing", signers_killed_under_payments_lose_nothing)
    check("a stranger is refused by its key, and counted", stranger_is_refused_by_key_and_counted)
    check("the key that a validator proves to its signer rests encrypted", link_key_rests_encrypted)
    check("the network goes on when all signers are back", all_signers_killed_stop_the_network_and_it_goes_on)
finally:
    RUNNING.try_carat("network", "down")
    for process in signers.values():
        process.kill()
    shutil.rmtree(SOCKETS, ignore_errors=True)
finish()
