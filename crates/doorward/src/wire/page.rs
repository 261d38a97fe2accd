//! Pages: templates in the program, escaped by the engine. Forms have a script, but work without it.

use std::sync::Arc;

use axum::Extension;
use axum::response::{Html, IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_SECURITY_POLICY, HeaderName, HeaderValue};
pub(crate) use minijinja::value::Serde;
use minijinja::{Environment, State, UndefinedBehavior};
pub(crate) use minijinja::{Value, context};

use super::assets;
use super::words;
use crate::error::{Cause, Error};
use crate::settings::{Registration, Settings};

/// No window of another site keeps a reference to a page of ours (ASVS 3.4.8).
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
/// The name of the field of a form that has its key.
pub(crate) const FORM_KEY: &str = "form_key";
/// The name of the field of a form that has the id of the user whose account its page shows.
pub(crate) const ACCOUNT: &str = "account";
const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'; \
     form-action 'self'";

/// The templates that all pages share.
const TEMPLATES: [(&str, &str); 3] = [
    ("shell.html", include_str!("shell.html")),
    ("parts.html", include_str!("parts.html")),
    ("error.html", include_str!("error.html")),
];

/// Renders pages.
pub(crate) struct Pages {
    pub(crate) engine: Environment<'static>,
    policy: HeaderValue,
    /// Of pages that load the script.
    policy_with_script: HeaderValue,
    /// Over plain http browsers ignore it, and complain.
    opener_policy: Option<HeaderValue>,
}

/// A form that is shown again because of an error, with what was typed, except passwords.
#[derive(Debug, Clone)]
pub(crate) struct Again {
    template: &'static str,
    /// Which form of the page it was.
    form: &'static str,
    context: Value,
}

/// Among the extensions of a page: it has a form, whose browser needs a cookie to send it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HasForm;

impl Error {
    /// The answer to a form: a browser gets its page again, with the error in it.
    pub(crate) fn in_form(self, template: &'static str, form: &'static str, context: Value) -> Response {
        let mut response = self.into_response();
        response.extensions_mut().insert(Again { template, form, context });
        response
    }
}

impl Pages {
    /// Pages of these templates, beside the shared ones.
    pub(crate) fn new(settings: &Settings, templates: &[(&'static str, &'static str)]) -> Self {
        let mut engine = Environment::new();
        engine.set_undefined_behavior(UndefinedBehavior::Strict);
        for (name, source) in TEMPLATES.iter().chain(templates) {
            if let Err(error) = engine.add_template(name, source) {
                tracing::error!(%error, "a page's template is broken");
            }
        }
        engine.add_function(FORM_KEY, form_key);
        engine.add_function("shown_account", shown_account);
        engine.add_filter("ago", words::ago);
        engine.add_filter("day", words::day);
        engine.add_filter("moment", words::moment);
        engine.add_filter("address", words::address);
        engine.add_global("base", settings.base_path.clone());
        engine.add_global("version", assets::version());
        engine.add_global("contact", contact(&settings.contact));
        engine.add_global(
            "registration",
            match settings.registration {
                Registration::Open => "open",
                Registration::Invite => "invite",
                Registration::Closed => "closed",
            },
        );
        let opener_policy = (!settings.plain_http).then_some(SAME_ORIGIN);
        let [policy, policy_with_script] = ["", "; script-src 'self'"].map(|more| policy(settings, more));
        Self { engine, policy, policy_with_script, opener_policy }
    }

    /// The page of this template; `context` is what it shows.
    pub(crate) fn show(&self, template: &'static str, status: StatusCode, context: Value) -> Response {
        let context = context! { ..context, ..context! { trouble => (), notice => () } };
        match self.engine.get_template(template).and_then(|page| page.render(context)) {
            Ok(page) => {
                let has_form = page.contains("method=\"post\"");
                // User input is escaped: pages have no other.
                let has_script = page.contains("<script src=");
                let policy = if has_script { &self.policy_with_script } else { &self.policy };
                let mut response = (status, Html(page)).into_response();
                if has_form {
                    response.extensions_mut().insert(HasForm);
                }
                let headers = response.headers_mut();
                headers.insert(CONTENT_SECURITY_POLICY, policy.clone());
                headers.extend(self.opener_policy.clone().map(|policy| (OPENER_POLICY, policy)));
                response
            }
            Err(error) => {
                let error = Error::Unavailable(Cause::new("a page could not be rendered", template, error));
                // For the page of this error, if it is this one.
                let text = "Temporarily unavailable: try again";
                (StatusCode::SERVICE_UNAVAILABLE, Extension(Arc::new(error)), text).into_response()
            }
        }
    }

    /// The page of an error: the form that it happened in, or a page of its own.
    pub(crate) fn error(
        &self,
        error: &Error,
        status: StatusCode,
        again: Option<Again>,
        request_id: &str,
    ) -> Response {
        let (code, message) = (error.code(), error.to_string());
        let fields = fields(error);
        let wait = error.retry_after().map(words::wait);
        match again {
            Some(Again { template, form, context }) => {
                let trouble = context! { form, code, message, fields, wait };
                self.show(template, status, context! { trouble, ..context })
            }
            None => {
                let title = title(status);
                let context = context! { title, code, message, fields, wait, request_id, ticket => () };
                self.show("error.html", status, context)
            }
        }
    }

    /// The page for a browser with two sign-ins, with a button to end both.
    pub(crate) fn two_sign_ins(
        &self,
        error: &Error,
        status: StatusCode,
        ticket: &str,
        request_id: &str,
    ) -> Response {
        let (code, message) = (error.code(), error.to_string());
        let (fields, wait) = (fields(error), ());
        let title = "Two sign-ins at once";
        self.show("error.html", status, context! { title, code, message, fields, wait, request_id, ticket })
    }
}

/// The invalid fields, as templates name them.
fn fields(error: &Error) -> Value {
    let fields =
        error.fields().iter().map(|one| context! { field => one.field.as_ref(), message => one.message() });
    fields.collect::<Vec<_>>().into()
}

/// The id of the user whose account a page shows, if it shows one.
fn shown_account(state: &State<'_, '_>) -> Option<Value> {
    state.lookup("may")?.get_attr(ACCOUNT).ok()
}

/// A key of 128 bits for one form of a page.
fn form_key() -> String {
    format!("{:032x}", u128::from_be_bytes(crate::random::bytes()))
}

impl Pages {
    /// The page of an error that a proxy shows at an application's host: its contents and links are Doorward's.
    pub(crate) fn error_elsewhere(
        &self,
        error: &Error,
        status: StatusCode,
        request_id: &str,
        base: &str,
    ) -> Response {
        let (code, message) = (error.code(), error.to_string());
        let (fields, wait) = (fields(error), ());
        let context = context! { base, title => title(status), code, message, fields, wait, request_id };
        let mut response = self.show("error.html", status, context);
        let policy = format!(
            "default-src 'none'; style-src {base}/; img-src {base}/; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
        );
        if let Ok(policy) = HeaderValue::try_from(policy) {
            response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
        }
        response
    }
}

/// Browsers apply `form-action` to the redirects after a form too, and the login redirects to the applications.
fn policy(settings: &Settings, more: &str) -> HeaderValue {
    let scheme = settings.public_scheme();
    let hosts = settings.forward_auth_hosts.iter().map(|host| format!(" {scheme}://{host}"));
    let policy = format!("{POLICY}{}{more}", hosts.collect::<String>());
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static(POLICY))
}

/// What a status means, in people's words.
fn title(status: StatusCode) -> &'static str {
    match status.as_u16() {
        403 => "This door stays shut",
        404 => "No such page",
        405 => "Not this way",
        409 => "That can’t be done now",
        413 => "That is too large",
        429 => "One moment, please",
        500.. => "We’ll be right back",
        _ => "That didn’t work",
    }
}

/// The support contact shown to people who cannot sign in: a text, and its link.
fn contact(text: &str) -> Value {
    let address = text.contains('@') && !text.contains(|c: char| c.is_whitespace() || "?&:%".contains(c));
    let link = match text {
        _ if text.starts_with("https://") => text.to_owned(),
        _ if address => format!("mailto:{text}"),
        _ => String::new(),
    };
    context! { text, link }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_cannot_be_rendered_says_why_to_who_logs_it() {
        let settings = Settings::read(&crate::settings::Values::default()).unwrap();
        let pages = Pages::new(&settings, &[("broken.html", "{{ nothing }}")]);
        let response = pages.show("broken.html", StatusCode::OK, context! { email => "" });
        assert_eq!(response.status(), 503);
        let error = response.extensions().get::<Arc<Error>>().unwrap();
        let cause = error.as_ref().clone().into_cause();
        let (what, which, why) = cause.parts().unwrap();
        assert_eq!((what, which), ("a page could not be rendered", "broken.html"));
        assert!(why.contains("undefined"), "{why}");
    }

    #[test]
    fn a_contact_leads_to_https_or_an_address_and_nowhere_else() {
        let link = |text: &str| contact(text).get_attr("link").unwrap().to_string();
        assert_eq!(link("https://help.example.com/a?b"), "https://help.example.com/a?b");
        assert_eq!(link("help@example.com"), "mailto:help@example.com");
        for text in ["", "the office", "javascript:alert(1)", "a@b?subject=x", "ask at room 1 @ noon"] {
            assert_eq!(link(text), "", "{text}");
        }
    }
}
