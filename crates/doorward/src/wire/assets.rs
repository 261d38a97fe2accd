//! What pages load: files in the program, and the version in their URLs.

use std::borrow::Cow;
use std::fmt::Write;

use aws_lc_rs::digest::{Context, SHA256};

/// A file that pages load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asset {
    /// The path, below the base path.
    pub(crate) path: &'static str,
    /// Its type.
    pub(crate) media: &'static str,
    /// What it is, in a few words.
    pub(crate) about: &'static str,
    /// What is in it.
    pub(crate) body: Content,
}

/// The content of an asset.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Content {
    /// A file of the sources.
    File(&'static str),
    /// Made by the program, always the same.
    #[allow(dead_code, reason = "a feature may have one")]
    Made(fn() -> String),
}

impl Content {
    pub(crate) fn text(self) -> Cow<'static, str> {
        match self {
            Self::File(text) => text.into(),
            Self::Made(make) => make().into(),
        }
    }
}

/// Changes with the files, so that browsers may keep them for good.
pub(crate) fn version(assets: &[Asset]) -> String {
    let mut hash = Context::new(&SHA256);
    assets.iter().for_each(|asset| hash.update(asset.body.text().as_bytes()));
    hash.finish().as_ref().iter().take(6).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
