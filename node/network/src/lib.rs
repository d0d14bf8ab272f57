//! QUIC with mutual TLS between validators, framing, budgets.
