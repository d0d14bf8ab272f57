//! The threads of a node.

use std::thread::JoinHandle;

use tokio::sync::mpsc;

use crate::error::NodeError;

/// The threads of a node; what ends one with an error stops the process.
pub(crate) struct Threads {
    failed: mpsc::UnboundedSender<NodeError>,
    handles: Vec<JoinHandle<()>>,
}

impl Threads {
    /// None yet, and where it is heard that one failed.
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<NodeError>) {
        let (failed, failures) = mpsc::unbounded_channel();
        (Threads { failed, handles: Vec::new() }, failures)
    }

    pub(crate) fn spawn(
        &mut self,
        name: &'static str,
        work: impl FnOnce() -> Result<(), NodeError> + Send + 'static,
    ) -> Result<(), NodeError> {
        let failed = self.failed.clone();
        let guarded = move || {
            // A panic is a defect of ours: the process must not go on without one of its parts.
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            let failure = match outcome {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error,
                Err(_) => NodeError::Panicked(name),
            };
            // Nobody listens any more when the node is being stopped.
            let _ = failed.send(failure);
        };
        let thread = std::thread::Builder::new().name(name.into()).spawn(guarded)?;
        self.handles.push(thread);
        Ok(())
    }

    /// What is to be waited for in the end.
    pub(crate) fn into_handles(self) -> Vec<JoinHandle<()>> {
        self.handles
    }
}
