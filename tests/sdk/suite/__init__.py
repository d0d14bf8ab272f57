"""Drives a running network with the unmodified stellar-sdk, part by part."""
