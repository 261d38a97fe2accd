//! Texts that people read, by their codes, in the form of Project Fluent. `en.ftl` beside this file has what may be
//! wrong with a request; each feature has the texts of its pages. Programs always get English.

use std::borrow::Cow;
use std::sync::LazyLock;

use doorward_core::message::{Message, Parameter};
use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};

/// What may be wrong with a request.
pub(crate) const PROBLEMS: &str = include_str!("texts/en.ftl");

static ENGLISH: LazyLock<Texts> = LazyLock::new(|| Texts::new(&Language::english([PROBLEMS.into()])));

/// A message in English, as answers to programs and the command line have it.
pub fn english(message: &Message) -> Cow<'static, str> {
    ENGLISH.say(message)
}

/// A language and its files of texts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Language {
    /// Its tag (BCP 47).
    pub(crate) tag: Cow<'static, str>,
    /// The contents of the files.
    pub(crate) files: Vec<Cow<'static, str>>,
}

impl Language {
    /// English, as these files have it.
    pub(crate) fn english(files: impl Into<Vec<Cow<'static, str>>>) -> Self {
        Self { tag: "en".into(), files: files.into() }
    }
}

/// How a text is written into a page.
type Escape = fn(&str) -> Cow<'_, str>;

/// The texts of one language.
pub(crate) struct Texts {
    bundle: FluentBundle<FluentResource>,
    escape: Option<Escape>,
}

impl Texts {
    /// The texts of this language.
    pub(crate) fn new(language: &Language) -> Self {
        let mut bundle = FluentBundle::new_concurrent(language.tag.parse().into_iter().collect());
        // No direction marks around parameters: they change what is copied, and no language here is written to the
        // left.
        bundle.set_use_isolating(false);
        for file in &language.files {
            let file = FluentResource::try_new(file.to_string()).unwrap_or_else(|(file, errors)| {
                tracing::error!(?errors, "a file of texts is broken");
                file
            });
            if let Err(errors) = bundle.add_resource(file) {
                tracing::error!(?errors, "a text stands in two files");
            }
        }
        Self { bundle, escape: None }
    }

    /// The same for pages: each text is written by this function.
    pub(crate) fn written_by(mut self, escape: Escape) -> Self {
        self.bundle.set_transform(Some(escape));
        self.escape = Some(escape);
        self
    }

    /// The text of a code, or of its attribute as in `users-new.button`. Parameters are inserted unchanged. `None` if
    /// the code is unknown, or a parameter is missing.
    pub(crate) fn find(&self, code: &str, parameters: &FluentArgs<'_>) -> Option<Cow<'_, str>> {
        let (code, attribute) = code.split_once('.').map_or((code, None), |(code, name)| (code, Some(name)));
        let text = self.bundle.get_message(code)?;
        let pattern = match attribute {
            Some(name) => text.get_attribute(name)?.value(),
            None => text.value()?,
        };
        let mut errors = Vec::new();
        let text = self.bundle.format_pattern(pattern, Some(parameters), &mut errors);
        errors.is_empty().then_some(text)
    }

    /// The text of a message; if there is none, its code.
    pub(crate) fn say(&self, message: &Message) -> Cow<'_, str> {
        let parameters = message.parameters().map(|(name, value)| match value {
            Parameter::Number(number) => (name, FluentValue::from(*number)),
            Parameter::Text(text) => {
                let text = self.escape.map_or(Cow::Borrowed(text.as_str()), |escape| escape(text));
                (name, FluentValue::from(text))
            }
        });
        let parameters = parameters.collect();
        self.find(message.code(), &parameters).unwrap_or_else(|| {
            tracing::error!(%message, "a text is missing");
            message.to_string().into()
        })
    }
}

#[cfg(test)]
mod tests;
