//! The early warning of rules that this build does not know: decided by the validators, known from the state, and in force some
//! hundred slots later, when the node would stop.

use std::sync::Arc;

use carat_ledger::{StateError, StateRead, governance};
use carat_types::Slot;

use crate::metrics::Metrics;

/// Says it once, and keeps the metric.
pub struct UpgradeNotice {
    metrics: Arc<Metrics>,
    told: Option<(Slot, u32)>,
}

impl UpgradeNotice {
    /// Nothing was said yet.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        UpgradeNotice { metrics, told: None }
    }

    /// Looks at what is decided in the state after a block.
    ///
    /// **Errors**: the state cannot be read.
    pub fn look(&mut self, state: &impl StateRead) -> Result<(), StateError> {
        let decided = governance::unknown_version(state)?;
        let slot = decided.map_or(0, |(slot, _)| i64::try_from(slot.0).unwrap_or(i64::MAX));
        self.metrics.ledger_unknown_protocol_slot.set(slot);
        if decided != self.told
            && let Some((slot, version)) = decided
        {
            tracing::warn!(
                slot = slot.0,
                version,
                known = carat_ledger::NEWEST_PROTOCOL,
                "the validators have decided a protocol version that this build does not know: it stops before that slot \
                 (hint: upgrade this node now; it can be stopped at any time)"
            );
        }
        self.told = decided;
        Ok(())
    }
}
