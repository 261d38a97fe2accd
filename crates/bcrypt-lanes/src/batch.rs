use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::state::{self, Lane};
use crate::{Digest, Error};

/// How many passwords a [`Batch`] hashes at once, at most.
pub const MOST_LANES: usize = 4;

/// A password to be hashed. It is wiped when this is dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Job {
    key: [u32; 18],
    salt: [u32; 4],
    rounds: u32,
}

impl Job {
    /// A password, its salt, and the cost: the binary logarithm of the number of rounds.
    ///
    /// As in every bcrypt, the first 72 bytes count. A NUL is a byte like others.
    ///
    /// # Errors
    /// [`Error::Cost`] for one outside of 4 to 31.
    pub fn new(password: &[u8], salt: [u8; 16], cost: u32) -> Result<Self, Error> {
        if !(4..=31).contains(&cost) {
            return Err(Error::Cost(cost));
        }
        // The password ends with a NUL and is repeated until 72 bytes are full.
        let mut bytes = password.iter().chain(&[0]).take(72).copied().cycle();
        let mut job = Self { key: [0; 18], salt: [0; 4], rounds: 1 << cost };
        job.key.fill_with(|| bytes.by_ref().take(4).fold(0, |word, byte| word << 8 | u32::from(byte)));
        for (word, four) in job.salt.iter_mut().zip(salt.chunks_exact(4)) {
            *word = four.iter().fold(0, |word, byte| word << 8 | u32::from(*byte));
        }
        Ok(job)
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("rounds", &self.rounds).finish_non_exhaustive()
    }
}

/// Up to [`MOST_LANES`] jobs that are hashed side by side. Each has a tag, by which the caller knows it.
///
/// ```
/// use bcrypt_lanes::{Batch, Job, digest};
///
/// let mut batch = Batch::new();
/// batch.add(Job::new(b"correct horse", [7; 16], 4)?, "a").ok();
/// batch.add(Job::new(b"battery staple", [8; 16], 5)?, "b").ok();
/// while !batch.is_empty() {
///     match batch.turn() {
///         Some(("a", found)) => assert_eq!(found, digest(b"correct horse", [7; 16], 4)?),
///         Some((_, found)) => assert_eq!(found, digest(b"battery staple", [8; 16], 5)?),
///         None => {}
///     }
/// }
/// # Ok::<(), bcrypt_lanes::Error>(())
/// ```
pub struct Batch<T> {
    /// The first ones are in use.
    lanes: Box<[Lane; MOST_LANES]>,
    tags: Vec<T>,
}

impl<T> Batch<T> {
    /// Without jobs.
    pub fn new() -> Self {
        let lanes = Box::new([const { Lane::EMPTY }; MOST_LANES]);
        Self { lanes, tags: Vec::with_capacity(MOST_LANES) }
    }

    /// How many jobs are under way.
    pub fn len(&self) -> usize {
        self.tags.len()
    }

    /// Whether no job is under way.
    pub fn is_empty(&self) -> bool {
        self.tags.is_empty()
    }

    /// Adds a job, which begins with the next turn.
    ///
    /// # Errors
    /// Gives it back if the batch has [`MOST_LANES`] jobs.
    pub fn add(&mut self, job: Job, tag: T) -> Result<(), (Job, T)> {
        let Some(lane) = self.lanes.get_mut(self.tags.len()) else { return Err((job, tag)) };
        lane.begin(&job.key, job.salt, job.rounds);
        self.tags.push(tag);
        Ok(())
    }

    /// Runs one round of each job: some 0.05 ms, whatever the cost. Returns a job that is done, with its digest, instead
    /// if there is one.
    pub fn turn(&mut self) -> Option<(T, Digest)> {
        let used = self.lanes.get_mut(..self.tags.len()).unwrap_or_default();
        if let Some(done) = used.iter().position(|lane| lane.left == 0) {
            return self.take(done);
        }
        state::round_of_each(used);
        None
    }

    #[cfg(test)]
    pub(crate) fn lanes(&self) -> &[Lane] {
        &*self.lanes
    }

    fn take(&mut self, done: usize) -> Option<(T, Digest)> {
        let (tag, last) = (self.tags.swap_remove(done), self.tags.len());
        self.lanes.swap(done, last);
        let lane = self.lanes.get_mut(last)?;
        let digest = lane.digest();
        lane.zeroize();
        Some((tag, digest))
    }
}

impl<T> Default for Batch<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for Batch<T> {
    fn drop(&mut self) {
        self.lanes.zeroize();
    }
}

impl<T> fmt::Debug for Batch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("len", &self.len()).finish_non_exhaustive()
    }
}
