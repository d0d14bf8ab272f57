//! The asset ledger as a pure state transition over XDR transactions.
