"""Keys at rest and new certificates, at a validator of a members' network. See run.sh."""

import ssl
import sys
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from common import check, equal, finish, free_ports, wait
from running import Network, run

NETWORK, PROGRAMS = Path(sys.argv[1]), Path(sys.argv[2])
RUNNING = Network(NETWORK, PROGRAMS)
HOME = NETWORK / "v0"
[PORT] = free_ports(1)
KEY_FILES = ("acceptor.key.json", "proposer.key.json", "network.key.json", "login.toml", "token.toml")


def secret_file(name, text):
    path = NETWORK / name
    path.write_text(text)
    path.chmod(0o600)
    return path


def node(*words):
    return run(PROGRAMS / "carat-node", *words)


def key(command, passphrase, *words):
    done = node("key", command, "--home", HOME, "--passphrase-file", passphrase, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def set_up():
    """TLS with a certificate of its own, in front of whose files stands a pair that openssl made."""
    make_pair("first")
    put("first")
    settings = HOME / "node.toml"
    tls = f'\n[api.tls]\nlisten = "127.0.0.1:{PORT}"\ncertificate = "tls.crt"\nkey = "tls.key"\n'
    settings.write_text(settings.read_text() + tls)


def make_pair(name):
    done = run("openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "2", "-subj", f"/CN={name}",
               "-keyout", NETWORK / f"{name}.key", "-out", NETWORK / f"{name}.crt")
    assert done.returncode == 0, done.stderr


def put(certificate, of_key=None):
    """Replaces both files, each at once, as a tool that renews certificates does."""
    for kind, name in (("crt", certificate), ("key", of_key or certificate)):
        new = HOME / f"tls.{kind}.new"
        new.write_bytes((NETWORK / f"{name}.{kind}").read_bytes())
        new.rename(HOME / f"tls.{kind}")


def shown():
    return ssl.get_server_certificate(("127.0.0.1", PORT)).strip()


def of(name):
    return (NETWORK / f"{name}.crt").read_text().strip()


def outcomes(outcome):
    return RUNNING.metric(0, f'api_tls_certificates_total{{outcome="{outcome}"}}')


def login_keys_rest_encrypted():
    keys = HOME / "keys"
    secrets = [(keys / name).read_text().split('"')[3] for name in ("login.toml", "token.toml")]
    passphrase, other = secret_file("passphrase", "correct horse battery staple\n"), secret_file("other", "another passphrase\n")
    told = key("encrypt", passphrase)
    equal(told.count("encrypted (AES-256-GCM)"), len(KEY_FILES), "files that were encrypted")
    for name in ("login.toml", "token.toml"):
        text = (keys / name).read_text()
        assert "carat-identity-encrypted/1" in text and not any(secret in text for secret in secrets), text
        equal((keys / name).stat().st_mode & 0o777, 0o600, name)
    refused = node("check", "--home", HOME).stderr
    assert "no passphrase was given" in refused, refused
    settings = HOME / "node.toml"
    settings.write_text(settings.read_text().replace("[validator]\n", f'[validator]\npassphrase_file = "{passphrase}"\n'))
    done = node("check", "--home", HOME)
    equal(done.returncode, 0, done.stderr)
    key("change", passphrase, "--new-passphrase-file", other)
    refused = node("check", "--home", HOME).stderr
    assert "the passphrase is not the one" in refused, refused
    key("decrypt", other)
    equal([(keys / name).read_text().split('"')[3] for name in ("login.toml", "token.toml")], secrets, "secrets after all")
    key("encrypt", passphrase)


def validator_runs_with_encrypted_keys():
    RUNNING.carat("network", "up")
    with urllib.request.urlopen(f"{RUNNING.apis[0]}/.well-known/stellar.toml", timeout=5) as answer:
        document = answer.read().decode()
    assert "SIGNING_KEY" in document, document


def new_certificate_is_shown_without_a_restart():
    equal(shown(), of("first"), "certificate")
    started = RUNNING.carat("-o", "json", "network", "status")
    make_pair("second")
    put("second")
    wait("the second certificate is shown", lambda: shown() == of("second"))
    equal((outcomes("shown"), outcomes("refused")), (1, 0), "shown, refused")
    equal(RUNNING.carat("-o", "json", "network", "status"), started, "the process")


def bad_certificate_leaves_the_one_before():
    make_pair("third")
    put("third", of_key="first")
    wait("the pair is refused", lambda: outcomes("refused") == 1)
    equal(shown(), of("second"), "certificate")
    assert "cannot be used, the one before is still shown" in (NETWORK / "run" / "v0.log").read_text()
    put("third")
    wait("the third certificate is shown", lambda: shown() == of("third"))


try:
    set_up()
    check("keys of the login rest encrypted with the others", login_keys_rest_encrypted)
    check("a validator runs with them", validator_runs_with_encrypted_keys)
    check("a new certificate is shown without a restart", new_certificate_is_shown_without_a_restart)
    check("a bad certificate leaves the one before", bad_certificate_leaves_the_one_before)
finally:
    run(PROGRAMS / "carat", "--network", NETWORK, "network", "down")
finish()
