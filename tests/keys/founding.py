"""A main network whose banks' keys were never on one machine, founded by the steps of docs/operations/genesis.md. See run.sh."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from common import check, equal, finish, free_ports, wait
from running import Network, run

FOLDER, PROGRAMS = Path(sys.argv[1]), Path(sys.argv[2])
GENESIS, SALT = FOLDER / "genesis.json", FOLDER / "salt.json"
BANKS = [FOLDER / f"bank{index}" for index in range(4)]
PORTS = free_ports(12)
PASSPHRASE = FOLDER / "passphrase"


def genesis(*words):
    """`carat-genesis`, which must succeed: what it said."""
    done = run(PROGRAMS / "carat-genesis", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def carat(*words):
    done = run(PROGRAMS / "carat", "--network", FOLDER, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def encrypted():
    return "--encrypt-keys", "--passphrase-file", PASSPHRASE


def each_bank_makes_its_keys():
    for index, bank in enumerate(BANKS):
        bank.mkdir(parents=True)
        entry = genesis("keys", "--out", bank / "keys", "--name", f"Bank {index}", *encrypted())
        (FOLDER / f"bank{index}.json").write_text(entry)


def one_machine_makes_the_genesis_file():
    root = run(PROGRAMS / "carat", "--keys", FOLDER / "keys", "-o", "json", "keys", "generate", "root").stdout
    founders = [word for index in range(4) for word in ("--founder", FOLDER / f"bank{index}.json")]
    genesis("init", "--main-network", "--root-account", json.loads(root)["address"], *founders, "--out", FOLDER / "made")
    equal(sorted(path.name for path in (FOLDER / "made").iterdir()), ["genesis.json", "salt.json"], "what it makes")
    passphrase = json.loads((FOLDER / "made" / "genesis.json").read_text())["network_passphrase"]
    assert passphrase.startswith("Carat main network ; "), passphrase
    for path in (GENESIS, SALT):
        (FOLDER / "made" / path.name).rename(path)


def home(index, *words, keys="keys", out="home"):
    address = [f"127.0.0.1:{port}" for port in PORTS]
    peers = [word for peer in range(4) if peer != index for word in ("--peer", f"{peer}={address[3 * peer]}")]
    network, api, metrics = address[3 * index:3 * index + 3]
    bank = BANKS[index]
    return run(PROGRAMS / "carat-genesis", "home", "--genesis", GENESIS, "--salt", SALT, "--keys", bank / keys, "--out", bank / out,
               "--network", network, "--api", api, "--metrics", metrics, *peers, *words)


def each_bank_makes_its_home():
    for index, bank in enumerate(BANKS):
        done = home(index, "--encrypt-store", *encrypted())
        equal(done.returncode, 0, done.stderr)
        settings = bank / "home" / "node.toml"
        settings.write_text(settings.read_text().replace("[validator]\n", f'[validator]\npassphrase_file = "{PASSPHRASE}"\n'))
        genesis("verify", bank / "home")


def no_second_home_is_made_of_the_same_keys():
    done = home(1, *encrypted())
    equal(done.returncode, 1, "exit code")
    assert "a home was made of it already" in done.stderr, done.stderr
    done = home(1, *encrypted(), keys="home/keys", out="second")
    equal(done.returncode, 1, "exit code")
    assert "their votes stand in the journal of that home" in done.stderr, done.stderr
    genesis("verify", BANKS[1] / "home")


def network_settles_and_proves():
    nodes = [f'\n[[nodes]]\nname = "bank{index}"\nhome = "bank{index}/home"\napi = "http://127.0.0.1:{PORTS[3 * index + 1]}"\n'
             f'metrics = "http://127.0.0.1:{PORTS[3 * index + 2]}"\n' for index in range(4)]
    (FOLDER / "network.toml").write_text('genesis = "genesis.json"\n' + "".join(nodes))
    carat("network", "up")
    carat("keys", "generate", "bank")
    carat("--as", "root", "account", "create", "bank", "--from", "root")
    receipt = FOLDER / "receipt"
    paid = json.loads(carat("-o", "json", "--as", "root", "pay", "root", "bank", "1", "native"))
    receipt.write_text(carat("--as", "root", "receipt", "fetch", paid["transaction"]))
    proved = run(PROGRAMS / "carat", "receipt", "verify", receipt, "--genesis", GENESIS)
    equal(proved.returncode, 0, proved.stderr)
    network = Network(FOLDER, PROGRAMS)
    agreeing = "consensus_validators_agreeing"
    wait("all four agree", lambda: [network.metric(index, agreeing) for index in range(4)] == [4] * 4)


FOLDER.mkdir(parents=True)
PASSPHRASE.write_text("correct horse battery staple\n")
PASSPHRASE.chmod(0o600)
try:
    check("each bank makes its keys, encrypted", each_bank_makes_its_keys)
    check("one machine makes the genesis file and has no key", one_machine_makes_the_genesis_file)
    check("each bank makes its home around its keys", each_bank_makes_its_home)
    check("no second home is made of the same keys", no_second_home_is_made_of_the_same_keys)
    check("the network settles, and proves it", network_settles_and_proves)
finally:
    run(PROGRAMS / "carat", "--network", FOLDER, "network", "down")
finish()
