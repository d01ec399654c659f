//! What a plugin leaves behind: samples, rows, facts, the ledger of what it created, and messages to deliver.

pub(crate) mod fact;
pub(crate) mod ledger;
pub(crate) mod outbox;
pub(crate) mod record;
pub(crate) mod series;
pub(crate) mod table;
