//! Blowfish with its expensive key schedule, for several states side by side.
//!
//! Each step of a state needs the one before, so a single state leaves most of the processor waiting for its look-ups.
//! The loops here take the same step of all states before the next one.
#![allow(clippy::indexing_slicing, reason = "indices are bytes, or end with their array")]

use zeroize::Zeroize;

use crate::pi;

/// "OrpheanBeholderScryDoubt", which is encrypted 64 times.
const TEXT: [[u32; 2]; 3] =
    [[0x4f72_7068, 0x6561_6e42], [0x6568_6f6c, 0x6465_7253], [0x6372_7944, 0x6f75_6274]];

/// One hash under way: a Blowfish state, and what it is mixed with.
#[derive(Zeroize)]
pub(crate) struct Lane {
    s: [[u32; 256]; 4],
    p: [u32; 18],
    key: [u32; 18],
    salt: [u32; 4],
    /// How many rounds are left.
    pub(crate) left: u32,
}

impl Lane {
    pub(crate) const EMPTY: Self = Self { s: [[0; 256]; 4], p: [0; 18], key: [0; 18], salt: [0; 4], left: 0 };

    /// Begins a hash of `rounds` rounds.
    pub(crate) fn begin(&mut self, key: &[u32; 18], salt: [u32; 4], rounds: u32) {
        (self.s, self.p, self.key, self.salt, self.left) = (pi::S, pi::P, *key, salt, rounds);
        for (p, word) in self.p.iter_mut().zip(key) {
            *p ^= word;
        }
        let (mut l, mut r) = ([0], [0]);
        for i in 0..9 {
            self.mix_salt(i, &mut l, &mut r);
            (self.p[2 * i], self.p[2 * i + 1]) = (l[0], r[0]);
        }
        for b in 0..4 {
            for i in 0..128 {
                // The salt goes on where it stopped in the middle: after 18 words.
                self.mix_salt(i + 1, &mut l, &mut r);
                (self.s[b][2 * i], self.s[b][2 * i + 1]) = (l[0], r[0]);
            }
        }
    }

    fn mix_salt(&self, i: usize, l: &mut [u32; 1], r: &mut [u32; 1]) {
        let half = 2 * (i % 2);
        l[0] ^= self.salt[half];
        r[0] ^= self.salt[half + 1];
        encrypt(std::array::from_ref(self), l, r);
    }

    /// The digest, once no round is left.
    pub(crate) fn digest(&self) -> [u8; 23] {
        let mut digest = [0; 24];
        for (block, out) in TEXT.iter().zip(digest.chunks_exact_mut(8)) {
            let (mut l, mut r) = ([block[0]], [block[1]]);
            for _ in 0..64 {
                encrypt(std::array::from_ref(self), &mut l, &mut r);
            }
            out[..4].copy_from_slice(&l[0].to_be_bytes());
            out[4..].copy_from_slice(&r[0].to_be_bytes());
        }
        let [digest @ .., _] = digest;
        digest
    }
}

/// One round of each of these lanes, at most four. Not generic, so that it is compiled in this crate, as its profile says.
pub(crate) fn round_of_each(lanes: &mut [Lane]) {
    if let Some(lanes) = lanes.first_chunk_mut::<4>() {
        round(lanes);
    } else if let Some(lanes) = lanes.first_chunk_mut::<3>() {
        round(lanes);
    } else if let Some(lanes) = lanes.first_chunk_mut::<2>() {
        round(lanes);
    } else if let Some(lanes) = lanes.first_chunk_mut::<1>() {
        round(lanes);
    }
}

/// One round of each of these lanes: its state is mixed with the key, and then with the salt.
fn round<const N: usize>(lanes: &mut [Lane; N]) {
    for lane in &mut *lanes {
        for (p, word) in lane.p.iter_mut().zip(&lane.key) {
            *p ^= word;
        }
    }
    expand(lanes);
    for lane in &mut *lanes {
        for (p, word) in lane.p.iter_mut().zip(lane.salt.iter().cycle()) {
            *p ^= word;
        }
    }
    expand(lanes);
    for lane in lanes {
        lane.left -= 1;
    }
}

/// Replaces all words of the states with their own encryption, one block after the other.
#[inline(always)]
fn expand<const N: usize>(lanes: &mut [Lane; N]) {
    let (mut l, mut r) = ([0; N], [0; N]);
    for i in 0..9 {
        encrypt(lanes, &mut l, &mut r);
        for n in 0..N {
            lanes[n].p[2 * i] = l[n];
            lanes[n].p[2 * i + 1] = r[n];
        }
    }
    for b in 0..4 {
        for i in 0..128 {
            encrypt(lanes, &mut l, &mut r);
            for n in 0..N {
                lanes[n].s[b][2 * i] = l[n];
                lanes[n].s[b][2 * i + 1] = r[n];
            }
        }
    }
}

/// Encrypts one block with each state.
#[inline(always)]
fn encrypt<const N: usize>(lanes: &[Lane; N], l: &mut [u32; N], r: &mut [u32; N]) {
    for i in 0..8 {
        for n in 0..N {
            l[n] ^= lanes[n].p[2 * i];
            r[n] ^= look_up(&lanes[n].s, l[n]);
        }
        for n in 0..N {
            r[n] ^= lanes[n].p[2 * i + 1];
            l[n] ^= look_up(&lanes[n].s, r[n]);
        }
    }
    for n in 0..N {
        (l[n], r[n]) = (r[n] ^ lanes[n].p[17], l[n] ^ lanes[n].p[16]);
    }
}

#[inline(always)]
fn look_up(s: &[[u32; 256]; 4], word: u32) -> u32 {
    let [a, b, c, d] = word.to_be_bytes().map(usize::from);
    (s[0][a].wrapping_add(s[1][b]) ^ s[2][c]).wrapping_add(s[3][d])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Batch, Job};

    /// 4 / x^-1 and so on: 16 / 5 - 4 / 239 by Machin's formula, in words of 32 bits with a few more than are needed.
    fn reckon_pi() -> Vec<u32> {
        const WORDS: usize = 1 + 18 + 1024 + 3;
        let divide = |number: &mut [u32], by: u64| {
            let mut rest = 0_u64;
            for word in number {
                let whole = rest << 32 | u64::from(*word);
                (*word, rest) = (u32::try_from(whole / by).unwrap(), whole % by);
            }
        };
        let add = |sum: &mut [u32], number: &[u32], is_less: bool| {
            let mut carry = i64::from(is_less);
            for (word, other) in sum.iter_mut().zip(number).rev() {
                let other = if is_less { !*other } else { *other };
                let whole = i64::from(*word) + i64::from(other) + carry;
                (*word, carry) = (whole as u32, whole >> 32);
            }
        };
        let mut pi = vec![0; WORDS];
        for (numerator, x, is_less) in [(16, 5_u64, false), (4, 239, true)] {
            let mut power = vec![0; WORDS];
            power[0] = numerator;
            divide(&mut power, x);
            for n in 0_u64.. {
                let mut term = power.clone();
                divide(&mut term, 2 * n + 1);
                if term.iter().all(|word| *word == 0) {
                    break;
                }
                add(&mut pi, &term, is_less != (n % 2 == 1));
                divide(&mut power, x * x);
            }
        }
        pi
    }

    #[test]
    fn every_state_begins_with_pi() {
        let pi = reckon_pi();
        assert_eq!(pi[0], 3);
        let table: Vec<u32> = pi::P.iter().chain(pi::S.iter().flatten()).copied().collect();
        assert_eq!(table, pi[1..=table.len()]);
    }

    fn is_wiped(lane: &Lane) -> bool {
        let words = lane.s.iter().flatten().chain(&lane.p).chain(&lane.key).chain(&lane.salt);
        lane.left == 0 && words.copied().all(|word| word == 0)
    }

    #[test]
    fn nothing_is_left_of_a_job_that_is_done() {
        let mut batch = Batch::new();
        for cost in [5, 4] {
            batch.add(Job::new(b"a password", [cost as u8; 16], cost).unwrap(), cost).ok().unwrap();
        }
        let mut order = Vec::new();
        while !batch.is_empty() {
            if let Some((cost, _)) = batch.turn() {
                order.push(cost);
                assert!(batch.lanes()[batch.len()..].iter().all(is_wiped));
                assert!(!batch.lanes()[..batch.len()].iter().any(is_wiped));
            }
        }
        assert_eq!(order, [4, 5]);
    }
}
