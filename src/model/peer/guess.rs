//! Who probably answered: combinations of settings that servers send unless they are told otherwise.

use super::settings::Settings;
use super::settings::id::{
    ENABLE_CONNECT_PROTOCOL as CONNECT, INITIAL_WINDOW_SIZE as WINDOW, MAX_CONCURRENT_STREAMS as STREAMS,
    MAX_FRAME_SIZE as FRAME, MAX_HEADER_LIST_SIZE as HEADERS,
};

/// What a server sends by default.
struct Default {
    server: &'static str,
    settings: &'static [(u16, u32)],
    /// The WINDOW_UPDATE of the connection that follows.
    window_update: Option<u32>,
    /// Whether it sends these settings and no others; else others depend on its version.
    alone: bool,
}

/// The first seven were seen on the wire: nginx 1.22, Apache 2.4.71, HAProxy 2.6, nghttpd 1.52, Node 20, hyper 1.12. The
/// others are what their sources and documents say.
const DEFAULTS: &[Default] = &[
    Default {
        server: "nginx",
        settings: &[(STREAMS, 128), (WINDOW, 65_536), (FRAME, 16_777_215)],
        window_update: Some(2_147_418_112),
        alone: true,
    },
    Default { server: "Apache httpd", settings: &[(STREAMS, 100)], window_update: Some(2_147_418_112), alone: true },
    Default { server: "HAProxy", settings: &[(CONNECT, 1), (STREAMS, 100)], window_update: None, alone: true },
    Default {
        server: "nghttpd, or another server on nghttp2",
        settings: &[(STREAMS, 100)],
        window_update: None,
        alone: true,
    },
    Default {
        server: "Node.js, or another library that leaves every setting as it is",
        settings: &[],
        window_update: None,
        alone: true,
    },
    Default {
        server: "hyper (Rust)",
        settings: &[(STREAMS, 200), (WINDOW, 1 << 20), (FRAME, 16_384), (HEADERS, 16_384)],
        window_update: Some((1 << 20) - 65_535),
        alone: true,
    },
    Default {
        server: "net/http (Go)",
        settings: &[(FRAME, 1 << 20), (STREAMS, 250), (HEADERS, 1_048_896), (WINDOW, 1 << 20)],
        window_update: Some((1 << 20) - 65_535),
        alone: false,
    },
    Default {
        server: "Envoy before 1.36",
        settings: &[(STREAMS, 2_147_483_647), (WINDOW, 1 << 28)],
        window_update: Some((1 << 28) - 65_535),
        alone: false,
    },
    Default {
        server: "Jetty",
        settings: &[(STREAMS, 128), (WINDOW, 1 << 19)],
        window_update: Some((1 << 20) - 65_535),
        alone: false,
    },
];

/// The server whose defaults these settings are. A guess: anybody can send them, and what answers is often a proxy in
/// front of what serves.
pub fn looks_like(settings: &Settings) -> Option<&'static str> {
    let fits = |default: &&Default| {
        default.window_update == settings.window_update
            && default.settings.iter().all(|&(number, value)| settings.get(number) == Some(value))
            && (!default.alone || default.settings.len() == settings.sent.len())
    };
    DEFAULTS.iter().find(fits).map(|default| default.server)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_combination_is_a_likeness() {
        let settings =
            |sent: &[(u16, u32)], window_update| Settings { sent: sent.to_vec(), window_update, ..Settings::default() };
        let nginx = [(STREAMS, 128), (WINDOW, 65_536), (FRAME, 16_777_215)];
        assert_eq!(looks_like(&settings(&nginx, Some(2_147_418_112))), Some("nginx"));
        assert_eq!(looks_like(&settings(&nginx, None)), None);
        assert_eq!(looks_like(&settings(&[(STREAMS, 100)], Some(2_147_418_112))), Some("Apache httpd"));
        assert_eq!(looks_like(&settings(&[(STREAMS, 512)], None)), None);
        for default in DEFAULTS {
            assert_eq!(looks_like(&settings(default.settings, default.window_update)), Some(default.server));
        }
    }
}
