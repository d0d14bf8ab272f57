"""A running network, as the tests in Python drive it: the command `carat`, payments that are counted, what a validator says of itself."""

import json
import re
import subprocess
import urllib.request
from pathlib import Path

from common import equal, wait


def run(*command, **options):
    """A command with what it said, however it ended."""
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)


def get(base, path):
    """JSON over HTTP."""
    with urllib.request.urlopen(base + path, timeout=5) as answer:
        return json.load(answer)


class Network:
    """The network in `folder`, driven by the programs in `programs`."""

    def __init__(self, folder, programs):
        self.folder, self.programs = Path(folder), Path(programs)
        toml = (self.folder / "network.toml").read_text()
        self.metrics, self.apis = (re.findall(rf'^{name} *= *"(.*)"', toml, re.M) for name in ("metrics", "api"))
        self.paid = self.first = 0

    def try_carat(self, *words, programs=None):
        """`carat`, however it ends."""
        return run((programs or self.programs) / "carat", "--network", self.folder, *words)

    def carat(self, *words, programs=None):
        """`carat`, which must succeed: what it said."""
        done = self.try_carat(*words, programs=programs)
        if done.returncode != 0:
            raise AssertionError(f"carat {' '.join(map(str, words))}: {done.stderr.strip()[-600:]}")
        return done.stdout

    def fund(self, *names):
        """New accounts with coins; what bob has then is where the counting begins."""
        for name in names:
            self.carat("friendbot", name, "--new")
        if "bob" in names:
            self.first = self.balance("bob")

    def pay(self, count):
        """Payments of one coin from alice to bob that are proved, each by a receipt; they are counted."""
        for _ in range(count):
            self.carat("pay", "alice", "bob", "1", "native")
            self.paid += 1

    def balance(self, name):
        """Coins of an account, rounded."""
        account = json.loads(self.carat("-o", "json", "account", "show", name))
        return round(float(next(line["balance"] for line in account["balances"] if line["asset_type"] == "native")))

    def check_payments_arrived(self):
        """Every payment arrived once. A validator that was just started may still execute what it missed."""
        received = lambda: self.balance("bob") - self.first
        wait(f"{self.paid} payments arrived", lambda: received() >= self.paid)
        equal(received(), self.paid, "payments that arrived")

    def status(self, index):
        """What a validator says of itself at its operator's address."""
        return get(self.metrics[index], "/status")

    def metric(self, index, name):
        """A figure of a validator."""
        with urllib.request.urlopen(f"{self.metrics[index]}/metrics", timeout=5) as answer:
            return float(re.search(rf"^{name} (.*)$", answer.read().decode(), re.M)[1])

    def is_running(self, index):
        """Whether it answers."""
        try:
            return self.status(index) is not None
        except OSError:
            return False

    def all_ready(self):
        """Whether all validators take part."""
        return self.try_carat("status", "--cluster").returncode == 0
