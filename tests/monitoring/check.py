"""Rules and dashboards against a real Prometheus that scrapes a running network. See run.sh."""

import json
import re
import subprocess
import sys
import urllib.parse
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from common import check, finish, free_ports, wait

ROOT, NETWORK, CARAT = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
OPERATIONS = ROOT / "docs" / "operations"
# Words of the query language; all others in an expression are names of metrics or of labels.
NAME = re.compile(r"\b([a-z][a-z0-9_]*)\b(?=\s*[\[{]|\s*(?:$|[-+*/<>=)]|\b(?:and|or|unless|on)\b))")
# Series that a histogram has beside its own name.
PARTS = re.compile(r"_(bucket|sum|count)$")


def promtool(*words):
    done = subprocess.run(["promtool", *words], cwd=OPERATIONS / "alerts", capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(done.stdout + done.stderr)


class Prometheus:
    """A Prometheus that scrapes the validators every second, with the project's own rules."""

    def __init__(self):
        self.address = f"127.0.0.1:{free_ports(1)[0]}"
        text = (NETWORK / "network.toml").read_text()
        self.targets = [url.removeprefix("http://") for url in re.findall(r'^metrics *= *"(.*)"', text, re.M)]
        folder = NETWORK / "prometheus"
        folder.mkdir()
        # As YAML reads JSON, too.
        settings = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(OPERATIONS / "alerts" / "carat.yml")],
            "scrape_configs": [{"job_name": "carat", "static_configs": [{"targets": self.targets}]}],
        }
        (folder / "prometheus.yml").write_text(json.dumps(settings))
        self.log = open(folder / "log", "w")
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
             f"--web.listen-address={self.address}"], stdout=self.log, stderr=self.log)

    def ask(self, path, **query):
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def value(self, expression):
        return {row["metric"].get("instance", ""): float(row["value"][1]) for row in self.ask("query", query=expression)["result"]}

    def end(self):
        self.process.terminate()
        self.process.wait(20)
        self.log.close()


def expressions():
    """Every expression of the rules and the dashboards, with where it stands."""
    rules = (OPERATIONS / "alerts" / "carat.yml").read_text()
    found = [("carat.yml", line.strip()) for line in re.findall(r"^ *expr: (.*)$", rules, re.M)]
    for path in sorted((OPERATIONS / "dashboards").glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            found += [(f"{path.name}: {panel['title']}", target["expr"]) for target in panel["targets"]]
    return [(where, expression.replace("$instance", ".*")) for where, expression in found]


def metrics_of(expression):
    """The metrics that an expression names: without strings, groupings and functions."""
    bare = re.sub(r'"[^"]*"', "", expression)
    bare = re.sub(r"\b(by|without|on|group_right|group_left|ignoring)\s*\([^)]*\)", " ", bare)
    bare = re.sub(r"\{[^}]*\}", "{}", bare)
    return {name for name in NAME.findall(bare) if name not in ("and", "or", "unless", "on")}


def every_metric_is_scraped(prometheus):
    known = set(prometheus.ask("label/__name__/values"))
    seen = 0
    for where, expression in expressions():
        names = metrics_of(expression)
        assert names, f"{where}: no metric in {expression}"
        missing = sorted(names - known)
        assert not missing, f"{where} names {', '.join(missing)}, which no validator exports"
        prometheus.ask("query", query=expression)
        seen += 1
    assert seen > 40, f"only {seen} expressions were found"


def every_label_value_exists(prometheus):
    """A selection such as {rule="SEAL"} that selects nothing is a mistake in writing."""
    for where, expression in expressions():
        for metric, label, value in re.findall(r'\b([a-z_]+)\{[^}]*?\b(rule|phase|reason|outcome|trigger|result|code|job)="([A-Za-z_]+)"', expression):
            rows = prometheus.ask("query", query=f'{metric}{{{label}="{value}"}}')["result"]
            assert rows, f'{where}: no series {metric}{{{label}="{value}"}}'


def documented_metrics_are_scraped(prometheus):
    known = {PARTS.sub("", name) for name in prometheus.ask("label/__name__/values")} | set(prometheus.ask("label/__name__/values"))
    table = re.findall(r"^\| `([a-z_]+)[^`]*` \| (?:gauge|counter|histogram) \|", (OPERATIONS / "monitoring.md").read_text(), re.M)
    missing = [name for name in table if name not in known]
    assert len(table) > 30 and not missing, f"{len(table)} documented, not scraped: {missing}"


def firing(prometheus, name):
    return [alert for alert in prometheus.ask("alerts")["alerts"] if alert["labels"]["alertname"] == name]


def killed_validator_raises_its_alert(prometheus):
    quiet = [alert["labels"]["alertname"] for alert in prometheus.ask("alerts")["alerts"]]
    assert not quiet, f"a healthy network raises {quiet}"
    subprocess.run([CARAT, "--network", str(NETWORK), "network", "kill", "v3"], check=True, capture_output=True)
    wait("ValidatorDown fires", lambda: any(alert["state"] == "firing" for alert in firing(prometheus, "ValidatorDown")))
    wait("QuorumAtRisk is raised", lambda: firing(prometheus, "QuorumAtRisk"))
    assert not firing(prometheus, "NoBlocks"), "three of four validators settle"
    subprocess.run([CARAT, "--network", str(NETWORK), "network", "restart", "v3"], check=True, capture_output=True)
    wait("the alerts end", lambda: not firing(prometheus, "ValidatorDown") and not firing(prometheus, "QuorumAtRisk"))


def every_alert_has_its_page():
    rules = (OPERATIONS / "alerts" / "carat.yml").read_text()
    tested = (OPERATIONS / "alerts" / "carat.test.yml").read_text()
    names = re.findall(r"- alert: (\w+)", rules)
    pages = re.findall(r"runbook: (\S+)", rules)
    assert len(names) == len(pages) > 10, f"{len(names)} alerts, {len(pages)} pages"
    for name, page in zip(names, pages):
        text = (ROOT / page).read_text()
        assert name in text, f"{page} does not name {name}"
        for part in ("## Symptom", "## Check", "## Action"):
            assert part in text, f"{page} has no {part}"
        assert re.search(rf"alertname: {name}\n\s*exp_alerts", tested), f"no test lets {name} fire"


check("rules and settings are valid", lambda: (promtool("check", "rules", "carat.yml"), promtool("check", "config", "prometheus.yml")))
check("rules fire for what they are about, and for nothing else", lambda: promtool("test", "rules", "carat.test.yml"))
check("every alert has a page of the runbook and a test", every_alert_has_its_page)
prometheus = Prometheus()
try:
    check("all validators are scraped", lambda: wait("four targets are up", lambda: list(prometheus.value("up").values()) == [1.0] * 4))
    check("validators make progress as Prometheus sees it", lambda: wait("slots rise everywhere", lambda: len(prometheus.value("delta(consensus_slot[10s]) > 0")) == 4))
    check("every documented metric is scraped", lambda: documented_metrics_are_scraped(prometheus))
    check("every expression of rules and dashboards names metrics that are scraped", lambda: every_metric_is_scraped(prometheus))
    check("every label that is selected exists", lambda: every_label_value_exists(prometheus))
    check("a killed validator raises its alert, and its return ends it", lambda: killed_validator_raises_its_alert(prometheus))
finally:
    prometheus.end()
finish()
