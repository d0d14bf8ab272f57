//! Spreading what clients bring: one task that gathers envelopes and sends them to all other validators. Followers get blocks.

use std::sync::Arc;
use std::time::Duration;

use carat_network::{Lane, Network};
use carat_types::Epoch;
use carat_types::batch::Envelope;
use carat_types::message::{Message, Transactions};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::scribe::encode;

/// Bytes of envelopes that go in one frame.
const FRAME_BYTES: usize = 256 * 1024;

/// A frame with at least so many envelopes tells that this node is busy.
const BUSY: usize = 4;
/// How long a busy node gathers for the next frame, so that its peers check larger batches.
const PAUSE: Duration = Duration::from_millis(5);

/// Gossips until the front door closes. What gathered while the last frame was made goes with the next one; an idle node
/// waits for nothing.
pub(crate) async fn run(
    epoch: Epoch,
    mut envelopes: UnboundedReceiver<Envelope>,
    network: Arc<Network>,
    validators: Vec<u16>,
) {
    while let Some(first) = envelopes.recv().await {
        let mut bytes = first.0.len();
        let mut gathered = vec![first];
        while bytes < FRAME_BYTES {
            let Ok(next) = envelopes.try_recv() else { break };
            bytes += next.0.len();
            gathered.push(next);
        }
        let busy = gathered.len() >= BUSY;
        let frame = encode(epoch, &Message::Transactions(Transactions { envelopes: gathered }));
        for validator in &validators {
            network.send(*validator, Lane::Bulk, frame.clone());
        }
        if busy {
            tokio::time::sleep(PAUSE).await;
        }
    }
}
