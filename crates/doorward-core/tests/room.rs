//! How much memory the set of revocations takes. Alone in its process, whose memory is measured.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::time::Duration;

use doorward_core::revocation::RevocationSet;
use doorward_core::{SessionId, Timestamp};

const ENTRIES: i64 = 320_000;

/// The memory of this process, in bytes.
fn resident() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<i64>().unwrap() * 1_024
}

/// Ends a session a millisecond, from this one on. Ids are like real ones: the time, then chance.
fn end(set: &RevocationSet, from: i64) {
    for number in from..from + ENTRIES {
        let chance = number.unsigned_abs().wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
        let mut random = [0; 10];
        random[..8].copy_from_slice(&chance);
        let at = Timestamp::from_micros(number * 1_000);
        set.end_session(SessionId::new(at, random), at + Duration::from_secs(1));
    }
}

#[test]
fn a_set_takes_at_most_32_bytes_an_entry_and_what_expired_makes_room() {
    let set = RevocationSet::new(1_280_000);
    let before = resident();
    end(&set, 0);
    let an_entry = (resident() - before) / ENTRIES;
    assert!((20..=32).contains(&an_entry), "{an_entry} bytes");
    set.sweep(Timestamp::from_micros((ENTRIES + 1_000) * 1_000));
    assert!(set.is_empty());
    end(&set, ENTRIES);
    let an_entry = (resident() - before) / ENTRIES;
    assert!(an_entry <= 36, "{an_entry} bytes");
    assert_eq!(set.len(), usize::try_from(ENTRIES).unwrap());
    assert!(set.is_whole());
}
