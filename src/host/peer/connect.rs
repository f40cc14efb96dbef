//! A connection that ends in time, whatever the other side does.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use crate::host::Clock;
use crate::model::bounds;

/// A TCP connection with a time by which everything is over.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    clock: Clock,
    /// When it is over, by the clock.
    pub(super) end: Duration,
    left: usize,
}

impl Wire {
    /// Connects.
    ///
    /// # Errors
    /// Those of connecting; `TimedOut` if nobody answers in time.
    pub(super) fn open(address: SocketAddr, clock: Clock, end: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, left_of(end, clock)?)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, clock, end, left: bounds::PEER_BYTES.count() })
    }

    /// Says that nothing more is sent.
    pub(super) fn close(&self) {
        // It may be closed already.
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::new(ErrorKind::FileTooLarge, "it sent more bytes than any peer does unasked"));
        }
        let most = buffer.len().min(self.left);
        let buffer = buffer.get_mut(..most).unwrap_or_default();
        loop {
            self.stream.set_read_timeout(Some(left_of(self.end, self.clock)?))?;
            match self.stream.read(buffer) {
                // A process that was stopped and goes on: the time of the socket begins anew, that of the clock does not.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(timed_out(error)),
                Ok(count) => {
                    self.left -= count;
                    return Ok(count);
                }
            }
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(left_of(self.end, self.clock)?))?;
        self.stream.write(bytes).map_err(timed_out)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// What is left until a time.
///
/// # Errors
/// `TimedOut`: nothing is.
pub(super) fn left_of(end: Duration, clock: Clock) -> io::Result<Duration> {
    match end.saturating_sub(clock.elapsed()) {
        Duration::ZERO => Err(ErrorKind::TimedOut.into()),
        left => Ok(left),
    }
}

/// The kernel says EAGAIN when the time of a socket is over.
fn timed_out(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::WouldBlock { ErrorKind::TimedOut.into() } else { error }
}

/// Whether this machine has a route to an address. Nothing is sent: a datagram socket is only told where it would send.
pub(super) fn has_route(address: IpAddr) -> bool {
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    UdpSocket::bind((any, 0)).and_then(|socket| socket.connect((address, 9))).is_ok()
}
