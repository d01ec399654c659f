//! Log lines.

use crate::bindings::log::{Host, Level};
use crate::component::guest::Guest;
use crate::environment::log_line;

impl Host for Guest {
    fn log(&mut self, level: Level, message: String) {
        log_line::write(&self.services, level, &message);
    }
}
