//! TLS: one provider, the system's authorities or the configured ones, no way to switch checking off.

use std::sync::Arc;

use raito_core::secret::Secret;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// The file of authorities has no certificate that can be read.
    #[error("ca: it has no certificate in PEM form")]
    NoCertificate,
    /// The system has no authorities.
    #[error(
        "the system has no certificates of authorities: install ca-certificates, or write ca: FILE below the grant"
    )]
    NoAuthorities,
    /// The client's certificate cannot be used.
    #[error("client-certificate: {0}")]
    Identity(String),
    /// rustls refuses the configuration.
    #[error("{0}")]
    Rustls(#[from] Error),
}

/// What of a certificate is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    /// The authority and the host's name.
    Full,
    /// The authority only.
    Authority,
}

/// A certificate by which a server knows the host, with its key.
#[derive(Clone, Copy)]
pub(crate) struct Identity<'i> {
    /// The certificate, and those between it and its authority, in PEM form.
    pub(crate) certificate: &'i [u8],
    /// The private key, in PEM form.
    pub(crate) key: &'i Secret,
}

/// A client's configuration that trusts these authorities, or the system's where none are given. TLS is 1.2 at least.
pub(crate) fn client(
    authorities: Option<&[u8]>,
    identity: Option<Identity<'_>>,
    check: Check,
) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = Arc::new(roots(authorities)?);
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let full =
        WebPkiServerVerifier::builder_with_provider(roots, provider).build().map_err(|_| TlsError::NoAuthorities)?;
    let builder = match check {
        Check::Full => builder.with_webpki_verifier(full),
        Check::Authority => builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyName(full))),
    };
    let Some(identity) = identity else { return Ok(builder.with_no_client_auth()) };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(identity.certificate)
        .collect::<Result<_, _>>()
        .map_err(|_| TlsError::Identity("the file has no certificate in PEM form".into()))?;
    let key = PrivateKeyDer::from_pem_slice(identity.key.expose().as_bytes())
        .map_err(|_| TlsError::Identity("the key is no private key in PEM form".into()))?;
    builder.with_client_auth_cert(chain, key).map_err(|error| TlsError::Identity(error.to_string()))
}

fn roots(authorities: Option<&[u8]>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    match authorities {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                roots.add(certificate.map_err(|_| TlsError::NoCertificate)?)?;
            }
            if roots.is_empty() {
                return Err(TlsError::NoCertificate);
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(TlsError::NoAuthorities);
            }
        }
    }
    Ok(roots)
}

/// Checks everything but the name: what PostgreSQL calls `verify-ca`.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            result => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// What an error in a chain says of TLS, in words that help.
pub(crate) fn explain(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(current) = next {
        if let Some(error) = of_tls(current) {
            return Some(match error {
                Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
                    "the server's certificate comes from an authority that is not trusted: write ca: FILE below the grant, with the certificate of that authority"
                        .into()
                }
                Error::InvalidCertificate(
                    CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
                ) => "the server's certificate is for another name".into(),
                Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
                    "the server's certificate has expired".into()
                }
                Error::AlertReceived(AlertDescription::CertificateRequired) => {
                    "the server wants a certificate of the client: write client-certificate: below the grant".into()
                }
                other => format!("TLS failed: {other}"),
            });
        }
        next = current.source();
    }
    None
}

/// The error of TLS that an error is, or that errors of the system are wrapped around; their `source` leaves it out.
fn of_tls<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e Error> {
    match error.downcast_ref::<std::io::Error>() {
        Some(io) => of_tls(io.get_ref()?),
        None => error.downcast_ref::<Error>(),
    }
}
