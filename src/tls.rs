//! The one choice of a TLS provider and of the roots of trust, for the whole process.

use rustls::ClientConfig;
use rustls_platform_verifier::BuilderVerifierExt as _;

/// Makes ring the provider. Every HTTP client is built behind this call, because the client
/// panics without a provider; a second call changes nothing.
pub fn install_provider() {
    // The only error is that a provider is installed already: by an earlier call.
    drop(rustls::crypto::ring::default_provider().install_default());
}

/// HTTP/1.1 over TLS to servers that the system trusts.
///
/// # Errors
/// When the system's roots of trust cannot be used.
pub fn client_config() -> Result<ClientConfig, rustls::Error> {
    install_provider();
    let mut config = ClientConfig::builder().with_platform_verifier()?.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
