//! Reading a URL's query: each name once, in UTF-8.

use std::collections::BTreeMap;

use axum::extract::FromRequestParts;
use doorward_core::message::Message;
use http::request::Parts;

use crate::error::{Error, Result};

/// The query of a URL. Unknown names are ignored.
#[derive(Debug, Default)]
pub(crate) struct Query(BTreeMap<String, String>);

impl Query {
    /// The text of this name; an empty one counts as missing.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// The value of this name.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn parse<T: std::str::FromStr>(
        &self,
        name: &'static str,
        problem: Message,
    ) -> Result<Option<T>> {
        let typed = self.text(name).map(str::trim).filter(|text| !text.is_empty());
        let parsed = typed.map(str::parse).transpose();
        parsed.map_err(|_| Error::field(name, problem))
    }

    /// `limit`: how many rows a page has, 1 to `most`; the default is `usual`.
    ///
    /// # Errors
    /// It is something else.
    pub(crate) fn limit(&self, usual: u32, most: u32) -> Result<u32> {
        let problem = Message::new("limit-range").with("most", u64::from(most));
        let limit = self.parse("limit", problem.clone())?.unwrap_or(usual);
        if (1..=most).contains(&limit) { Ok(limit) } else { Err(Error::field("limit", problem)) }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let mut query = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
            if query.insert(name.into_owned(), value.into_owned()).is_some() {
                return Err(Error::Malformed(Message::new("query-name-twice")));
            }
        }
        Ok(Self(query))
    }
}
