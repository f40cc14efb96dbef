//! The few frames of HTTP/2 that a server sends before anybody asks it for something (RFC 9113 4.1, 6.5 to 6.9), and the
//! few bytes that are sent to it. Pure: bytes in, what they mean out.

use thiserror::Error;

use crate::model::bounds;
use crate::model::facts::grouped;
use crate::model::peer::settings::{
    DEFAULT_WINDOW, LARGEST_FRAME, LARGEST_WINDOW, SMALLEST_FRAME, Settings, error_name, id, setting_name,
};

/// The client's preface and its SETTINGS, which are empty: every value stays at its default.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// Says that a SETTINGS frame was taken.
pub(super) const SETTINGS_ACK: &[u8] = b"\0\0\0\x04\x01\0\0\0\0";
/// Ends a connection without an error, no stream was taken.
pub(super) const GOAWAY: &[u8] = b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0";

const HEADER: usize = 9;
const SETTINGS: u8 = 4;
const GOAWAY_KIND: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const ACK: u8 = 1;

/// What is wrong with what a server sent.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Wrong {
    /// An HTTP/1 status line.
    #[error("it answers in HTTP/1.1")]
    Http1,
    /// A record of TLS.
    #[error("it answers with TLS")]
    Tls,
    /// Anything else in place of SETTINGS. Its first bytes.
    #[error("its first bytes are not a SETTINGS frame of HTTP/2: \"{0}\"")]
    NotHttp2(String),
    /// GOAWAY in place of SETTINGS, with its error code.
    #[error("it sent GOAWAY ({}) in place of SETTINGS", error_name(*code))]
    GoAway {
        /// The error code (RFC 9113 7).
        code: u32,
    },
    /// A frame that is longer than this client allows.
    #[error("it sent a frame of {} bytes, and 16,384 are the most that a client takes by default", grouped(*.0 as i128))]
    TooLong(usize),
    /// Frames without end.
    #[error("it sent more than {} frames that nobody asked for", bounds::PEER_FRAMES)]
    TooMany,
    /// A frame that RFC 9113 does not allow here.
    #[error("it sent a {0}")]
    Malformed(&'static str),
    /// A value that is out of the setting's range.
    #[error("it sent {} = {value}, which RFC 9113 does not allow", setting_name(*number).unwrap_or("a setting"))]
    Value {
        /// The setting.
        number: u16,
        /// What it sent.
        value: u32,
    },
}

/// What a server said so far.
#[derive(Debug, Default)]
pub struct Talk {
    rest: Vec<u8>,
    settings: Option<Settings>,
    frames: usize,
    /// SETTINGS frames that were taken.
    taken: usize,
}

impl Talk {
    /// Takes bytes as they come.
    ///
    /// # Errors
    /// [`Wrong`]: this is no server of HTTP/2, or a broken one.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), Wrong> {
        self.rest.extend_from_slice(bytes);
        loop {
            if self.settings.is_none() {
                self.opens_with_settings()?;
            }
            let Some((kind, flags, stream, length)) = header(&self.rest) else { return Ok(()) };
            if length > SMALLEST_FRAME as usize {
                return Err(Wrong::TooLong(length));
            }
            let Some(payload) = self.rest.get(HEADER..HEADER + length) else { return Ok(()) };
            self.frames += 1;
            if self.frames > bounds::PEER_FRAMES.count() {
                return Err(Wrong::TooMany);
            }
            let payload = payload.to_vec();
            self.frame(kind, flags, stream, &payload)?;
            self.rest.drain(..HEADER + length);
        }
    }

    /// The server's settings, once they came.
    pub fn settings(&self) -> Option<&Settings> {
        self.settings.as_ref()
    }

    /// SETTINGS frames that wait for an acknowledgement.
    pub(super) fn unacknowledged(&self) -> usize {
        self.taken
    }

    /// The beginning of what came and is no whole frame yet.
    pub(super) fn rest(&self) -> String {
        shown(&self.rest)
    }

    /// Looks at the first bytes as soon as they tell anything, because the rest of what is no frame never comes.
    fn opens_with_settings(&self) -> Result<(), Wrong> {
        match self.rest.as_slice() {
            [b'H', b'T', b'T', b'P', b'/', ..] => Err(Wrong::Http1),
            [0x15 | 0x16, 3, _, ..] => Err(Wrong::Tls),
            _ => match header(&self.rest) {
                None => Ok(()),
                Some((SETTINGS, flags, 0, length)) if flags & ACK == 0 && length.is_multiple_of(6) => Ok(()),
                Some((GOAWAY_KIND, _, 0, length)) if (8..=SMALLEST_FRAME as usize).contains(&length) => {
                    match self.rest.get(HEADER + 4..HEADER + 8).and_then(|code| code.first_chunk()) {
                        Some(code) => Err(Wrong::GoAway { code: u32::from_be_bytes(*code) }),
                        None => Ok(()),
                    }
                }
                Some(_) => Err(Wrong::NotHttp2(shown(&self.rest))),
            },
        }
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Result<(), Wrong> {
        let number = |at: usize| payload.get(at..).and_then(|rest| rest.first_chunk()).map(|n| u32::from_be_bytes(*n));
        match (kind, stream) {
            (SETTINGS, 0) if flags & ACK != 0 => match payload {
                [] => Ok(()),
                _ => Err(Wrong::Malformed("SETTINGS acknowledgement that is not empty")),
            },
            (SETTINGS, 0) if !payload.len().is_multiple_of(6) => {
                Err(Wrong::Malformed("SETTINGS frame of a broken length"))
            }
            (SETTINGS, 0) => {
                self.taken += 1;
                let before = self.settings.as_ref().map(Settings::max_concurrent_streams);
                let settings = self.settings.get_or_insert_default();
                payload.chunks_exact(6).try_for_each(|setting| put(settings, setting))?;
                let lowered = before.filter(|&before| settings.max_concurrent_streams() < before);
                settings.lowered_from = settings.lowered_from.max(lowered);
                Ok(())
            }
            (SETTINGS, _) => Err(Wrong::Malformed("SETTINGS frame on a stream")),
            (WINDOW_UPDATE, 0) => match number(0).map(|number| number & LARGEST_WINDOW) {
                Some(0) => Err(Wrong::Malformed("WINDOW_UPDATE of 0")),
                Some(more) if payload.len() == 4 => {
                    let settings = self.settings.get_or_insert_default();
                    let widened = settings.window_update.unwrap_or(0).saturating_add(more);
                    if widened > LARGEST_WINDOW - DEFAULT_WINDOW {
                        return Err(Wrong::Malformed(
                            "WINDOW_UPDATE that takes the connection's window over 2,147,483,647 bytes",
                        ));
                    }
                    settings.window_update = Some(widened);
                    Ok(())
                }
                _ => Err(Wrong::Malformed("WINDOW_UPDATE frame of a broken length")),
            },
            (GOAWAY_KIND, 0) => match number(4) {
                Some(code) => {
                    self.settings.get_or_insert_default().goaway = Some(code);
                    Ok(())
                }
                None => Err(Wrong::Malformed("GOAWAY frame of a broken length")),
            },
            // PING, ALTSVC, ORIGIN, and whatever comes: none of it is asked about.
            _ => Ok(()),
        }
    }
}

/// Kind, flags, stream and length of payload.
fn header(bytes: &[u8]) -> Option<(u8, u8, u32, usize)> {
    let [a, b, c, kind, flags, stream @ ..] = *bytes.first_chunk::<HEADER>()?;
    let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
    Some((kind, flags, u32::from_be_bytes(stream) & LARGEST_WINDOW, length))
}

/// Takes one setting. A server must not allow pushes to itself (RFC 9113 6.5.2), and CONNECT is 0 or 1 (RFC 8441).
fn put(settings: &mut Settings, setting: &[u8]) -> Result<(), Wrong> {
    let [high, low, value @ ..] =
        *setting.first_chunk::<6>().ok_or(Wrong::Malformed("SETTINGS frame of a broken length"))?;
    let (number, value) = (u16::from_be_bytes([high, low]), u32::from_be_bytes(value));
    let allowed = match number {
        id::ENABLE_PUSH => value == 0,
        id::INITIAL_WINDOW_SIZE => value <= LARGEST_WINDOW,
        id::MAX_FRAME_SIZE => (SMALLEST_FRAME..=LARGEST_FRAME).contains(&value),
        id::ENABLE_CONNECT_PROTOCOL | id::NO_RFC7540_PRIORITIES => value <= 1,
        _ => true,
    };
    if !allowed {
        return Err(Wrong::Value { number, value });
    }
    settings.put(number, value);
    Ok(())
}

/// Bytes as a person recognises them, cut: with escapes as between quotes.
fn shown(bytes: &[u8]) -> String {
    bytes.iter().take(24).flat_map(|byte| std::ascii::escape_default(*byte)).map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::peer::Streams;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }

    fn setting(number: u16, value: u32) -> Vec<u8> {
        [&number.to_be_bytes()[..], &value.to_be_bytes()].concat()
    }

    fn taken(bytes: &[u8]) -> Result<Settings, Wrong> {
        let mut talk = Talk::default();
        talk.take(bytes)?;
        Ok(talk.settings().cloned().unwrap_or_default())
    }

    #[test]
    fn what_nginx_sends_is_read_byte_by_byte() {
        let settings = [setting(3, 128), setting(4, 65_536), setting(5, 16_777_215)].concat();
        let bytes = [frame(4, 0, 0, &settings), frame(8, 0, 0, &2_147_418_112_u32.to_be_bytes()), frame(4, 1, 0, &[])];
        let mut talk = Talk::default();
        for byte in bytes.concat() {
            talk.take(&[byte]).unwrap();
        }
        let settings = talk.settings().unwrap();
        assert_eq!(settings.sent, [(3, 128), (4, 65_536), (5, 16_777_215)]);
        assert_eq!((settings.connection_window(), talk.unacknowledged()), (LARGEST_WINDOW, 1));
        assert_eq!(settings.max_concurrent_streams(), Streams::Limited(128));
    }

    #[test]
    fn empty_settings_are_settings_and_the_last_value_counts() {
        assert_eq!(taken(&frame(4, 0, 0, &[])).unwrap().max_concurrent_streams(), Streams::Unlimited);
        let twice = frame(4, 0, 0, &[setting(3, 1), setting(9, 1), setting(3, 7)].concat());
        assert_eq!(taken(&twice).unwrap().sent, [(3, 7), (9, 1)]);
    }

    #[test]
    fn what_is_no_server_of_http2_is_told_apart() {
        assert_eq!(taken(b"HTTP/1.1 400 Bad Request\r\n"), Err(Wrong::Http1));
        assert_eq!(taken(b"\x15\x03\x01\0\x02\x02\x46"), Err(Wrong::Tls));
        assert_eq!(taken(b"SSH-2.0-x\r\n"), Err(Wrong::NotHttp2("SSH-2.0-x\\r\\n".into())));
        assert_eq!(taken(&frame(7, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 11])), Err(Wrong::GoAway { code: 11 }));
        assert!(matches!(taken(&frame(6, 0, 0, &[0; 8])), Err(Wrong::NotHttp2(_))), "PING");
        assert!(matches!(taken(&frame(4, 1, 0, &[])), Err(Wrong::NotHttp2(_))), "an acknowledgement first");
    }

    #[test]
    fn values_that_rfc_9113_does_not_allow_are_refused() {
        for (number, value) in [(4, 0x8000_0000), (5, 16_383), (5, 16_777_216), (2, 1), (8, 2)] {
            assert_eq!(taken(&frame(4, 0, 0, &setting(number, value))), Err(Wrong::Value { number, value }));
        }
        for (number, value) in [(4, LARGEST_WINDOW), (5, 16_384), (2, 0), (3, u32::MAX), (0xfff0, u32::MAX)] {
            assert_eq!(taken(&frame(4, 0, 0, &setting(number, value))).unwrap().get(number), Some(value));
        }
        let begun = frame(4, 0, 0, &[]);
        let after = |bytes: &[u8]| taken(&[begun.as_slice(), bytes].concat()).unwrap_err();
        assert!(matches!(after(&frame(4, 0, 0, &[0; 5])), Wrong::Malformed(_)));
        assert!(matches!(after(&frame(4, 0, 1, &[])), Wrong::Malformed(_)));
        assert!(matches!(after(&frame(4, 1, 0, &[0; 6])), Wrong::Malformed(_)));
        assert_eq!(after(&frame(8, 0, 0, &[0; 4])), Wrong::Malformed("WINDOW_UPDATE of 0"));
        let widest = frame(8, 0, 0, &(LARGEST_WINDOW - DEFAULT_WINDOW).to_be_bytes());
        let wider = |more: &[u8]| matches!(after(more), Wrong::Malformed(why) if why.contains("over 2,147,483,647"));
        assert!(wider(&frame(8, 0, 0, &(LARGEST_WINDOW - DEFAULT_WINDOW + 1).to_be_bytes())));
        assert!(wider(&[widest, frame(8, 0, 0, &1_u32.to_be_bytes())].concat()), "both together");
        assert_eq!(after(&[0xff, 0, 0, 0, 0, 0, 0, 0, 0]), Wrong::TooLong(0xff_0000));
        assert_eq!(after(&begun.repeat(40)), Wrong::TooMany);
    }

    #[test]
    fn what_is_sent_are_whole_frames() {
        let preface = PREFACE.strip_prefix(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        for (bytes, kind, flags) in [(preface, SETTINGS, 0), (SETTINGS_ACK, SETTINGS, ACK), (GOAWAY, GOAWAY_KIND, 0)] {
            assert_eq!(header(bytes), Some((kind, flags, 0, bytes.len() - HEADER)));
        }
    }
}
