"""The drills of docs/operations/recovery.md, performed. Payments are made before, during and after each; at the end nothing may be
lost, and all validators must have the same books. See run.sh."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from common import check, equal, finish, wait
from running import Network, run

ROOT, NETWORK, PROGRAMS = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
RUNNING = Network(NETWORK, PROGRAMS)
carat = RUNNING.carat


def pay(count=3):
    RUNNING.pay(count)


def same_books():
    """All validators are ready, with equal hashes of their last ledgers; every payment arrived once."""
    wait("all validators are ready", RUNNING.all_ready)
    carat("audit", "roots", "--ledgers", "20")
    RUNNING.check_payments_arrived()


def log(index):
    return (NETWORK / "run" / f"v{index}.log").read_text()


def stop(index):
    """As systemd would: SIGTERM, and the end of the process."""
    [pid] = [row["pid"] for row in json.loads(carat("-o", "json", "network", "status")) if row["name"] == f"v{index}"]
    os.kill(pid, signal.SIGTERM)
    wait(f"v{index} has stopped", lambda: not Path(f"/proc/{pid}").exists())


def killed_leader():
    leader = RUNNING.status(0)["leader"]
    carat("network", "kill", f"v{leader}")
    pay()
    carat("network", "restart", f"v{leader}")
    same_books()


def lost_store():
    stop(3)
    store = NETWORK / "v3" / "data" / "store"
    shutil.move(store, NETWORK / "v3" / "store-for-analysis")
    pay()
    carat("network", "restart", "v3")
    assert store.is_dir()
    same_books()


def lost_journal():
    stop(2)
    journal, elsewhere = NETWORK / "v2" / "data" / "journal", NETWORK / "v2" / "elsewhere"
    shutil.move(journal, elsewhere)
    refused = run(PROGRAMS / "carat-node", "run", "--home", NETWORK / "v2")
    equal(refused.returncode, 1, refused.stderr)
    assert "journal" in refused.stderr and "hint" in refused.stderr, refused.stderr
    assert not any(journal.glob("*.journal")), "a journal was made anew"
    pay()
    shutil.rmtree(journal, ignore_errors=True)
    shutil.move(elsewhere, journal)
    carat("network", "restart", "v2")
    same_books()


def full_disk():
    """A disk of its own, small, filled up by somebody else's file."""
    stop(1)
    data, disk = NETWORK / "v1" / "data", NETWORK / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512m", "tmpfs", disk], check=True)
    try:
        shutil.copytree(data, disk / "data", ignore=shutil.ignore_patterns("control.sock"))
        shutil.move(data, NETWORK / "v1" / "data-before")
        data.symlink_to(disk / "data")
        carat("network", "restart", "v1")
        # Ends when nothing is left, not by its own choice.
        filled = run("dd", "if=/dev/zero", f"of={disk / 'ballast'}", "bs=4k")
        assert "No space left" in filled.stderr, filled.stderr
        # What it had reserved before still takes some writes.
        wait("the validator stops by itself", lambda: pay(1) or not RUNNING.is_running(1))
        last = log(1)[-3000:]
        assert re.search(r"full|No space left", last) and "hint" in last, last
        (disk / "ballast").unlink()
        carat("network", "restart", "v1")
        same_books()
        stop(1)
        data.unlink()
        shutil.copytree(disk / "data", data, ignore=shutil.ignore_patterns("control.sock"))
        shutil.rmtree(NETWORK / "v1" / "data-before")
        carat("network", "restart", "v1")
        same_books()
    finally:
        subprocess.run(["umount", "-l", disk], check=False)


def lost_certificate():
    (NETWORK / "v0" / "keys" / "network.crt").unlink()
    pay()
    carat("network", "restart", "v0")
    same_books()


def lost_quorum():
    carat("network", "kill", "v0")
    carat("network", "kill", "v1")
    done = run(PROGRAMS / "carat", "doctor", "--network", NETWORK)
    said = done.stdout + done.stderr
    assert done.returncode != 0 and re.search(r"quorum|v0", said), said
    carat("network", "restart", "v0")
    pay()
    carat("network", "restart", "v1")
    same_books()


def broken_history():
    stop(0)
    done = run(PROGRAMS / "carat-node", "rebuild-history", "--home", NETWORK / "v0")
    equal(done.returncode, 0, done.stderr)
    pay()
    carat("network", "restart", "v0")
    same_books()


def audited():
    stop(0)
    done = run(PROGRAMS / "carat", "audit", "replay", "--home", NETWORK / "v0")
    equal(done.returncode, 0, done.stderr)
    carat("network", "restart", "v0")
    same_books()


DRILLS = {
    "A validator is killed": killed_leader,
    "The database is lost or damaged": lost_store,
    "The journal is lost": lost_journal,
    "The disk is full": full_disk,
    "The certificate is lost or over": lost_certificate,
    "More than f validators are down": lost_quorum,
    "The history stopped": broken_history,
    "The books are audited": audited,
}


def drills_are_documented():
    page = (ROOT / "docs" / "operations" / "recovery.md").read_text()
    headings = re.findall(r"^## (.*)$", page.split("<!-- drills -->")[1], re.M)
    equal(headings, list(DRILLS), "headings of recovery.md")


RUNNING.fund("alice", "bob")
pay()
check("every drill has its section", drills_are_documented)
for name, drill in DRILLS.items():
    if drill is full_disk and os.geteuid() != 0:
        print("SKIP the disk is full: mounting needs root", flush=True)
        continue
    check(name, drill)
finish()
