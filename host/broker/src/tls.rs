//! TLS: one provider, the system's authorities or the configured ones, no way to switch checking off.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// The file of authorities has no certificate that can be read.
    #[error("it has no certificate in PEM form")]
    NoCertificate,
    /// The system has no authorities.
    #[error(
        "the system has no certificates of authorities: install ca-certificates, or write ca: FILE below the grant"
    )]
    NoAuthorities,
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

/// A client's configuration that trusts these authorities, or the system's where none are given.
pub(crate) fn client(authorities: Option<&[u8]>, check: Check) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = Arc::new(roots(authorities)?);
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let full =
        WebPkiServerVerifier::builder_with_provider(roots, provider).build().map_err(|_| TlsError::NoAuthorities)?;
    Ok(match check {
        Check::Full => builder.with_webpki_verifier(full).with_no_client_auth(),
        Check::Authority => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyName(full))).with_no_client_auth()
        }
    })
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
        let found = current.downcast_ref::<Error>().or_else(|| {
            let io = current.downcast_ref::<std::io::Error>()?;
            io.get_ref()?.downcast_ref::<Error>()
        });
        if let Some(error) = found {
            return Some(match error {
                Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
                    "the server's certificate comes from an authority that is not trusted: write ca: FILE below the grant, with the certificate of that authority"
                        .into()
                }
                Error::InvalidCertificate(
                    CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
                ) => "the server's certificate is for another name".into(),
                Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
                    "the server's certificate has expired".into()
                }
                other => format!("TLS failed: {other}"),
            });
        }
        next = current.source();
    }
    None
}
