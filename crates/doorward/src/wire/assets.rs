//! What pages load, and the version in its URLs.

use std::fmt::Write;
use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};

/// The style of all pages.
pub(crate) const STYLE: &str = include_str!("style.css");
/// The script of pages with forms, which all work without it.
pub(crate) const SCRIPT: &str = include_str!("forms.js");
/// The icon in a browser's tab.
pub(crate) const FAVICON: &str = include_str!("favicon.svg");

/// Changes with the files, so that browsers may keep them for good.
pub(crate) fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let hash = digest(&SHA256, [STYLE, SCRIPT, FAVICON].concat().as_bytes());
        hash.as_ref().iter().take(6).fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    });
    &VERSION
}
