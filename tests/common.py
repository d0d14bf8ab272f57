"""What the tests of running networks in Python share: counting, free ports, waiting."""

import socket
import sys
import time

PATIENCE_S = 90

passed = failed = 0


def check(name, test):
    """Runs one test and says how it went."""
    global passed, failed
    try:
        test()
        passed += 1
        print(f"ok      {name}", flush=True)
    except Exception as error:  # whatever it is, it is this test's failure
        failed += 1
        print(f"FAILED  {name}: {type(error).__name__} {error}", flush=True)


def finish():
    """The last line and the exit code."""
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


def equal(seen, expected, what=""):
    assert seen == expected, f"{what}: {seen!r}, expected {expected!r}"


def free_ports(count):
    """Ports that are free, all different."""
    listeners = [socket.socket() for _ in range(count)]
    for listener in listeners:
        listener.bind(("127.0.0.1", 0))
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def wait(what, condition):
    """Asks until `condition` holds."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            if condition():
                return
        except OSError:
            pass  # it is still starting
        time.sleep(0.1)
    raise AssertionError(f"not within {PATIENCE_S} s: {what}")
