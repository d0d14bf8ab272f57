"""Acceptor keys in tokens, of the validator v0 itself and of the signer of v1. See run.sh."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from common import check, equal, finish, wait
from running import Network, run

NETWORK, PROGRAMS = Path(sys.argv[1]), Path(sys.argv[2])
# A path in the network's folder may be too long for a socket.
PLACE = Path("/tmp") / f"carat-tokens-{os.getpid()}"
TOKENS = PLACE / "tokens"
PIN, WRONG_PIN = "2718281828", "3141592653"
MODULE = next(path for path in map(Path, ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so")) if path.exists())
os.environ["SOFTHSM2_CONF"] = str(PLACE / "softhsm2.conf")
signer = None


def done(*command):
    ended = run(*command)
    if ended.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: {ended.stderr.strip()[-600:]}")
    return ended.stdout


def refused(*command):
    ended = run(*command)
    assert ended.returncode != 0, f"{' '.join(map(str, command))} was not refused"
    return ended.stderr


def node(*words):
    return (PROGRAMS / "carat-node", *words)


def token(command, name, *words):
    return done(*node("key", "token", command, "--module", MODULE, "--token", name, "--pin-file", PLACE / "pin", *words)).strip()


def genesis():
    return json.loads((NETWORK / "genesis.json").read_text())


def log(name):
    return (NETWORK / name).read_text()


def file_of(name, text, mode=0o600):
    path = PLACE / name
    path.write_text(text)
    path.chmod(mode)
    return path


def named(table, label, **other):
    """The section of a token in node.toml or signer.toml."""
    fields = {"module": MODULE, "label": label, "pin_file": PLACE / "pin", **other}
    return f"\n[{table}]\n" + "".join(f'{name} = "{value}"\n' for name, value in fields.items())


def make_tokens():
    TOKENS.mkdir(parents=True)
    (PLACE / "softhsm2.conf").write_text(f"directories.tokendir = {TOKENS}\nobjectstore.backend = file\nlog.level = ERROR\n")
    file_of("pin", PIN + "\n")
    for name in ("carat-v0", "carat-v1"):
        done("softhsm2-util", "--init-token", "--free", "--label", name, "--so-pin", "16180339", "--pin", PIN)


def make_network():
    """The key of v0 is made in its token; that of v1 is brought in, and moves to a signer."""
    public = token("create", "carat-v0")
    done(PROGRAMS / "carat-genesis", "init", "--validators", "4", "--out", NETWORK, "--acceptor-key", f"0={public}")
    equal(genesis()["validators"][0]["acceptor"], public, "the key that was made")
    settings = NETWORK / "v0" / "node.toml"
    settings.write_text(settings.read_text() + named("validator.token", "carat-v0"))

    keys = NETWORK / "v1" / "keys"
    brought = token("import", "carat-v1", "--file", keys / "acceptor.key.json")
    equal(genesis()["validators"][1]["acceptor"], brought, "the key that was brought in")
    (keys / "acceptor.key.json").unlink()
    home = PLACE / "s1"
    home.mkdir()
    shutil.move(keys, home / "keys")
    shutil.copy(NETWORK / "genesis.json", home / "genesis.json")
    (home / "signer.toml").write_text(f"index = 1\nusers = [{os.getuid()}]\n" + named("token", "carat-v1"))
    settings = NETWORK / "v1" / "node.toml"
    settings.write_text(settings.read_text().replace("[validator]\n", f'[validator]\nsigner = "unix:{home}/signer.sock"\n'))
    done(*node("signer", "init", "--home", home))


def start_signer():
    global signer
    signer = subprocess.Popen([str(word) for word in node("signer", "run", "--home", PLACE / "s1")], stderr=open(NETWORK / "signer.log", "a"))
    wait("the signer listens", lambda: "signer started" in log("signer.log"))


def kill_signer():
    signer.kill()
    signer.wait()


def keys_stay_inside():
    made = done("pkcs11-tool", "--module", MODULE, "--token-label", "carat-v0", "--login", "--pin", PIN, "-O")
    assert "EC_EDWARDS" in made and "sensitive, always sensitive, never extractable, local" in made, made
    brought = done("pkcs11-tool", "--module", MODULE, "--token-label", "carat-v1", "--login", "--pin", PIN, "-O")
    assert "Access:     sensitive" in brought and "extractable, local" not in brought, brought
    equal([path.name for path in NETWORK.rglob("acceptor.key.json")], ["acceptor.key.json"] * 2, "key files of v2 and v3 alone")
    done(PROGRAMS / "carat-genesis", "verify", NETWORK / "v0")
    equal(token("show", "carat-v0"), genesis()["validators"][0]["acceptor"], "what the token shows")
    assert "has a key with label" in refused(*node("key", "token", "create", "--module", MODULE, "--token", "carat-v0", "--pin-file", PLACE / "pin"))


def check_says(settings, *expected):
    """`carat-node check` of v0 with another section for its token."""
    path = NETWORK / "v0" / "node.toml"
    right = path.read_text()
    path.write_text(right[: right.index("\n[validator.token]\nmodule")] + settings)
    try:
        said = refused(*node("check", "--home", NETWORK / "v0"))
    finally:
        path.write_text(right)
    for words in expected:
        assert words in said, f"{said!r} should say {words!r}"
    assert PIN not in said and WRONG_PIN not in said, "a PIN in an error"


def what_does_not_fit_is_refused():
    [own, other] = [genesis()["validators"][index]["acceptor"] for index in (0, 1)]
    table = "validator.token"
    check_says(named(table, "carat-v1"), f"is {other}, but the genesis file lists {own}", "hint:")
    check_says(named(table, "carat-v9"), '"carat-v0", "carat-v1"', 'expected one "carat-v9"', "hint:")
    check_says(named(table, "carat-v0", acceptor="nobody"), "0 Ed25519 public keys with label \"nobody\"", "hint:")
    check_says(named(table, "carat-v0", pin_file=file_of("wrong", WRONG_PIN)), "refuses the PIN", "hint:")
    check_says(named(table, "carat-v0", pin_file=file_of("open", PIN, 0o644)), "has mode 644, expected 600")
    check_says(named(table, "carat-v0", module="/nowhere/lib.so"), "cannot be loaded", "hint:")
    path = NETWORK / "v0" / "node.toml"
    right = path.read_text()
    path.write_text(right.replace(f'pin_file = "{PLACE}/pin"\n', ""))
    said = refused(*node("check", "--home", NETWORK / "v0"))
    assert "wants a PIN and none was given" in said and "CARAT_TOKEN_PIN" in said, said
    done("env", f"CARAT_TOKEN_PIN={PIN}", *node("check", "--home", NETWORK / "v0"))
    path.write_text(right)


def votes_of_tokens_count():
    """Without v3 nothing is final unless both tokens sign, and the others take their signatures."""
    RUNNING.carat("network", "kill", "v3")
    RUNNING.pay(2)
    RUNNING.carat("network", "restart", "v3")
    equal(RUNNING.metric(0, "signer_present"), 1, "v0 signs")
    assert RUNNING.metric(0, "signer_batch_seconds_count") > 0, "v0 asked its token"


def killed_and_started_again():
    for _ in range(2):
        RUNNING.carat("network", "kill", "v0")
        kill_signer()
        start_signer()
        RUNNING.carat("network", "restart", "v0")
        RUNNING.pay(1)
    wait("v1 is ready", lambda: RUNNING.status(1)["ready"])
    equal(RUNNING.metric(1, "signer_refusals_total"), 0, "refusals")


def tokens_that_are_away_make_mute_and_no_more():
    TOKENS.rename(PLACE / "away")
    for index in (0, 1):
        wait(f"v{index} says so", lambda: RUNNING.status(index)["state"] in ("no-signer", "stalled", "changing-view", "no-quorum"))
        wait(f"v{index} has nobody who signs", lambda: RUNNING.metric(index, "signer_present") == 0)
    assert "the token is away" in log("signer.log")
    assert signer.poll() is None, "the signer waits"
    (PLACE / "away").rename(TOKENS)
    for index in (0, 1):
        wait(f"v{index} is ready", lambda: RUNNING.status(index)["ready"])
    RUNNING.pay(2)
    assert "the token is back" in log("signer.log")
    equal(RUNNING.metric(1, "signer_refusals_total"), 0, "refusals")


def nothing_is_lost_and_no_pin_is_told():
    RUNNING.check_payments_arrived()
    RUNNING.carat("audit", "roots", "--ledgers", "20")
    for path in [NETWORK / "signer.log", *(NETWORK / "run").glob("*.log")]:
        assert PIN not in path.read_text(), f"the PIN is in {path}"


try:
    make_tokens()
    make_network()
    RUNNING = Network(NETWORK, PROGRAMS)
    check("keys are in the tokens and cannot be read there", keys_stay_inside)
    check("a wrong key, token, label, PIN or file is refused", what_does_not_fit_is_refused)
    start_signer()
    RUNNING.carat("network", "up")
    RUNNING.fund("alice", "bob")
    check("votes signed by tokens are votes", votes_of_tokens_count)
    check("killed validator and signer come back with their tokens", killed_and_started_again)
    check("tokens that are away make their validators mute and no more", tokens_that_are_away_make_mute_and_no_more)
    check("nothing is lost, and no log tells a PIN", nothing_is_lost_and_no_pin_is_told)
finally:
    run(PROGRAMS / "carat", "--network", NETWORK, "network", "down")
    if signer:
        signer.kill()
    shutil.rmtree(PLACE, ignore_errors=True)
finish()
