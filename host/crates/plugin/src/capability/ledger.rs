//! What plugins create on their targets, written down before the request leaves.

use crate::bindings::ledger::Host;
use crate::call::fault::Fault;
use crate::call::stopped::Stopped;
use crate::component::guest::Guest;
use crate::environment::services::Services;
use crate::recording::ledger::{LedgerError, ScenarioLedger};
use crate::recording::table::cut;

/// The longest kind in bytes; a longer one is cut.
const LONGEST_KIND: usize = 64;
/// The longest name and the longest id in bytes; longer ones are cut.
const LONGEST_NAME: usize = 512;

impl Host for Guest {
    fn creating(&mut self, kind: String, name: String) -> wasmtime::Result<u64> {
        let Some(book) = book(&self.services)? else { return Ok(0) };
        // The kind is shown to people. The name is for the plugin alone, which has to find the thing by it: it is kept as it is, even where
        // it holds a text that is a secret somewhere else.
        let kind = self.services.told(&kind);
        Ok(book.creating(cut(&kind, LONGEST_KIND), cut(&name, LONGEST_NAME)).map_err(stopped)?)
    }

    fn created(&mut self, entry: u64, id: String) -> wasmtime::Result<()> {
        let Some(book) = book(&self.services)? else { return Ok(()) };
        Ok(book.created(entry, cut(&id, LONGEST_NAME)).map_err(stopped)?)
    }

    fn removed(&mut self, entry: u64) -> wasmtime::Result<()> {
        let Some(book) = book(&self.services)? else { return Ok(()) };
        if let Err(error) = book.removed(entry) {
            // The thing is gone, which does no harm: a cleanup that ended for this would leave more behind.
            self.services.fault(Fault::LedgerFailed, 1, &error.to_string());
        }
        Ok(())
    }
}

/// The ledger, if this plugin has one.
fn book(services: &Services) -> Result<Option<&ScenarioLedger>, Stopped> {
    if !services.capable {
        return Ok(None);
    }
    let Some(book) = &services.plugin.ledger else {
        services.fault(Fault::WrongWorld, 1, "only runners have a ledger; what this plugin creates is not removed");
        return Ok(None);
    };
    services.admit_word()?;
    Ok(Some(book))
}

fn stopped(error: LedgerError) -> Stopped {
    Stopped { fault: Fault::LedgerFailed, message: error.to_string() }
}
