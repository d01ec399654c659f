//! Facts and incidents of the plugin's own.

use crate::bindings::notes::Host;
use crate::component::guest::Guest;

impl Host for Guest {
    fn fact(&mut self, key: String, value: String) {
        if self.services.capable {
            let key = self.services.worker.redactor.redact(&key);
            self.services.worker.facts.note(&self.services.plugin.name, &key, &self.services.told(&value));
        }
    }

    fn incident(&mut self, kind: String, message: String, count: u64) {
        if self.services.capable {
            self.services.incident(&kind, &message, count);
        }
    }
}
