//! Log lines while bars are shown.

use std::io;

use tracing_subscriber::fmt::MakeWriter;

/// A writer that prints above the live display.
#[derive(Clone)]
pub struct AboveBars(pub(super) indicatif::MultiProgress);

impl io::Write for AboveBars {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write_all(line))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for AboveBars {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
