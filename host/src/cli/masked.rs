//! Log lines without secrets, whoever wrote them: libraries log what they send at the finest level.

use std::io;

use kperf_plugin::Redactor;
use tracing_subscriber::fmt::MakeWriter;

/// Makes writers that mask every secret that this process has read. A line reaches them in one piece.
pub(super) struct Masked<W>(pub(super) W);

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for Masked<W> {
    type Writer = MaskedWriter<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        MaskedWriter(self.0.make_writer())
    }
}

/// See [`Masked`].
pub(super) struct MaskedWriter<W>(W);

impl<W: io::Write> io::Write for MaskedWriter<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match Redactor::of_process().masked(line) {
            Some(masked) => self.0.write_all(&masked)?,
            None => self.0.write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
