//! SSL_GET's handshake. A server's certificate is checked only where `SSL` names an authority, and
//! its name only where the check asks for one.

use std::sync::Arc;

use config::model::{Connect, TlsFiles};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{VerifierBuilderError, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::Failure;

/// Why the files of `SSL` cannot be used.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read, or holds nothing of its kind.
    #[error("SSL: {file}: {why}\nhint: certificates and keys are read in PEM format")]
    File {
        /// The file.
        file: String,
        /// Why.
        why: String,
    },
    /// Keys with a password.
    #[error(
        "SSL: a key with a password cannot be used\nhint: take the password off: `openssl pkey -in KEY -out NEW'"
    )]
    Password,
    /// The files do not fit together.
    #[error("SSL: {0}")]
    Tls(#[from] Error),
    /// The authority cannot be used.
    #[error("SSL: ca: {0}")]
    Authority(#[from] VerifierBuilderError),
}

pub(crate) fn connector(files: &TlsFiles) -> Result<TlsConnector, TlsError> {
    if files.password.is_some() {
        return Err(TlsError::Password);
    }
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?;
    let authority = files.authority.as_deref();
    let verifier = Verifier {
        authority: authority
            .map(|file| authority_of(file, &provider))
            .transpose()?,
        provider,
    };
    let builder = builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let config = match (&files.certificate, &files.key) {
        (Some(certificate), Some(key)) => {
            let file = key.clone();
            let key = PrivateKeyDer::from_pem_file(key).map_err(|error| TlsError::File {
                file,
                why: error.to_string(),
            })?;
            builder.with_client_auth_cert(certificates(certificate)?, key)?
        }
        _ => builder.with_no_client_auth(),
    };
    Ok(Arc::new(config).into())
}

/// What the certificates of a file's authorities are checked by.
fn authority_of(
    file: &str,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate)?;
    }
    let roots = Arc::new(roots);
    Ok(WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build()?)
}

fn certificates(file: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let told = |why: String| TlsError::File {
        file: file.to_owned(),
        why,
    };
    CertificateDer::pem_file_iter(file)
        .map_err(|error| told(error.to_string()))?
        .collect::<Result<_, _>>()
        .map_err(|error| told(error.to_string()))
}

/// A TLS connection; without a name none is sent.
pub(crate) async fn handshake(
    connector: &TlsConnector,
    name: Option<&str>,
    connect: &Connect,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, Failure> {
    let name = match name {
        Some(name) => ServerName::try_from(name.to_owned())
            .map_err(|_| Failure::Server(format!("`{name}' is no server's name")))?,
        // An address is never sent as a name (RFC 6066, section 3).
        None => ServerName::IpAddress(connect.address.into()),
    };
    connector
        .connect(name, stream)
        .await
        .map_err(|error| Failure::Server(format!("TLS: {error}")))
}

/// Takes every certificate, or those of an authority's.
#[derive(Debug)]
struct Verifier {
    authority: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(authority) = &self.authority else {
            return Ok(ServerCertVerified::assertion());
        };
        let is_asked_for_by_name = matches!(name, ServerName::DnsName(_));
        match authority.verify_server_cert(end_entity, intermediates, name, ocsp_response, now) {
            // The name comes last, after the chain up to the authority.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !is_asked_for_by_name => Ok(ServerCertVerified::assertion()),
            judged => judged,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
