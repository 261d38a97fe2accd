//! The text of a hash: `$2b$`, the cost in two digits, `$`, 22 characters of salt and 31 of digest.

use crate::{Digest, Error};

const ALPHABET: &[u8; 64] = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// What the text of a hash says.
pub(crate) struct Parts {
    pub(crate) cost: u32,
    pub(crate) salt: [u8; 16],
    pub(crate) digest: Digest,
}

impl Parts {
    pub(crate) fn read(text: &str) -> Result<Self, Error> {
        let text: &[u8; 60] = text.as_bytes().try_into().map_err(|_| Error::Malformed)?;
        let [b'$', b'2', version, b'$', tens @ b'0'..=b'9', ones @ b'0'..=b'9', b'$', rest @ ..] = text
        else {
            return Err(Error::Malformed);
        };
        match version {
            b'a' | b'b' | b'y' => {}
            b'x' => return Err(Error::Version2x),
            _ => return Err(Error::Malformed),
        }
        let cost = u32::from(tens - b'0') * 10 + u32::from(ones - b'0');
        let (salt, digest) = rest.split_at(22);
        Ok(Self { cost, salt: decode(salt)?, digest: decode(digest)? })
    }

    pub(crate) fn write(&self) -> String {
        let mut text = format!("$2b${:02}$", self.cost);
        encode(&self.salt, &mut text);
        encode(&self.digest, &mut text);
        text
    }
}

fn encode(bytes: &[u8], text: &mut String) {
    let (mut bits, mut count) = (0_u32, 0);
    for byte in bytes.iter().chain(&[0]).take(bytes.len() + 1) {
        bits = bits << 8 | u32::from(*byte);
        count += 8;
        while count >= 6 {
            count -= 6;
            let six = ALPHABET.get((bits >> count & 63) as usize);
            text.extend(six.map(|character| char::from(*character)));
        }
    }
    // The byte added above gave one or two characters of nothing but zeros too many.
    text.truncate(text.len() - ((bytes.len() + 1) * 8 / 6 - (bytes.len() * 8).div_ceil(6)));
}

/// Exactly so many bytes. What their last character has beyond them must be zero.
fn decode<const N: usize>(text: &[u8]) -> Result<[u8; N], Error> {
    let (mut bits, mut count, mut bytes) = (0_u32, 0, [0; N]);
    let mut room = bytes.iter_mut();
    for character in text {
        let six = ALPHABET.iter().position(|one| one == character).ok_or(Error::Malformed)?;
        bits = bits << 6 | u32::try_from(six).map_err(|_| Error::Malformed)?;
        count += 6;
        if count >= 8 {
            count -= 8;
            let [.., byte] = (bits >> count).to_be_bytes();
            *room.next().ok_or(Error::Malformed)? = byte;
        }
    }
    if room.next().is_some() || bits & ((1 << count) - 1) != 0 {
        return Err(Error::Malformed);
    }
    Ok(bytes)
}
