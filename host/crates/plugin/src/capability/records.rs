//! Rows about single things.

use crate::bindings::records::{Host, Value};
use crate::component::guest::Guest;

impl Host for Guest {
    fn append(&mut self, table: String, row: Vec<Value>) {
        if self.services.capable {
            self.services.append(&table, row);
        }
    }
}
