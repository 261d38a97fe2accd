//! Texts that people read, by their codes, in the form of Project Fluent. `en.ftl` beside this file has what may be wrong
//! with a request; each feature has the texts of its pages. A program always reads English.

use std::borrow::Cow;
use std::sync::LazyLock;

use doorward_core::message::{Message, Parameter};
use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};

/// What may be wrong with a request, in English.
pub(crate) const PROBLEMS: &str = include_str!("texts/en.ftl");

static ENGLISH: LazyLock<Texts> = LazyLock::new(|| Texts::new("en", [PROBLEMS]));

/// A message in English, as answers to programs and the command line have it.
pub fn english(message: &Message) -> Cow<'static, str> {
    ENGLISH.say(message)
}

/// The texts of one language.
pub(crate) struct Texts(FluentBundle<FluentResource>);

impl Texts {
    /// The texts of these files.
    pub(crate) fn new(language: &str, files: impl IntoIterator<Item: Into<String>>) -> Self {
        let mut bundle = FluentBundle::new_concurrent(language.parse().into_iter().collect());
        // Marks around parameters would be needed for names in another direction of writing, and are no ASCII.
        bundle.set_use_isolating(false);
        for file in files {
            let file = FluentResource::try_new(file.into()).unwrap_or_else(|(file, errors)| {
                tracing::error!(?errors, language, "a file of texts is broken");
                file
            });
            if let Err(errors) = bundle.add_resource(file) {
                tracing::error!(?errors, language, "a text has two sentences");
            }
        }
        Self(bundle)
    }

    /// The text of a code, or of its attribute as in `login-email.hint`. `None` if it is unknown, or a parameter is missing.
    pub(crate) fn find(&self, code: &str, parameters: &FluentArgs<'_>) -> Option<Cow<'_, str>> {
        let (code, attribute) = code.split_once('.').map_or((code, None), |(code, name)| (code, Some(name)));
        let text = self.0.get_message(code)?;
        let pattern = match attribute {
            Some(name) => text.get_attribute(name)?.value(),
            None => text.value()?,
        };
        let mut errors = Vec::new();
        let text = self.0.format_pattern(pattern, Some(parameters), &mut errors);
        errors.is_empty().then_some(text)
    }

    /// The text of a message; if there is none, its code.
    pub(crate) fn say(&self, message: &Message) -> Cow<'_, str> {
        let parameters = message.parameters().map(|(name, value)| match value {
            Parameter::Number(number) => (name, FluentValue::from(*number)),
            Parameter::Text(text) => (name, FluentValue::from(text.as_str())),
        });
        let parameters = parameters.collect();
        self.find(message.code(), &parameters).unwrap_or_else(|| {
            tracing::error!(%message, "a text is missing");
            message.to_string().into()
        })
    }
}
