//! Servers of HTTP/2, good and bad, on loopback: what tunecheck finds there, what it sends, and when it gives up.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests prepare files and fail by panicking"
)]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;
use support::{Run, json, run, scratch};

/// The preface, empty SETTINGS, an acknowledgement, GOAWAY.
const SENT: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\0\x04\x01\0\0\0\0\
    \0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0";
const EMPTY: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
/// GOAWAY with ENHANCE_YOUR_CALM.
const CALM: &[u8] = &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11];

/// A server that does this with each connection, for as long as the tests run.
fn server(each: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let each = Arc::new(each);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let each = Arc::clone(&each);
            thread::spawn(move || each(stream.unwrap()));
        }
    });
    address
}

/// A server that sends these bytes and then listens.
fn sends(bytes: impl Into<Vec<u8>>) -> SocketAddr {
    let bytes = bytes.into();
    server(move |mut stream| {
        let _ = stream.write_all(&bytes);
        drain(&mut stream);
    })
}

fn drain(stream: &mut impl Read) -> Vec<u8> {
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all);
    all
}

fn settings(all: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> =
        all.iter().flat_map(|(number, value)| [&number.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
    [&[0, 0, u8::try_from(payload.len()).unwrap(), 4, 0, 0, 0, 0, 0], payload.as_slice()].concat()
}

fn probe(url: &str, more: &[&str]) -> Run {
    run(["probe", "h2", url].iter().chain(more))
}

/// Holds a probe that fails to what every such probe has: exit code 2, one reason, the next step, nothing that drives a
/// terminal, and the same in JSON.
fn fails(url: &str, more: &[&str], step: &str, what: &str, next: &str) {
    let start = Instant::now();
    let table = probe(url, &[more, &["--timeout", "2s"]].concat());
    // That it ends at all, however busy the machine is.
    assert!(start.elapsed() < Duration::from_secs(15), "{url}: {:?}", start.elapsed());
    assert_eq!((table.code, table.stderr.as_str()), (Some(2), ""), "{}", table.stdout);
    let words = table.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains(what) && words.contains(next), "{what} / {next}: {}", table.stdout);
    assert!(words.contains("no address answered with SETTINGS") && !table.stdout.contains('\u{1b}'), "{words}");
    let told = json(&[&["probe", "h2", url, "--timeout", "2s"], more].concat());
    let trouble = &told["addresses"][0]["trouble"];
    let holds = |key: &str, part: &str| trouble[key].as_str().unwrap().contains(part);
    assert!(trouble["step"] == step && holds("what", what) && holds("next", next), "{told:#}");
    assert!(told["addresses"][0]["answer"].is_null() && told["all_answered"] == false, "{told:#}");
}

fn cleartext(address: SocketAddr, what: &str, next: &str) {
    fails(&format!("http://{address}"), &[], "settings", what, next);
}

#[test]
fn a_server_on_hyper_says_what_it_was_told_to() {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        runtime.block_on(async {
            let bound = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let told = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            send.send([bound.local_addr().unwrap(), told.local_addr().unwrap()]).unwrap();
            let service = || {
                hyper::service::service_fn(|_| async {
                    Ok::<_, std::convert::Infallible>(hyper::Response::new(String::new()))
                })
            };
            let builder = || hyper::server::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new());
            loop {
                let (stream, _) = bound.accept().await.unwrap();
                tokio::spawn(builder().serve_connection(hyper_util::rt::TokioIo::new(stream), service()));
                let (stream, _) = told.accept().await.unwrap();
                let mut builder = builder();
                builder.max_concurrent_streams(77).initial_stream_window_size(70_000).max_frame_size(20_000);
                builder.initial_connection_window_size(200_000).enable_connect_protocol();
                tokio::spawn(builder.serve_connection(hyper_util::rt::TokioIo::new(stream), service()));
            }
        });
    });
    let [bound, told] = receive.recv().unwrap();
    let both =
        json(&["probe", "h2", "http://hyper.test", "--connect", &bound.to_string(), "--connect", &told.to_string()]);
    let [first, second] = [&both["addresses"][0]["answer"], &both["addresses"][1]["answer"]];
    assert_eq!(
        (&first["max_concurrent_streams"], &first["looks_like"]),
        (&200.into(), &"hyper (Rust)".into()),
        "{both:#}"
    );
    let numbers = ["max_concurrent_streams", "initial_window_size", "max_frame_size", "connection_window"];
    assert_eq!(numbers.map(|key| second[key].as_u64().unwrap()), [77, 70_000, 20_000, 200_000], "{both:#}");
    assert!(second["settings"].as_array().unwrap().iter().any(|setting| setting["name"] == "ENABLE_CONNECT_PROTOCOL"));
    assert_eq!(both["max_concurrent_streams"], 77, "the least of both");
}

#[test]
fn nothing_is_sent_but_the_beginning_and_the_end_of_a_connection() {
    let (send, receive) = mpsc::channel();
    let address = server(move |mut stream| {
        stream.write_all(EMPTY).unwrap();
        send.send(drain(&mut stream)).unwrap();
    });
    let told = probe(&format!("http://{address}/v1/chat?key=secret"), &[]);
    assert_eq!((told.code, told.stderr.as_str()), (Some(0), ""), "{}", told.stdout);
    assert!(told.stdout.contains("no limit on requests") && !told.stdout.contains("secret"), "{}", told.stdout);
    assert_eq!(receive.recv_timeout(Duration::from_secs(5)).unwrap(), SENT);
}

#[test]
fn settings_of_all_kinds_are_told_with_their_names_or_numbers() {
    let address = sends(settings(&[(1, 8192), (2, 0), (6, 9000), (0xabc, 5), (3, 4_294_967_295)]));
    let told = probe(&format!("http://{address}"), &[]);
    let words = told.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "4,294,967,295 requests",
        "HEADER_TABLE_SIZE 8,192",
        "ENABLE_PUSH 0",
        "MAX_HEADER_LIST_SIZE 9,000",
        "setting 0xabc (not known) 5",
        "INITIAL_WINDOW_SIZE, not sent: the default",
    ] {
        assert!(words.contains(part), "{part}: {}", told.stdout);
    }
    assert_eq!(told.code, Some(0));
}

#[test]
fn what_differs_between_addresses_is_named() {
    let (first, second) = (sends(settings(&[(3, 100)])), sends(settings(&[(3, 50), (4, 20_000)])));
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let addresses = [first, second, silent.local_addr().unwrap(), gone];
    let connect: Vec<String> = addresses.iter().map(|address| format!("--connect={address}")).collect();
    let more: Vec<&str> = connect.iter().map(String::as_str).chain(["--timeout", "3s"]).collect();
    let told = probe("http://peer.test", &more);
    assert_eq!(told.code, Some(2), "one of them did not answer");
    let words = told.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        format!("they differ MAX_CONCURRENT_STREAMS is 100 at {first}; 50 at {second}"),
        format!("INITIAL_WINDOW_SIZE is not sent at {first}; 20,000 at {second}"),
        format!("{gone} no answer why nothing listens there"),
        "it sent no SETTINGS within 3s".to_owned(),
        "2 of 4 answered; 50 requests at a time".to_owned(),
    ] {
        assert!(words.contains(&part), "{part}: {}", told.stdout);
    }
}

#[test]
fn settings_without_a_name_are_bounded() {
    let frame = |first: u16| {
        let all: Vec<u8> =
            (first..first + 2730).flat_map(|number| [&number.to_be_bytes()[..], &[0; 4]].concat()).collect();
        let length = u16::try_from(all.len()).unwrap().to_be_bytes();
        [&[0, length[0], length[1], 4, 0, 0, 0, 0, 0], all.as_slice()].concat()
    };
    let url = format!("http://{}", sends((0..12).flat_map(|nth| frame(0x1000 + nth * 2730)).collect::<Vec<u8>>()));
    let bounded = || {
        let told = probe(&url, &[]);
        assert!(told.code == Some(0) && told.stdout.contains(" more that are not known"), "{}", told.stdout);
        assert!(told.stdout.lines().count() < 40, "{}", told.stdout);
        let answer = json(&["probe", "h2", &url])["addresses"][0]["answer"].clone();
        let (listed, left_out) = (answer["settings"].as_array().unwrap().len(), answer["settings_left_out"].as_u64());
        assert_eq!((listed, (left_out.unwrap() + 32) % 2730), (32, 0), "{answer:#}");
        told.stdout.contains("32,728 more that are not known") && left_out == Some(12 * 2730 - 32)
    };
    // A peer that gets no processor for longer than the probe listens on is not heard to its end: each answer is bounded,
    // and one of a peer that was heard to its end counts all.
    assert!((0..40).any(|_| bounded()));
}

#[test]
fn no_limit_is_told_apart_from_no_answer() {
    let (any, seven) = (format!("--connect={}", sends(EMPTY)), format!("--connect={}", sends(settings(&[(3, 7)]))));
    let told = |more: &[&str]| {
        let told = json(&[&["probe", "h2", "http://peer.test"], more].concat());
        (told["max_concurrent_streams"].clone(), told["unlimited"].clone(), told["addresses"].clone())
    };
    let (limit, unlimited, addresses) = told(&[&any]);
    assert_eq!((limit, unlimited), (Value::Null, true.into()));
    let answer = &addresses[0]["answer"];
    assert_eq!((&answer["max_concurrent_streams"], &answer["unlimited"]), (&Value::Null, &true.into()));
    let (limit, unlimited, addresses) = told(&[&any, &seven]);
    assert_eq!((limit, unlimited), (7.into(), false.into()));
    assert_eq!(addresses[1]["answer"]["unlimited"], false);
    let (limit, unlimited, _) = told(&["--connect=127.0.0.1:1"]);
    assert_eq!((limit, unlimited), (Value::Null, Value::Null));
}

#[test]
fn a_peer_that_takes_nothing_now_is_not_summed_up_as_one_that_does() {
    let closing = sends([settings(&[(3, 7)]).as_slice(), CALM].concat());
    let (none, seven) = (sends(settings(&[(3, 0)])), sends(settings(&[(3, 7)])));
    let last = |all: &[SocketAddr]| {
        let connect: Vec<String> = all.iter().map(|address| format!("--connect={address}")).collect();
        let told = probe("http://peer.test", &connect.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(told.code, Some(0), "{}", told.stdout);
        (told.stdout.lines().last().unwrap().to_owned(), told.stdout)
    };
    let (sum, all) = last(&[closing]);
    assert_eq!(sum, "1 of 1 answered, and it takes no requests now");
    assert!(all.contains("it said GOAWAY (ENHANCE_YOUR_CALM): it takes no requests now"), "{all}");
    assert_eq!(last(&[none]).0, "1 of 1 answered, and it takes no requests now");
    assert_eq!(last(&[none, closing]).0, "2 of 2 answered, and none of them takes requests now");
    let some = "2 of 2 answered; 1 of them takes no requests now, else 7 requests at a time on one connection";
    assert_eq!(last(&[closing, seven]).0, some);
}

#[test]
fn a_peer_that_lowers_its_limit_is_told_as_that() {
    for (first, before) in [(settings(&[(3, 100)]), "100"), (settings(&[(4, 70_000)]), "no limit")] {
        let lowering = sends([first, settings(&[(3, 1)])].concat());
        let told = probe(&format!("http://{lowering}"), &[]).stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(told.contains("streams 1 request at a time on one connection"), "{told}");
        assert!(told.contains(&format!("it said {before} at first and lowered that a moment later")), "{told}");
        let audit = json(&["--workload", "client", "--streams", "10", "--h2", &format!("http://{lowering}")]);
        let mut findings = audit["findings"].as_array().unwrap().iter();
        let judged = findings.find(|finding| finding["rule"] == "http2/streams").unwrap();
        assert!(judged["says"].as_str().unwrap().contains("lowered that a moment later"), "{judged:#}");
    }
    let raising = sends([settings(&[(3, 1)]), settings(&[(3, 100)])].concat());
    assert!(!probe(&format!("http://{raising}"), &[]).stdout.contains("lowered"));
}

#[test]
fn what_is_no_http2_is_told_apart() {
    let ssh = "its first bytes are not a SETTINGS frame of HTTP/2: \"SSH-2.0-OpenSSH\\x1b[2J\\r\\n\"";
    cleartext(sends("SSH-2.0-OpenSSH\x1b[2J\r\n"), ssh, "another protocol");
    cleartext(sends("HTTP/1.1 400 Bad Request\r\n\r\n"), "it answers in HTTP/1.1", "h2c, prior knowledge");
    cleartext(sends("\x15\x03\x01\0\x02\x02\x16"), "it answers with TLS", "try https://127.0.0.1:");
    cleartext(sends(""), "it sent no SETTINGS within 2s", "--timeout 30s");
    cleartext(sends("\0\0"), "within 2s, only \"\\x00\\x00\"", "--timeout 30s");
    cleartext(server(drop), "the connection before it sent SETTINGS", "look into its log");
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    fails(&format!("http://{nobody}"), &[], "tcp", "nothing listens there", "check host and port");
}

#[test]
fn a_broken_server_of_http2_is_given_up() {
    let report = "report it to who runs it";
    cleartext(sends(CALM), "GOAWAY (ENHANCE_YOUR_CALM) in place of SETTINGS", "wait, then ask again");
    cleartext(sends([0, 0x40, 2, 4, 0, 0, 0, 0, 0]), "a frame of 16,386 bytes", report);
    cleartext(sends([EMPTY, &[0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1]].concat()), "a frame of 16,777,215 bytes", report);
    cleartext(sends(settings(&[(4, 0x8000_0000)])), "INITIAL_WINDOW_SIZE = 2147483648, which RFC 9113", report);
    cleartext(sends(settings(&[(5, 1)])), "MAX_FRAME_SIZE = 1, which RFC 9113", report);
    cleartext(sends(settings(&[(2, 1)])), "ENABLE_PUSH = 1, which RFC 9113", report);
    let wide = [0, 0, 4, 8, 0, 0, 0, 0, 0, 0x7f, 0xff, 0, 1];
    let over = "WINDOW_UPDATE that takes the connection's window over 2,147,483,647 bytes";
    cleartext(sends([EMPTY, &wide].concat()), over, report);
    let endless = server(|mut stream| while stream.write_all(EMPTY).is_ok() {});
    cleartext(endless, "more than 32 frames", report);
    let drip = server(|mut stream| {
        for byte in settings(&[(3, 100)]) {
            thread::sleep(Duration::from_millis(300));
            let _ = stream.write_all(&[byte]);
        }
    });
    cleartext(drip, "it sent no SETTINGS within 2s, only", "--timeout 30s");
}

/// What signs, what is signed, and what a server does with it.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Its certificate as a file.
    fn file(&self, test: &str) -> PathBuf {
        let path = scratch(test).join("ca.pem");
        std::fs::write(&path, self.0.pem()).unwrap();
        path
    }

    fn signs(&self, change: impl FnOnce(&mut CertificateParams)) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let mut params = CertificateParams::new(vec!["peer.test".to_owned(), "other.test".to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }
}

fn config((certificate, key): (CertificateDer<'static>, PrivateKeyDer<'static>), alpn: &[&str]) -> ServerConfig {
    let mut config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

/// A server that speaks TLS and then sends empty SETTINGS.
fn secured(config: ServerConfig) -> SocketAddr {
    let config = Arc::new(config);
    server(move |stream| {
        let session = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = StreamOwned::new(session, stream);
        let _ = stream.write_all(EMPTY).and_then(|()| stream.flush());
        drain(&mut stream);
    })
}

/// Fails at the handshake, asked by the name that the certificates are for.
fn refused(address: SocketAddr, more: &[&str], what: &str, next: &str) {
    let connect = format!("--connect={address}");
    fails("https://peer.test", &[&[connect.as_str()], more].concat(), "tls", what, next);
}

#[test]
fn certificates_are_judged_and_a_wrong_one_says_what_to_do() {
    let ours = Authority::new();
    let ca = format!("--cacert={}", ours.file("certificates").display());
    let trusting = [ca.as_str()];
    let expired = ours.signs(|params| params.not_after = date_time_ymd(2020, 1, 2));
    refused(
        secured(config(expired, &["h2"])),
        &trusting,
        "its certificate expired at 2020-01-02T00:00:00Z",
        "renew it",
    );
    let early = ours.signs(|params| params.not_before = date_time_ymd(2999, 1, 1));
    refused(secured(config(early, &["h2"])), &trusting, "is not valid before 2999-01-01", "compare the clocks");
    let elsewhere = ours.signs(|params| params.subject_alt_names.truncate(0));
    refused(secured(config(elsewhere, &["h2"])), &trusting, "not for peer.test", "--connect ADDRESS");
    let hostile = ours.signs(|params| {
        params.subject_alt_names = vec![rcgen::SanType::DnsName("\u{1b}[2Jx.test".try_into().unwrap())];
    });
    refused(secured(config(hostile, &["h2"])), &trusting, "not for peer.test", "--connect ADDRESS");
    let good = || ours.signs(|_| ());
    let unknown = secured(config(good(), &["h2"]));
    refused(unknown, &[], "signed by nobody that is trusted here", "--cacert FILE");
    let connect = format!("--connect={unknown}");
    fails(
        "https://third.test",
        &[&connect, &ca],
        "tls",
        "is for peer.test, other.test, not for third.test",
        "--insecure",
    );

    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["peer.test".to_owned()]).unwrap().self_signed(&key).unwrap();
    let own = secured(config((own.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap()), &["h2"]));
    refused(own, &[], "signed by nobody that is trusted here", "--insecure");
    for (address, more) in [(unknown, ca.as_str()), (own, "--insecure")] {
        let told = probe("https://peer.test", &[&format!("--connect={address}"), more]);
        assert_eq!(told.code, Some(0), "{}", told.stdout);
        let said = told.stdout.contains("certificates are not judged (--insecure)");
        assert!(told.stdout.contains("ALPN h2") && said == (more == "--insecure"), "{}", told.stdout);
    }
}

#[test]
fn a_machine_without_roots_is_lent_those_of_mozilla() {
    let trust = |file: &str| {
        let args = ["probe", "h2", "https://127.0.0.1:1", "--format", "json"];
        let run = support::ended(support::tunecheck().env("SSL_CERT_FILE", file).env_remove("SSL_CERT_DIR").args(args));
        serde_json::from_str::<Value>(&run.stdout).unwrap()["trust"].clone()
    };
    let ours = Authority::new().file("roots");
    assert_eq!((trust("/nowhere"), trust(ours.to_str().unwrap())), ("built-in".into(), "system".into()));
}

#[test]
fn handshakes_that_lead_to_no_http2_say_why() {
    let ours = Authority::new();
    let ca = format!("--cacert={}", ours.file("handshakes").display());
    let trusting = [ca.as_str()];
    let good = || ours.signs(|_| ());
    refused(secured(config(good(), &["http/1.1"])), &trusting, "it chose http/1.1 by ALPN", "--streams 1");
    refused(secured(config(good(), &[])), &trusting, "it chose no protocol by ALPN", "--streams 1");
    refused(secured(config(good(), &["grpc-exp"])), &trusting, "neither h2 nor http/1.1 by ALPN", "switch HTTP/2 on");
    refused(sends("HTTP/1.1 400 Bad Request\r\n\r\n"), &trusting, "it does not speak TLS", "try http://peer.test:");
    refused(sends(""), &trusting, "the TLS handshake was not over within 2s", "--timeout 30s");
    refused(server(drop), &trusting, "the connection during the TLS handshake", "look into its log");
    let drip = server(|mut stream| {
        for byte in [0x16, 3, 3, 0x40, 0].iter().chain(&[0; 99]) {
            let _ = stream.write_all(&[*byte]);
            thread::sleep(Duration::from_millis(100));
        }
    });
    refused(drip, &trusting, "the TLS handshake was not over within", "--timeout 30s");

    let mut roots = RootCertStore::empty();
    roots.add(ours.0.der().clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
    let (certificate, key) = good();
    let mut mutual =
        ServerConfig::builder().with_client_cert_verifier(verifier).with_single_cert(vec![certificate], key).unwrap();
    mutual.alpn_protocols = vec![b"h2".to_vec()];
    let connect = format!("--connect={}", secured(mutual));
    // In TLS 1.3 the client learns of it when the handshake is over for itself.
    fails(
        "https://peer.test",
        &[&connect, &ca],
        "settings",
        "it asks for a certificate of the client",
        "without mutual TLS",
    );
}

#[test]
fn a_server_that_chose_http1_gets_no_byte_of_http2() {
    let ours = Authority::new();
    let ca = format!("--cacert={}", ours.file("http1").display());
    for alpn in [&["http/1.1"][..], &[]] {
        let config = Arc::new(config(ours.signs(|_| ()), alpn));
        let (send, receive) = mpsc::channel();
        let address = server(move |stream| {
            let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream);
            let mut all = Vec::new();
            // Without close_notify this is an error.
            send.send(stream.read_to_end(&mut all).map(|_| all)).unwrap();
        });
        let told = probe("https://peer.test", &[&format!("--connect={address}"), &ca]);
        assert!(told.code == Some(2) && told.stdout.contains("by ALPN"), "{}", told.stdout);
        assert_eq!(receive.recv_timeout(Duration::from_secs(5)).unwrap().unwrap(), b"", "{alpn:?}");
    }
}

#[test]
fn resumption_is_said_to_be_offered_only_if_it_was() {
    let ours = Authority::new();
    let ca = format!("--cacert={}", ours.file("resumption").display());
    let resumption = |change: fn(&mut ServerConfig), versions: &[&'static rustls::SupportedProtocolVersion]| {
        let (certificate, key) = ours.signs(|_| ());
        let builder = ServerConfig::builder_with_protocol_versions(versions).with_no_client_auth();
        let mut config = builder.with_single_cert(vec![certificate], key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        change(&mut config);
        let address = secured(config);
        let told = json(&["probe", "h2", "https://peer.test", &format!("--connect={address}"), &ca]);
        let tls = &told["addresses"][0]["tls"];
        (tls["version"].clone(), tls["resumption"].clone(), tls["tickets"].clone())
    };
    let (newer, older) = ([&rustls::version::TLS13], [&rustls::version::TLS12]);
    let none = |config: &mut ServerConfig| {
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    };
    let told = |version: &str, resumption: &str, tickets: u32| -> (Value, Value, Value) {
        (version.into(), resumption.into(), tickets.into())
    };
    assert_eq!(resumption(|config| config.send_tls13_tickets = 3, &newer), told("TLSv1.3", "tickets", 3));
    assert_eq!(resumption(none, &newer), told("TLSv1.3", "not-seen", 0));
    assert_eq!(resumption(|_| (), &older), told("TLSv1.2", "session", 0));
    assert_eq!(resumption(none, &older), told("TLSv1.2", "not-seen", 0));
}

#[test]
fn what_is_printed_as_json_is_what_the_schema_says() {
    let printed = run(["rules", "schema", "--peer"]);
    let schema = jsonschema::validator_for(&serde_json::from_str(&printed.stdout).unwrap()).unwrap();
    let address = sends(settings(&[(3, 100), (0xabc, 1)]));
    for args in [
        ["probe", "h2", &format!("http://{address}")],
        ["probe", "h2", "https://127.0.0.1:1"],
        ["probe", "h2", "http://..invalid"],
    ] {
        let told = json(&args);
        let wrong: Vec<String> = schema.iter_errors(&told).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty() && told["schema"] == "tunecheck.peer/v1", "{wrong:?} {told:#}");
    }
}

#[test]
fn the_declared_load_is_judged_by_what_the_peer_allows() {
    let address = sends(settings(&[(3, 100), (4, 1000)]));
    let url = format!("http://{address}");
    let audit = |more: &[&str]| {
        let report = json(&[&["--snapshot", "fixtures/hosts/debian-6.12", "--workload", "client"], more].concat());
        let of = |rule: &str| {
            let all = report["findings"].as_array().unwrap().clone();
            all.into_iter().find(|finding| finding["rule"] == rule).unwrap()
        };
        (of("http2/streams"), of("http2/window"), of("http2/addresses"))
    };
    let (streams, window, addresses) = audit(&["--streams", "128", "--connections", "100", "--h2", &url]);
    assert_eq!((&streams["outcome"], &streams["now"]), (&"fail".into(), &100.into()), "{streams:#}");
    assert!(streams["says"].as_str().unwrap().contains("would have to be 128"), "100 x 128 / 100: {streams:#}");
    assert_eq!((&window["outcome"], &window["subject"]), (&"warn".into(), &address.to_string().into()));
    assert_eq!(addresses["outcome"], "pass");
    let (streams, ..) = audit(&["--streams", "100", "--h2", &url]);
    assert_eq!(streams["outcome"], "pass");
    let (streams, window, _) = audit(&["--streams", "100"]);
    assert_eq!((&streams["outcome"], &window["outcome"]), (&"not-applicable".into(), &"not-applicable".into()));
    assert!(streams["reason"].as_str().unwrap().contains("--h2 URL"), "{streams:#}");
    let (streams, window, _) = audit(&["--h2", "http://127.0.0.1:1"]);
    assert_eq!((&streams["outcome"], &window["outcome"]), (&"unknown".into(), &"unknown".into()));
    assert!(streams["reason"].as_str().unwrap().contains("nothing listens there"), "{streams:#}");
    let fix = run([
        "fix",
        "--snapshot",
        "fixtures/hosts/debian-6.12",
        "--workload",
        "client",
        "--streams",
        "128",
        "--h2",
        &url,
    ]);
    assert!(fix.code == Some(0) && fix.stdout.contains("open 1,280 connections instead"), "{}", fix.stdout);
    let endless = sends(Vec::new());
    let (streams, ..) =
        audit(&["--h2", "http://peer.test", "--connect", &address.to_string(), "--connect", &endless.to_string()]);
    assert_eq!(streams["now"], 100, "of those that answered");
    let (streams, ..) = audit(&["--h2", &format!("http://{}", sends("")), "--timeout", "300ms"]);
    assert!(streams["reason"].as_str().unwrap().contains("no SETTINGS within 300ms"), "{streams:#}");
}

#[test]
fn what_to_change_at_a_peer_is_told_in_whole_sentences() {
    let found = |limit: u32| {
        let url = format!("http://{}", sends(settings(&[(3, limit)])));
        let args =
            ["--snapshot", "fixtures/hosts/debian-6.12", "--workload", "client", "--streams", "100", "--h2", &url];
        let report = json(&args);
        let all = report["findings"].as_array().unwrap();
        let streams = all.iter().find(|finding| finding["rule"] == "http2/streams").unwrap();
        let [client, peer] = [&streams["fix"][0], &streams["fix"][1]];
        for action in [client, peer] {
            assert_eq!(action["prove"], format!("tunecheck probe h2 {url}"), "{action:#}");
        }
        assert_eq!(peer["who"], "whoever runs the peer", "{peer:#}");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&streams["says"]), text(&client["lines"][0]), report)
    };
    let (says, change, report) = found(64);
    assert!(says.contains("takes 64 requests at a time") && says.ends_with("would have to be 1,563."), "{says}");
    assert!(
        change.starts_with("with its limit as it is, open 1,563 connections instead.")
            && change.contains("HttpProtocol.H2"),
        "{change}"
    );
    let (says, change, _) = found(0);
    assert!(says.contains("takes no request at all, for now (MAX_CONCURRENT_STREAMS is 0)"), "{says}");
    assert!(
        change.starts_with("with its limit as it is, open no more connections, none would carry a request:"),
        "{change}"
    );

    let path = scratch("peer-report").join("report.json");
    std::fs::write(&path, report.to_string()).unwrap();
    let fix = run(["fix", "--from", path.to_str().unwrap(), "--to", "plan"]);
    let words = fix.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("open 1,563 connections instead.") && words.contains("tunecheck probe h2 URL"), "{words}");
}

#[test]
fn notes_say_who_was_asked_and_whom_nobody_proves() {
    let url = format!("http://{}", sends(settings(&[(3, 100)])));
    let notes = |role: &str, url: &str| {
        let args = ["--snapshot", "fixtures/hosts/debian-6.12", "--workload", role];
        let report = json(&[&args[..], &["--h2", url]].concat());
        let fix = run([&["fix"], &args[..], &["--h2", url]].concat());
        let notes: Vec<String> =
            report["notes"].as_array().unwrap().iter().map(|note| note.as_str().unwrap().into()).collect();
        (notes.join("\n"), fix.stderr)
    };
    for told in <[String; 2]>::from(notes("client", &url)) {
        assert!(told.contains(&format!("Nobody proves that {url} is who answered")), "{told}");
    }
    for told in <[String; 2]>::from(notes("client", "http://127.0.0.1:1")) {
        assert!(!told.contains("Nobody proves"), "nobody answered: {told}");
    }
    for told in <[String; 2]>::from(notes("server", &url)) {
        assert!(told.contains(&format!("{url} was not asked: a server opens no connection")), "{told}");
    }
}

#[test]
fn a_plan_puts_no_more_on_a_connection_than_the_peer_takes() {
    let url = |all: &[(u16, u32)]| format!("http://{}", sends(settings(all)));
    let told = std::cell::RefCell::new(String::new());
    let planned = |more: &[&str]| {
        let run = run(["plan", "--role", "client", "--concurrency", "10000", "--format", "json"].iter().chain(more));
        assert!(run.code == Some(0) && run.stderr.contains("at a time on one connection"), "{}", run.stderr);
        let plan: Value = serde_json::from_str(&run.stdout).unwrap();
        told.replace(run.stderr);
        ["streams", "connections"].map(|key| plan[key].as_u64().unwrap())
    };
    let (limited, unlimited) = (url(&[(3, 64)]), url(&[]));
    assert_eq!(planned(&["--h2", &limited]), [64, 157]);
    assert_eq!(planned(&["--h2", &limited, "--streams", "10"]), [10, 1000]);
    assert_eq!(planned(&["--h2", &limited, "--streams", "1000"]), [64, 157]);
    assert!(told.borrow().contains("64 are planned instead of 1,000"), "{told:?}");
    assert_eq!(planned(&["--h2", &unlimited, "--streams", "1000"]), [1000, 10]);
    assert_eq!(planned(&["--h2", &unlimited]), [100, 100], "the usual number");
    assert!(told.borrow().contains("any number of requests at a time on one connection; 100 are planned"), "{told:?}");
    assert_eq!(planned(&["--h2", &url(&[(3, u32::MAX)])]), [100, 100], "more than a workload file takes");
    assert!(told.borrow().contains("takes 4,294,967,295 requests at a time on one connection; 100 are"), "{told:?}");
    let both = ["--connect", limited.trim_start_matches("http://"), "--connect", "127.0.0.1:1"];
    assert_eq!(planned(&[&["--h2", "http://peer.test"], &both[..]].concat()), [64, 157]);
    assert!(told.borrow().contains("64 are planned; no answer from 127.0.0.1:1 (nothing listens there)"), "{told:?}");
    let refused = |more: &[&str], why: &str| {
        let run = run(["plan", "--concurrency", "10000"].iter().chain(more));
        assert!(run.code == Some(2) && run.stdout.is_empty() && run.stderr.contains(why), "{why}: {}", run.stderr);
    };
    refused(&["--role", "client", "--h2", &url(&[(3, 0)])], "takes no request at all");
    refused(&["--role", "client", "--h2", "http://127.0.0.1:1"], "nothing listens there");
    refused(&["--role", "client", "--protocol", "h1", "--h2", &limited], "say --protocol h2");
    refused(&["--role", "server", "--h2", &limited], "say --role client or gateway");
}

#[test]
fn a_limit_that_is_lowered_after_the_probe_has_gone_is_not_told_as_lowered() {
    let late = server(|mut stream| {
        let _ = stream.write_all(&settings(&[(3, 100)]));
        thread::sleep(Duration::from_millis(1500));
        let _ = stream.write_all(&settings(&[(3, 1)]));
        drain(&mut stream);
    });
    let told = probe(&format!("http://{late}"), &[]).stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("100 requests at a time on one connection") && !told.contains("lowered"), "{told}");
}
