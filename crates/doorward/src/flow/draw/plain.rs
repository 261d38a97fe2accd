//! Text that can't change what stands around it.

use std::iter;

/// The text in characters that take one column each, in every terminal and font, from left to right. Others become
/// their escape, such as `\u{5d0}`.
pub(super) fn plain(text: &str) -> String {
    text.chars().flat_map(one_column).collect()
}

/// At most so many characters of the plain text.
pub(super) fn clip(text: &str, most: usize) -> String {
    let mut chars = plain(text);
    if let Some((cut, _)) = chars.char_indices().nth(most) {
        let last = chars.char_indices().nth(most.saturating_sub(1)).map_or(0, |(at, _)| at.min(cut));
        chars.truncate(last);
        chars.push('…');
    }
    chars
}

fn one_column(c: char) -> impl Iterator<Item = char> {
    let simple = matches!(c,
        ' '..='~' | '\u{a1}'..='\u{ac}' | '\u{ae}'..='\u{24f}' | 'Α'..='Ρ' | 'Σ'..='ώ' | 'Ѐ'..='\u{481}' | 'Ҋ'..='\u{52f}'
        | '–' | '…' | '→' | '✓' | '✗');
    let (escaped, same) = if simple { (None, Some(c)) } else { (Some(c.escape_unicode()), None) };
    iter::chain(escaped.into_iter().flatten(), same)
}

/// The text in lines of at most so many columns, broken at spaces; a longer word is clipped.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in plain(text).split(' ').filter(|word| !word.is_empty()) {
        let word = clip(word, width);
        match lines.last_mut() {
            Some(line) if columns(line) + 1 + columns(&word) <= width => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

/// How many columns a plain text takes.
pub(super) fn columns(text: &str) -> usize {
    text.chars().count()
}
