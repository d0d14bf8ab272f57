//! PBFT and the fast path as one pure state machine.
