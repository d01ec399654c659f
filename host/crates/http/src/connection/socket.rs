//! A TCP socket that knows when its bytes came in.
//!
//! A load generator's thread is busy: between the arrival of an answer and the moment at which the thread gets to it lies the
//! work for other requests, and on a virtual machine the time until a sleeping core is awake. None of that is the server's time.
//! Linux notes when it took a segment in and hands the instant out with the bytes (`SO_TIMESTAMPNS`, socket(7)).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// See the module.
pub(crate) struct Socket {
    stream: TcpStream,
    /// When what was read last came in, if that is known.
    came_in: Option<Instant>,
    #[cfg(target_os = "linux")]
    stamps: Option<linux::Stamps>,
}

impl Socket {
    /// Takes a connected stream and sets its options; with `stamped` the kernel is asked when bytes came in.
    pub(crate) fn new(stream: TcpStream, stamped: bool) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self {
            #[cfg(target_os = "linux")]
            stamps: if stamped { linux::Stamps::of(&stream) } else { None },
            stream,
            came_in: None,
        })
    }

    /// When the bytes of the last read came in; none if only the reader's clock can tell.
    pub(crate) fn came_in(&self) -> Option<Instant> {
        self.came_in
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.came_in = None;
        #[cfg(target_os = "linux")]
        if let Some(stamps) = &mut this.stamps {
            return stamps.poll_read(&this.stream, &mut this.came_in, cx, buf);
        }
        Pin::new(&mut this.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io::{self, IoSliceMut};
    use std::os::fd::AsRawFd as _;
    use std::task::{Context, Poll, ready};
    use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

    use nix::cmsg_space;
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
    use nix::sys::time::TimeSpec;
    use tokio::io::{Interest, ReadBuf};
    use tokio::net::TcpStream;

    /// Bytes to read at once: room for them has to be cleared first, so it grows only where there is much to read.
    const LEAST: usize = 1 << 10;
    const MOST: usize = 1 << 16;

    /// Reads with the kernel's instants.
    pub(super) struct Stamps {
        control: Vec<u8>,
        room: usize,
    }

    impl Stamps {
        /// None if the system does not offer it.
        pub(super) fn of(stream: &TcpStream) -> Option<Self> {
            setsockopt(stream, sockopt::ReceiveTimestampns, &true).ok()?;
            Some(Self { control: cmsg_space!(TimeSpec), room: LEAST })
        }

        pub(super) fn poll_read(
            &mut self,
            stream: &TcpStream,
            came_in: &mut Option<Instant>,
            cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let length = buf.remaining().min(self.room);
            loop {
                ready!(stream.poll_read_ready(cx))?;
                let room = buf.initialize_unfilled_to(length);
                let mut taken = None;
                let tried = stream.try_io(Interest::READABLE, || {
                    let (read, stamp) = receive(stream, room, &mut self.control)?;
                    taken = Some((read, stamp));
                    // A room that is not filled has emptied the socket: "would block" spares the call that finds that out.
                    if 0 < read && read < length { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
                });
                if let Some((read, stamp)) = taken {
                    buf.advance(read);
                    *came_in = stamp.and_then(instant);
                    self.room = if read < length { LEAST } else { (self.room * 2).min(MOST) };
                    return Poll::Ready(Ok(()));
                }
                match tried {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    other => return Poll::Ready(other),
                }
            }
        }
    }

    fn receive(stream: &TcpStream, room: &mut [u8], control: &mut [u8]) -> io::Result<(usize, Option<TimeSpec>)> {
        let mut pieces = [IoSliceMut::new(room)];
        let message = recvmsg::<()>(stream.as_raw_fd(), &mut pieces, Some(control), MsgFlags::empty())?;
        let stamp = message.cmsgs().ok().and_then(|mut messages| {
            messages.find_map(|message| match message {
                ControlMessageOwned::ScmTimestampns(stamp) => Some(stamp),
                _ => None,
            })
        });
        Ok((message.bytes, stamp))
    }

    /// The kernel's wall clock, on ours. None for an instant to come, as after a step of the clock.
    fn instant(stamp: TimeSpec) -> Option<Instant> {
        let age = SystemTime::now().duration_since(UNIX_EPOCH + Duration::from(stamp)).ok()?;
        Instant::now().checked_sub(age)
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (Socket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Socket::new(near, true).unwrap(), listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn bytes_count_from_when_they_came_in_and_not_from_when_they_were_read() {
        let (mut near, mut far) = pair().await;
        // The kernel may begin to note instants a moment after it is first asked to.
        for round in 0..50 {
            let sent = Instant::now();
            far.write_all(b"answer").await.unwrap();
            let written = Instant::now();
            std::thread::sleep(Duration::from_millis(20));
            let mut buffer = [0; 100];
            assert_eq!(near.read(&mut buffer).await.unwrap(), 6);
            if let Some(at) = near.came_in() {
                // The clocks are read one after the other, and may be slewed.
                assert!(at + Duration::from_millis(5) > sent, "{:?}", sent - at);
                assert!(at < written + Duration::from_millis(15), "{:?}", at - written);
                return;
            }
            assert!(round < 49, "the kernel hands out no instants");
        }
    }

    #[tokio::test]
    async fn much_and_little_arrive_whole_and_the_end_is_seen() {
        let (mut near, mut far) = pair().await;
        let sizes = [1, 1023, 1024, 1025, 300_000, 7, 0, 12];
        let writer = tokio::spawn(async move {
            for size in sizes {
                far.write_all(&vec![u8::try_from(size % 251).unwrap(); size]).await.unwrap();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        for size in sizes {
            let mut buffer = vec![0; size];
            near.read_exact(&mut buffer).await.unwrap();
            assert!(buffer.iter().all(|byte| usize::from(*byte) == size % 251));
        }
        writer.await.unwrap();
        assert_eq!(near.read(&mut [0; 10]).await.unwrap(), 0);
    }
}
