//! What listens to a run.

use std::sync::Arc;

use crate::RunEvent;

/// Why a sink could not do its part.
pub type SinkError = Box<dyn std::error::Error + Send + Sync>;

/// Something that listens to a run: a terminal, an exporter, a reporter.
///
/// A sink is made and called on a thread of its own, with a bounded queue. It can't slow the run: events that don't fit into its queue are dropped and
/// counted. It can't end the run either: an error or a panic is an incident.
pub trait Sink {
    /// What incidents call it: `terminal`, a reporter's name.
    fn name(&self) -> &str;

    /// Takes an event. Events come in the order in which they happened, one at a time.
    ///
    /// # Errors
    /// When the event can't be passed on; the next one comes all the same.
    fn event(&mut self, event: &Arc<RunEvent>) -> Result<(), SinkError>;

    /// Passes on what is still held back. The last call, made whatever happened before.
    ///
    /// # Errors
    /// When something could not be passed on.
    fn finish(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}
