//! Chance, from the operating system's generator by way of the cryptography library.

/// So many random bytes.
///
/// Without randomness nothing here is safe, so the process ends where there is none.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    match aws_lc_rs::rand::fill(&mut bytes) {
        Ok(()) => bytes,
        Err(_) => std::process::abort(),
    }
}
