"""A rolling upgrade of a running network by protocol version and vote. Payments are made all the while; at the end none may be
lost, and all validators must have the same books. See scripts/upgrade.sh."""

import json
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from common import check, equal, finish, wait
from running import Network, get, run

NETWORK, OLD, NEW = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
RUNNING = Network(NETWORK, NEW)
carat, APIS = RUNNING.carat, RUNNING.apis
BEFORE, AFTER = 28, 29
NEWEST = int(sys.argv[4])


def governance():
    return json.loads(carat("-o", "json", "governance", "show"))


def speaker(index):
    return ("--signer", NETWORK / f"v{index}" / "keys" / "acceptor.key.json", "--from", "acme")


class Load(threading.Thread):
    """Payments of one account, one after another, each proved by a receipt; they are counted."""

    def __init__(self, payer):
        super().__init__(daemon=True)
        self.payer, self.paid, self.failed, self.over = payer, 0, [], threading.Event()

    def run(self):
        while not self.over.is_set():
            done = RUNNING.try_carat("pay", self.payer, "till", "1", "native")
            if done.returncode == 0:
                self.paid += 1
            else:
                self.failed.append(done.stderr.strip()[-300:])


def received():
    return RUNNING.balance("till")


def paid():
    return sum(load.paid for load in loads)


def goes_on(what):
    """More payments are proved than were before."""
    before = paid()
    wait(f"payments settle {what}", lambda: paid() >= before + 4)


def replaced_one_by_one():
    for index in range(3):
        carat("network", "restart", f"v{index}")
        goes_on(f"with v{index} upgraded")
    known = {build["validator"]: build["newest_protocol"] for build in governance()["builds"]}
    equal(known, {"v0": NEWEST, "v1": NEWEST, "v2": NEWEST, "v3": BEFORE}, "what the builds know")
    equal({get(api, "/")["current_protocol_version"] for api in APIS}, {BEFORE}, "in force everywhere")


def vote_that_would_stop_somebody_is_refused():
    refused = RUNNING.try_carat("governance", "propose", "protocol-version", AFTER, *speaker(0))
    equal(refused.returncode, 3, refused.stderr)
    assert f"v3 knows up to {BEFORE}" in refused.stderr and "hint" in refused.stderr, refused.stderr
    equal(governance()["proposals"], [], "proposals")


def old_build_left_behind_stops_with_a_sentence():
    """v3 is left behind on purpose."""
    carat("governance", "propose", "protocol-version", str(AFTER), "--force", *map(str, speaker(0)))
    [proposal] = governance()["proposals"]
    for index in (1, 2):
        carat("governance", "approve", proposal["id"], "--force", *map(str, speaker(index)))
    decided = governance()
    first = int((decided["scheduled"] or {"from_slot": "0"})["from_slot"])
    print(f"        decided at slot {decided['slot']}, in force from slot {first} on", flush=True)
    assert first % 16 == 1, first
    wait("v3 stops by itself", lambda: not RUNNING.is_running(3))
    log = (NETWORK / "run" / "v3.log").read_text()
    assert "a protocol version that this build does not know" in log, "it warned before"
    said = log[-3000:]
    assert f"from slot {first} on" in said and f"protocol version {AFTER}, expected at most {BEFORE}" in said, said
    goes_on("without v3")
    # Started again as it is, it says the same at once.
    again = run(OLD / "carat-node", "run", "--home", NETWORK / "v3")
    equal(again.returncode, 1, again.stderr)
    assert f"expected at most {BEFORE}" in again.stderr and "hint: upgrade" in again.stderr, again.stderr


def upgraded_late_it_catches_up():
    carat("network", "restart", "v3")
    wait("all are ready", RUNNING.all_ready)
    wait("in force everywhere", lambda: {get(api, "/")["current_protocol_version"] for api in APIS} == {AFTER})
    # The ledger that is open is listed when it closes.
    newest = lambda api: get(api, "/ledgers?order=desc&limit=1")["_embedded"]["records"][0]
    wait("the header of a closed ledger says so", lambda: all(newest(api)["protocol_version"] == AFTER for api in APIS))
    goes_on("with all upgraded")


def nothing_was_lost():
    for load in loads:
        load.over.set()
    for load in loads:
        load.join()
    equal([line for load in loads for line in load.failed], [], "payments that were not proved")
    wait(f"{paid()} payments arrived", lambda: received() - FIRST >= paid())
    equal(received() - FIRST, paid(), "payments that arrived")
    carat("audit", "roots", "--ledgers", "50")
    print(f"        {paid()} payments", flush=True)


def new_build_replays_the_old_one_s_blocks():
    carat("network", "down")
    done = run(NEW / "carat", "audit", "replay", "--home", NETWORK / "v0")
    equal(done.returncode, 0, done.stderr)


carat("network", "up", programs=OLD)
RUNNING.fund("acme", "till", "alice", "bob")
FIRST = received()
loads = [Load("alice"), Load("bob")]
for load in loads:
    load.start()
goes_on("with the old build")
check("nodes are replaced one by one under load", replaced_one_by_one)
check("a vote that would stop somebody is refused", vote_that_would_stop_somebody_is_refused)
check("an old build left behind stops with a sentence, and the others go on", old_build_left_behind_stops_with_a_sentence)
check("upgraded late, it catches up", upgraded_late_it_catches_up)
check("nothing was lost, and all books agree", nothing_was_lost)
check("the new build replays what the old one executed", new_build_replays_the_old_one_s_blocks)
finish()
