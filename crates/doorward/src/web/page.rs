//! Pages: templates in the program, escaped by the engine, without a script.

use axum::response::{Html, IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_SECURITY_POLICY, HeaderValue};
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value, context};

use crate::error::Error;
use crate::settings::Settings;

const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
);

/// The templates, each beside its handler.
const TEMPLATES: &[(&str, &str)] = &[
    ("shell.html", include_str!("shell.html")),
    ("error.html", include_str!("error.html")),
    ("arrival.html", include_str!("arrival.html")),
    ("login.html", include_str!("../features/login/login.html")),
    ("register.html", include_str!("../features/register/register.html")),
    ("logout.html", include_str!("../features/logout/logout.html")),
    ("reset.html", include_str!("../features/password_reset/reset.html")),
    ("dashboard.html", include_str!("../features/dashboard/dashboard.html")),
];

/// Renders pages.
pub(crate) struct Pages {
    engine: Environment<'static>,
    base: String,
}

impl Pages {
    pub(crate) fn new(settings: &Settings) -> Self {
        let mut engine = Environment::new();
        engine.set_undefined_behavior(UndefinedBehavior::Strict);
        for (name, source) in TEMPLATES {
            if let Err(error) = engine.add_template(name, source) {
                tracing::error!(%error, "a page's template is broken");
            }
        }
        Self { engine, base: settings.base_path.clone() }
    }

    /// The page of this template; `context` is what it shows.
    pub(crate) fn show(&self, template: &str, status: StatusCode, context: Value) -> Response {
        let context = context! { base => self.base.as_str(), ..context };
        match self.engine.get_template(template).and_then(|page| page.render(context)) {
            Ok(page) => (status, [(CONTENT_SECURITY_POLICY, POLICY)], Html(page)).into_response(),
            Err(error) => {
                tracing::error!(%error, template, "a page could not be rendered");
                (StatusCode::SERVICE_UNAVAILABLE, "Temporarily unavailable: try again").into_response()
            }
        }
    }

    /// The page of an error.
    pub(crate) fn error(&self, error: &Error, status: StatusCode, request_id: &str) -> Response {
        let (_, code, message) = error.row();
        let title = status.canonical_reason().unwrap_or("Error");
        let fields = Value::from(Serde(error.fields()));
        self.show("error.html", status, context! { title, code, message, request_id, fields })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Values;

    #[test]
    fn every_template_renders_and_escapes() {
        let pages = Pages::new(&Settings::read(&Values::default()).unwrap());
        let hostile = "<script>alert(1)</script>";
        let user = context! { name => hostile, email => hostile, role => hostile };
        for (name, _) in TEMPLATES {
            let context = context! {
                title => hostile, code => hostile, message => hostile, request_id => hostile, return_to => hostile,
                email => hostile, name => hostile, token => hostile, invite => hostile, next => hostile, user => user.clone(),
                fields => [context! { field => hostile, message => hostile }],
                sessions => [context! { id => hostile, device => hostile, ip => hostile, last_seen_at => hostile, current => false }],
                body => "",
            };
            let page =
                pages.engine.get_template(name).unwrap().render(context! { base => "", ..context }).unwrap();
            assert!(!page.contains(hostile), "{name}: {page}");
        }
    }
}
