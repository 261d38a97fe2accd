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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    #[test]
    fn k09_a_million_secrets_are_all_different_and_half_of_their_bits_are_set() {
        let secrets: HashSet<[u8; 32]> = std::iter::repeat_with(super::bytes).take(1_000_000).collect();
        assert_eq!(secrets.len(), 1_000_000);
        // The monobit test (NIST SP 800-22 section 2.1), for all bits and for each alone: six standard deviations, which
        // chance exceeds once in 500 million times.
        let mut set = [0_u64; 256];
        for secret in &secrets {
            for (at, ones) in set.iter_mut().enumerate() {
                *ones += u64::from(secret[at / 8] >> (at % 8) & 1);
            }
        }
        for (at, ones) in set.iter().enumerate() {
            assert!(ones.abs_diff(500_000) < 3_000, "bit {at}: {ones} of 1000000");
        }
        let all: u64 = set.iter().sum();
        assert!(all.abs_diff(128_000_000) < 48_000, "{all} of 256000000");
    }
}
