//! Whole validators in one process: real journals, databases, QUIC and HTTP on loopback.

mod backup;
mod bad_input;
mod cluster;
mod crash_only;
mod evidence;
mod history;
mod leaks;
mod members;
mod native;
mod payloads;
mod payments;
mod profiles;
mod replay;
mod restart;
mod start_up;
mod state_transfer;
