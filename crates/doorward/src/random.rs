//! Random bytes from the operating system's generator, through the cryptography library.

/// This many random bytes.
///
/// Without randomness nothing here is safe, so the process ends if there is none.
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
        // A hundred at a time: the call of the generator is what takes long.
        let drawn = std::iter::repeat_with(super::bytes::<3_200>).take(10_000);
        let secrets: HashSet<[u8; 32]> =
            drawn.flat_map(|bytes| *bytes.as_chunks().0.as_array::<100>().unwrap()).collect();
        assert_eq!(secrets.len(), 1_000_000);
        // The monobit test (NIST SP 800-22 section 2.1) at six standard deviations, which chance exceeds once in 500
        // million times. It covers all bits together, and each of the 256 bits alone in some of the secrets.
        let ones = |secret: &[u8; 32]| secret.iter().map(|byte| u64::from(byte.count_ones())).sum::<u64>();
        let all: u64 = secrets.iter().map(ones).sum();
        assert!(all.abs_diff(128_000_000) < 48_000, "{all} of 256000000");
        for at in 0..256 {
            let set =
                secrets.iter().take(10_000).filter(|secret| secret[at / 8] >> (at % 8) & 1 == 1).count();
            assert!(set.abs_diff(5_000) < 300, "bit {at}: {set} of 10000");
        }
    }
}
