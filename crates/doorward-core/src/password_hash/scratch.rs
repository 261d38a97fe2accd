use std::fmt;

use argon2::{Argon2, Block, Params};

use super::HashError;
use super::stored::Argon2Hash;

/// How much memory a thread keeps between hashes: 64 MiB. An imported hash may need more, which is freed afterwards.
const KEPT_BLOCKS: usize = 64 * 1024;

/// The working memory of argon2. A hashing thread keeps it from one hash to the next, since fresh pages cost 5 % of the
/// time. The number of threads bounds the memory (attack P10). Empty until the first argon2.
#[derive(Default)]
pub struct Scratch {
    blocks: Vec<Block>,
}

impl Scratch {
    /// The tag of `password` under the parameters and the salt of `hash`, as long as the tag of `hash`.
    pub(super) fn argon2_tag(&mut self, password: &[u8], hash: &Argon2Hash) -> Result<Vec<u8>, HashError> {
        let mut tag = vec![0; hash.tag.len()];
        let params = Params::new(hash.params.m_kib, hash.params.t, hash.params.p, Some(tag.len()))
            .map_err(|_| HashError::Malformed)?;
        let blocks = self.reserve(params.block_count())?;
        // Old contents do no harm: the first pass overwrites every block before it is read.
        let argon2 = Argon2::new(hash.variant, hash.version, params);
        let done = argon2.hash_password_into_with_memory(password, &hash.salt, &mut tag, blocks);
        if self.blocks.len() > KEPT_BLOCKS {
            self.blocks.truncate(KEPT_BLOCKS);
            self.blocks.shrink_to_fit();
        }
        done.map_err(|_| HashError::Malformed).map(|()| tag)
    }

    fn reserve(&mut self, count: usize) -> Result<&mut [Block], HashError> {
        let missing = count.saturating_sub(self.blocks.len());
        self.blocks.try_reserve_exact(missing).map_err(|_| HashError::OutOfMemory)?;
        self.blocks.resize(self.blocks.len() + missing, Block::new());
        self.blocks.get_mut(..count).ok_or(HashError::OutOfMemory)
    }
}

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scratch({} KiB)", self.blocks.len())
    }
}
