//! Whole validators in one process: real journals, databases, QUIC and HTTP on loopback.

mod archive;
mod backup;
mod bad_input;
mod cluster;
mod convictions;
mod crash_only;
mod early;
mod encrypted;
mod epochs;
mod evidence;
mod follow;
mod governance;
mod history;
mod leaks;
mod members;
mod native;
mod payloads;
mod payments;
mod profiles;
mod prune;
mod replay;
mod restart;
mod signer;
mod start_up;
mod state_proofs;
mod state_transfer;
