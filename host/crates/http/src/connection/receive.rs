//! Taking a response's body in: counting, limiting, decoding, keeping.

use std::io::{self, Write};

use bytes::{Bytes, BytesMut};
use flate2::write::{DeflateDecoder, GzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};

use crate::error::Error;
use crate::request::Request;

/// What to do with a body that comes in.
#[derive(Clone, Copy)]
pub(crate) struct ReceiveOptions {
    /// In bytes, of the decoded body if it is decoded.
    limit: u64,
    keep: bool,
    decode: bool,
}

impl From<&Request> for ReceiveOptions {
    fn from(request: &Request) -> Self {
        let keep = request.keep_body;
        Self { limit: request.body_limit, keep, decode: keep && request.decompress }
    }
}

/// A body that is coming in.
pub(crate) struct BodyCollector {
    options: ReceiveOptions,
    received: u64,
    /// Most bodies come in one piece, which is kept without a copy.
    first: Bytes,
    rest: BytesMut,
    decoder: Option<Box<Decoder>>,
}

enum Decoder {
    Gzip(GzDecoder<Limited>),
    /// `deflate` means the zlib format, but some servers send bare deflate; the first byte tells.
    Undecided,
    Zlib(ZlibDecoder<Limited>),
    Deflate(DeflateDecoder<Limited>),
}

impl BodyCollector {
    /// Begins with the response's head, from which it takes what no longer holds after decoding. `announced` is the length
    /// of the body to come, if known.
    pub(crate) fn new(options: ReceiveOptions, headers: &mut HeaderMap, announced: Option<u64>) -> Result<Self, Error> {
        let decoder =
            if options.decode && announced != Some(0) { Decoder::detect(headers, options.limit) } else { None };
        if decoder.is_none() && announced.is_some_and(|announced| announced > options.limit) {
            return Err(Error::TooLarge { limit: options.limit });
        }
        Ok(Self { options, received: 0, first: Bytes::new(), rest: BytesMut::new(), decoder })
    }

    pub(crate) fn push(&mut self, piece: Bytes) -> Result<(), Error> {
        self.received += piece.len() as u64;
        if let Some(decoder) = &mut self.decoder {
            return decoder.write(&piece, self.options.limit);
        }
        if self.received > self.options.limit {
            return Err(Error::TooLarge { limit: self.options.limit });
        }
        if !self.options.keep {
            return Ok(());
        }
        if self.first.is_empty() {
            self.first = piece;
        } else {
            if self.rest.is_empty() {
                self.rest.extend_from_slice(&self.first);
            }
            self.rest.extend_from_slice(&piece);
        }
        Ok(())
    }

    /// The body, and how many bytes of it were received.
    pub(crate) fn finish(self) -> Result<(Bytes, u64), Error> {
        let body = match self.decoder {
            Some(decoder) => decoder.finish(self.options.limit)?,
            None if self.rest.is_empty() => self.first,
            None => self.rest.freeze(),
        };
        Ok((body, self.received))
    }
}

impl Decoder {
    fn detect(headers: &mut HeaderMap, limit: u64) -> Option<Box<Self>> {
        let encoding = headers.get(CONTENT_ENCODING)?.as_bytes();
        let decoder = if encoding.eq_ignore_ascii_case(b"gzip") || encoding.eq_ignore_ascii_case(b"x-gzip") {
            Self::Gzip(GzDecoder::new(Limited::new(limit)))
        } else if encoding.eq_ignore_ascii_case(b"deflate") {
            Self::Undecided
        } else {
            return None;
        };
        headers.remove(CONTENT_ENCODING);
        headers.remove(CONTENT_LENGTH);
        Some(Box::new(decoder))
    }

    fn write(&mut self, piece: &[u8], limit: u64) -> Result<(), Error> {
        if let (Self::Undecided, Some(first)) = (&*self, piece.first()) {
            // The low half of a zlib stream's first byte is the method, always 8; bare deflate can't begin like that
            // in practice, since it would be a stored block with padding that nobody writes.
            *self = if first & 0x0f == 8 {
                Self::Zlib(ZlibDecoder::new(Limited::new(limit)))
            } else {
                Self::Deflate(DeflateDecoder::new(Limited::new(limit)))
            };
        }
        match self {
            Self::Undecided => Ok(()),
            Self::Gzip(decoder) => decoder.write_all(piece),
            Self::Zlib(decoder) => decoder.write_all(piece),
            Self::Deflate(decoder) => decoder.write_all(piece),
        }
        .map_err(|error| failure(&error, limit))
    }

    fn finish(self, limit: u64) -> Result<Bytes, Error> {
        let decoded = match self {
            Self::Undecided => return Ok(Bytes::new()),
            Self::Gzip(decoder) => decoder.finish(),
            Self::Zlib(decoder) => decoder.finish(),
            Self::Deflate(decoder) => decoder.finish(),
        };
        decoded.map(|limited| Bytes::from(limited.bytes)).map_err(|error| failure(&error, limit))
    }
}

fn failure(error: &io::Error, limit: u64) -> Error {
    if error.kind() == io::ErrorKind::FileTooLarge {
        return Error::TooLarge { limit };
    }
    Error::Protocol(format!("can't decode the body: {error}"))
}

/// Decoded bytes up to a limit, so that a small body that decodes to a huge one costs no more than the limit.
struct Limited {
    bytes: Vec<u8>,
    left: u64,
}

impl Limited {
    fn new(limit: u64) -> Self {
        Self { bytes: Vec::new(), left: limit }
    }
}

impl Write for Limited {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.left = self.left.checked_sub(piece.len() as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        self.bytes.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
