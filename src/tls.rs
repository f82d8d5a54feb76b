//! The one choice of a TLS provider for the whole process.

/// Makes ring the provider. Every HTTP client is built behind this call, because the client
/// panics without a provider; a second call changes nothing.
pub fn install_provider() {
    // The only error is that a provider is installed already: by an earlier call.
    drop(rustls::crypto::ring::default_provider().install_default());
}
