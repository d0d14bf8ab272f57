"""Drives a running network with the unmodified stellar-sdk, part by part. Last line: "N passed, N failed"."""

import sys

from suite import harness, market, names, payments  # noqa: F401 (each part registers its tests)

sys.exit(harness.run())
