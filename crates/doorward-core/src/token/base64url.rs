//! base64url without padding (RFC 7515 section 2), in its one canonical spelling: no `=`, no white space, no foreign
//! letters, no bits set past the end. Otherwise one token would have many spellings (attack J11).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The text of `bytes`.
pub(super) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Appends the text of `bytes` to `text`.
pub(super) fn append(text: &mut Vec<u8>, bytes: &[u8]) {
    let start = text.len();
    text.resize(start + (bytes.len() * 4).div_ceil(3), 0);
    encode_into(bytes, text.get_mut(start..).unwrap_or_default());
}

/// The bytes that `text` spells.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// The bytes that `text` spells, at the start of `buffer`; `None` also if they don't fit.
pub(super) fn decode_into<'b>(text: &str, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    let len = URL_SAFE_NO_PAD.decode_slice(text, buffer).ok()?;
    buffer.get(..len)
}

/// The bytes that `text` spells: in `small` if they surely fit, otherwise in `large`.
pub(super) fn decode_borrowed<'b>(
    text: &str,
    small: &'b mut [u8],
    large: &'b mut Vec<u8>,
) -> Option<&'b [u8]> {
    if text.len() / 4 * 3 + 2 <= small.len() {
        return decode_into(text, small);
    }
    *large = decode(text)?;
    Some(large)
}

/// The text of `bytes`, at the start of `buffer`; empty if it doesn't fit.
pub(super) fn encode_into<'b>(bytes: &[u8], buffer: &'b mut [u8]) -> &'b str {
    let len = URL_SAFE_NO_PAD.encode_slice(bytes, buffer).unwrap_or(0);
    buffer.get(..len).and_then(|text| str::from_utf8(text).ok()).unwrap_or_default()
}
