use std::fmt;
use std::sync::Arc;

/// What failed inside, and why: for the log alone, which the answer layer writes with the id of the request. It is no
/// part of the answer, so all causes are equal.
#[derive(Debug, Clone, Default)]
pub struct Cause(Option<Arc<Failure>>);

#[derive(Debug)]
struct Failure {
    what: &'static str,
    which: &'static str,
    why: String,
}

impl Cause {
    /// What failed, and in which part. Both are texts of this program; each pair has one line of the log a minute.
    pub(crate) fn new(what: &'static str, which: &'static str, why: impl fmt::Display) -> Self {
        Self(Some(Arc::new(Failure { what, which, why: why.to_string() })))
    }

    /// What failed, in which part, and why if that is known.
    pub(crate) fn parts(&self) -> Option<(&'static str, &'static str, &str)> {
        self.0.as_ref().map(|failure| (failure.what, failure.which, failure.why.as_str()))
    }
}

impl PartialEq for Cause {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Cause {}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = self.parts().into_iter().flat_map(|(what, which, why)| [what, which, why]);
        f.write_str(&said.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": "))
    }
}
