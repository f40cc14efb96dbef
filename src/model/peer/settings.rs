//! SETTINGS of HTTP/2 and what stands for one that was not sent (RFC 9113 6.5.2).

use super::Streams;
use crate::model::bounds;

/// Numbers of settings that are asked about by name.
pub mod id {
    /// `SETTINGS_HEADER_TABLE_SIZE`.
    pub const HEADER_TABLE_SIZE: u16 = 1;
    /// `SETTINGS_ENABLE_PUSH`.
    pub const ENABLE_PUSH: u16 = 2;
    /// `SETTINGS_MAX_CONCURRENT_STREAMS`.
    pub const MAX_CONCURRENT_STREAMS: u16 = 3;
    /// `SETTINGS_INITIAL_WINDOW_SIZE`.
    pub const INITIAL_WINDOW_SIZE: u16 = 4;
    /// `SETTINGS_MAX_FRAME_SIZE`.
    pub const MAX_FRAME_SIZE: u16 = 5;
    /// `SETTINGS_MAX_HEADER_LIST_SIZE`.
    pub const MAX_HEADER_LIST_SIZE: u16 = 6;
    /// `SETTINGS_ENABLE_CONNECT_PROTOCOL` (RFC 8441).
    pub const ENABLE_CONNECT_PROTOCOL: u16 = 8;
    /// `SETTINGS_NO_RFC7540_PRIORITIES` (RFC 9218).
    pub const NO_RFC7540_PRIORITIES: u16 = 9;
}

/// Receive window of a stream and of a connection at the beginning, in bytes.
pub const DEFAULT_WINDOW: u32 = 65_535;
/// Largest window there is.
pub const LARGEST_WINDOW: u32 = 0x7fff_ffff;
/// Payload of a frame that everybody takes, in bytes; also the default.
pub const SMALLEST_FRAME: u32 = 16_384;
/// Largest payload that can be allowed.
pub const LARGEST_FRAME: u32 = 16_777_215;

/// The name of a setting, without `SETTINGS_`.
pub fn setting_name(number: u16) -> Option<&'static str> {
    Some(match number {
        id::HEADER_TABLE_SIZE => "HEADER_TABLE_SIZE",
        id::ENABLE_PUSH => "ENABLE_PUSH",
        id::MAX_CONCURRENT_STREAMS => "MAX_CONCURRENT_STREAMS",
        id::INITIAL_WINDOW_SIZE => "INITIAL_WINDOW_SIZE",
        id::MAX_FRAME_SIZE => "MAX_FRAME_SIZE",
        id::MAX_HEADER_LIST_SIZE => "MAX_HEADER_LIST_SIZE",
        id::ENABLE_CONNECT_PROTOCOL => "ENABLE_CONNECT_PROTOCOL",
        id::NO_RFC7540_PRIORITIES => "NO_RFC7540_PRIORITIES",
        _ => return None,
    })
}

/// The name of an error code (RFC 9113 7); its number where it has none.
pub fn error_name(code: u32) -> String {
    const NAMES: [&str; 14] = [
        "NO_ERROR",
        "PROTOCOL_ERROR",
        "INTERNAL_ERROR",
        "FLOW_CONTROL_ERROR",
        "SETTINGS_TIMEOUT",
        "STREAM_CLOSED",
        "FRAME_SIZE_ERROR",
        "REFUSED_STREAM",
        "CANCEL",
        "COMPRESSION_ERROR",
        "CONNECT_ERROR",
        "ENHANCE_YOUR_CALM",
        "INADEQUATE_SECURITY",
        "HTTP_1_1_REQUIRED",
    ];
    let name = usize::try_from(code).ok().and_then(|code| NAMES.get(code));
    name.map_or_else(|| format!("error {code}"), |name| (*name).to_owned())
}

/// What a server sent at the beginning of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Number and value of each setting, in the order in which they first came; of several values the last one counts.
    pub sent: Vec<(u16, u32)>,
    /// How often a setting came that is not kept: one without a known name, beyond [`bounds::PEER_SETTINGS`] of them.
    pub left_out: usize,
    /// By how many bytes it widened the connection's window right behind; none if it did not.
    pub window_update: Option<u32>,
    /// The error code of a GOAWAY that came right behind.
    pub goaway: Option<u32>,
    /// The most requests at a time that it allowed before a later frame of its own lowered them; none if none did.
    pub lowered_from: Option<Streams>,
}

impl Settings {
    /// Takes a setting that was sent.
    pub fn put(&mut self, number: u16, value: u32) {
        if let Some((_, held)) = self.sent.iter_mut().find(|(sent, _)| *sent == number) {
            *held = value;
        } else if self.keeps(number) {
            self.sent.push((number, value));
        } else {
            self.left_out += 1;
        }
    }

    fn keeps(&self, number: u16) -> bool {
        let unknown = || self.sent.iter().filter(|(sent, _)| setting_name(*sent).is_none()).count();
        setting_name(number).is_some() || unknown() < bounds::PEER_SETTINGS.count()
    }

    /// The value that was sent.
    pub fn get(&self, number: u16) -> Option<u32> {
        self.sent.iter().find(|(sent, _)| *sent == number).map(|(_, value)| *value)
    }

    /// Whether it takes no request for now, whatever its limit is: it said GOAWAY, or allows none.
    pub fn takes_none(&self) -> bool {
        self.goaway.is_some() || self.max_concurrent_streams() == Streams::Limited(0)
    }

    /// Requests that it takes at a time on one connection. Without the setting there is no limit.
    pub fn max_concurrent_streams(&self) -> Streams {
        self.get(id::MAX_CONCURRENT_STREAMS).map_or(Streams::Unlimited, Streams::Limited)
    }

    /// Bytes of a request's body that it takes on one stream before it says more.
    pub fn initial_window_size(&self) -> u32 {
        self.get(id::INITIAL_WINDOW_SIZE).unwrap_or(DEFAULT_WINDOW)
    }

    /// Largest payload of a frame that it takes, in bytes.
    pub fn max_frame_size(&self) -> u32 {
        self.get(id::MAX_FRAME_SIZE).unwrap_or(SMALLEST_FRAME)
    }

    /// Bytes of all request bodies together that it takes on one connection before it says more. No setting changes it,
    /// only a WINDOW_UPDATE.
    pub fn connection_window(&self) -> u32 {
        DEFAULT_WINDOW.saturating_add(self.window_update.unwrap_or(0)).min(LARGEST_WINDOW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_without_a_name_are_bounded_and_those_with_one_are_not() {
        let mut settings = Settings::default();
        (0x100..0x200).for_each(|number| settings.put(number, 1));
        settings.put(0x100, 7);
        settings.put(id::MAX_CONCURRENT_STREAMS, 100);
        assert_eq!(
            (settings.sent.len(), settings.left_out),
            (bounds::PEER_SETTINGS.count() + 1, 0x100 - bounds::PEER_SETTINGS.count())
        );
        assert_eq!((settings.get(0x100), settings.get(0x1ff)), (Some(7), None));
        assert_eq!(settings.max_concurrent_streams(), Streams::Limited(100));
    }

    #[test]
    fn errors_go_by_their_names_and_others_by_their_number() {
        assert_eq!([0, 11, 13, 14].map(error_name), ["NO_ERROR", "ENHANCE_YOUR_CALM", "HTTP_1_1_REQUIRED", "error 14"]);
    }
}
