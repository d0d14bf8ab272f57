//! Names of the timers that a replica sets. Each exists at most once.

/// A timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// Once a second: STATUS to all peers (section 10, reliable delivery).
    Status,
    /// T1: the oldest transaction that fits this replica's share has waited T(k).
    Progress,
    /// T2: NEW-VIEW overdue.
    NewView,
    /// T5: the bounds of a slow leader are looked at.
    Performance,
    /// T7: nothing became final for HEARTBEAT + T(k).
    Idle,
    /// Leader: propose a heartbeat, or what has gathered.
    Propose,
    /// A refused fresh proposal is looked at again (its time was ahead of the clock).
    Recheck,
    /// A body or an acknowledgement is due, a missing body is fetched, or the leader looks for what is in no body.
    Bodies,
    /// A missing payload or block is asked for again, of another peer.
    Fetch,
}
