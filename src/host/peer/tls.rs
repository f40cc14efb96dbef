//! TLS: whom to trust, what a handshake came to, and what each of its failures means.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientSessionStore, Resumption as Store, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, NamedGroup,
    OtherError, RootCertStore, SignatureScheme,
};

use crate::model::peer::{Origin, Resumption, Tls, Trust};

/// What every connection to an origin shares; none for cleartext.
///
/// # Errors
/// Why the user's certificates cannot be used.
pub(super) fn config(
    origin: &Origin,
    pem: Option<&[u8]>,
    verify: bool,
) -> Result<(Option<ClientConfig>, Trust), String> {
    if !origin.tls {
        return Ok((None, Trust::Cleartext));
    }
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let (mut config, trust) = if verify {
        let (roots, trust) = roots(pem)?;
        (builder.with_root_certificates(roots).with_no_client_auth(), trust)
    } else {
        let any = Arc::new(Anybody(provider.signature_verification_algorithms));
        (builder.dangerous().with_custom_certificate_verifier(any).with_no_client_auth(), Trust::Nothing)
    };
    // HTTP/1.1 as well: a server that has only that then says so, in place of ending the handshake.
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok((Some(config), trust))
}

/// The machine's roots, or those that tunecheck carries where it has none, and the user's.
fn roots(pem: Option<&[u8]>) -> Result<(RootCertStore, Trust), String> {
    let mut store = RootCertStore::empty();
    let mut own = 0;
    if let Some(pem) = pem {
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| format!("no certificates in PEM: {error}"))?;
            store.add(certificate).map_err(|error| format!("a certificate in it cannot be used: {error}"))?;
            own += 1;
        }
        if own == 0 {
            return Err("it holds no certificate in PEM".to_owned());
        }
    }
    let (system, _) = store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if system > 0 {
        return Ok((store, Trust::System(system, own)));
    }
    store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    Ok((store, Trust::BuiltIn(own)))
}

/// Takes any certificate: the user said so.
#[derive(Debug)]
struct Anybody(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

/// Sees that a session of TLS 1.2 could be resumed, and keeps nothing.
#[derive(Debug, Default)]
pub(super) struct Sessions(AtomicBool);

impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _: ServerName<'static>, _: Tls13ClientSessionValue) {}

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        None
    }
}

/// A new session with an origin, not begun.
///
/// # Errors
/// The name of the origin can be in no certificate.
pub(super) fn session(config: &ClientConfig, host: &str) -> Result<(ClientConnection, Arc<Sessions>), String> {
    let sessions = Arc::new(Sessions::default());
    let mut config = config.clone();
    config.resumption = Store::store(Arc::<Sessions>::clone(&sessions));
    let name = ServerName::try_from(host.trim_end_matches('.').to_owned())
        .map_err(|_| format!("{host} can be in no certificate"))?;
    let session = ClientConnection::new(Arc::new(config), name).map_err(|error| error.to_string())?;
    Ok((session, sessions))
}

/// What a handshake came to, as far as was listened.
pub(super) fn outcome(session: &ClientConnection, sessions: &Sessions) -> Tls {
    let resumption = match session.tls13_tickets_received() {
        0 if sessions.0.load(Ordering::Relaxed) => Resumption::Session,
        0 => Resumption::NotSeen,
        tickets => Resumption::Tickets(tickets),
    };
    let version = session.protocol_version().and_then(|version| version.as_str());
    let cipher = session.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
    Tls {
        version: version.unwrap_or("unknown").replace('_', "."),
        // IANA names the suites of TLS 1.3 without their version.
        cipher: cipher.unwrap_or("unknown").replacen("TLS13_", "TLS_", 1),
        alpn: session.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned()),
        resumption,
    }
}

/// Takes any bytes as the answer of a server. The handshake of a client without its random numbers is always another one,
/// so no answer goes beyond what can be said without its keys.
#[cfg(fuzzing)]
pub(super) fn any(mut bytes: &[u8]) {
    let origin = Origin { host: "api.example".to_owned(), port: 443, tls: true };
    let Ok((Some(config), _)) = config(&origin, None, false) else { return };
    let Ok((mut session, sessions)) = session(&config, &origin.host) else { return };
    while !bytes.is_empty() && session.read_tls(&mut bytes).is_ok_and(|count| count > 0) {
        if let Err(error) = session.process_new_packets() {
            explained(&error, &origin);
            break;
        }
    }
    outcome(&session, &sessions);
}

const INSECURE: &str = "or ask it all the same: --insecure";

/// What a failure means, and what to try next.
pub(super) fn explained(error: &Error, origin: &Origin) -> (String, String) {
    let cleartext = || format!("try http://{}:{}, if it serves HTTP/2 in cleartext", origin.host, origin.port);
    match error {
        Error::InvalidCertificate(wrong) => certificate(wrong),
        Error::InvalidMessage(_) => ("it does not speak TLS".to_owned(), cleartext()),
        Error::AlertReceived(AlertDescription::NoApplicationProtocol) => (
            "it takes neither h2 nor http/1.1 by ALPN".to_owned(),
            "ask another port, or switch HTTP/2 on there".to_owned(),
        ),
        Error::AlertReceived(AlertDescription::CertificateRequired | AlertDescription::BadCertificate) => (
            "it asks for a certificate of the client, which is not presented".to_owned(),
            "ask a listener without mutual TLS, or from a place where a proxy adds it".to_owned(),
        ),
        Error::AlertReceived(AlertDescription::UnrecognisedName) => (
            format!("it does not serve the name {}", origin.host),
            "ask by a name that it serves, and by this address: --connect ADDRESS".to_owned(),
        ),
        Error::AlertReceived(AlertDescription::ProtocolVersion) => {
            ("it speaks neither TLS 1.3 nor TLS 1.2".to_owned(), "switch TLS 1.2 on there: HTTP/2 needs it".to_owned())
        }
        Error::AlertReceived(alert) => {
            (format!("it ended the handshake with the alert {alert:?}"), "look into its log".to_owned())
        }
        Error::PeerIncompatible(why) => (format!("it offers nothing that both sides know: {why:?}"), String::new()),
        other => (format!("its handshake is broken: {other}"), cleartext()),
    }
}

fn certificate(wrong: &CertificateError) -> (String, String) {
    use CertificateError as E;
    match wrong {
        E::Expired => ("its certificate has expired".to_owned(), format!("renew it, {INSECURE}")),
        E::ExpiredContext { not_after, .. } => {
            (format!("its certificate expired at {}", date(*not_after)), format!("renew it, {INSECURE}"))
        }
        E::NotValidYet => {
            ("its certificate is not valid yet".to_owned(), format!("compare the clocks of both sides, {INSECURE}"))
        }
        E::NotValidYetContext { not_before, .. } => (
            format!("its certificate is not valid before {}", date(*not_before)),
            format!("compare the clocks of both sides, {INSECURE}"),
        ),
        E::NotValidForName => ("its certificate is for another name".to_owned(), by_its_name()),
        E::NotValidForNameContext { expected, presented } => {
            let names: Vec<String> =
                presented.iter().take(8).map(|name| bare(name).chars().take(100).collect()).collect();
            let names = if names.is_empty() { "no name at all".to_owned() } else { names.join(", ") };
            (format!("its certificate is for {names}, not for {}", expected.to_str()), by_its_name())
        }
        E::UnknownIssuer => (
            "its certificate is signed by nobody that is trusted here".to_owned(),
            format!("name the root that signed it: --cacert FILE, {INSECURE}"),
        ),
        E::Other(OtherError(error)) if error.to_string() == "CaUsedAsEndEntity" => (
            "it presents the certificate of an authority, signed by itself, as its own".to_owned(),
            format!("give it one that is signed by that authority, {INSECURE}"),
        ),
        other => {
            (format!("its certificate is not valid: {other}"), format!("look at it with openssl s_client, {INSECURE}"))
        }
    }
}

/// `DnsName("a.example")` of webpki as the name alone.
fn bare(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.map_or(name, |inner| inner.trim_matches('"'))
}

fn by_its_name() -> String {
    format!("ask by a name that it is for, at this address: --connect ADDRESS, {INSECURE}")
}

fn date(time: UnixTime) -> String {
    let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(time.as_secs()));
    time.map_or_else(|| "an unknown date".to_owned(), |time| humantime::format_rfc3339_seconds(time).to_string())
}
