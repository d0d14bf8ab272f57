//! Why a peer's message was refused. Counted by name; never fatal.

/// A reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rejection {
    /// Of a view that is over.
    OldView,
    /// Of a view too far ahead to keep.
    FarView,
    /// Of a slot at or below the stable checkpoint.
    OldSlot,
    /// Of a slot above the window.
    FarSlot,
}

impl Rejection {
    /// The label under which it is counted.
    pub fn name(self) -> &'static str {
        match self {
            Rejection::OldView => "old_view",
            Rejection::FarView => "far_view",
            Rejection::OldSlot => "old_slot",
            Rejection::FarSlot => "far_slot",
        }
    }
}
