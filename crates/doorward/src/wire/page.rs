//! Pages: templates in the program, escaped by the engine. Forms have a script, but work without it.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use doorward_core::message::Message;
use fluent_bundle::{FluentArgs, FluentValue};
use http::StatusCode;
use http::header::{CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue};
pub(crate) use minijinja::value::Serde;
use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Environment, ErrorKind, HtmlEscape, State, UndefinedBehavior};
pub(crate) use minijinja::{Value, context};

use super::problem::Asked;
use super::words;
use crate::error::{Cause, Error, Explanation, FieldError};
use crate::settings::{Registration, Settings};
use crate::texts::{Language, Texts};

/// No window of another site keeps a reference to a page of Doorward (ASVS 3.4.8).
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
/// The name of the field of a form that has its key.
pub(crate) const FORM_KEY: &str = "form_key";
/// The name of the field of a form that has the id of the user whose account its page shows.
pub(crate) const ACCOUNT: &str = "account";
const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'; \
     form-action 'self'";

/// The templates that all pages share.
pub(crate) const TEMPLATES: [(&str, &str); 3] = [
    ("shell.html", include_str!("shell.html")),
    ("parts.html", include_str!("parts.html")),
    ("error.html", include_str!("error.html")),
];

/// Renders pages in one language.
pub(crate) struct Pages {
    texts: Arc<Texts>,
    base: String,
    pub(crate) engine: Environment<'static>,
    policy: HeaderValue,
    /// Of pages that load the script.
    policy_with_script: HeaderValue,
    /// Of pages that load modules, which ask this server.
    policy_with_modules: HeaderValue,
    /// Over plain http browsers ignore it, and complain.
    opener_policy: Option<HeaderValue>,
}

/// Among the extensions of an answer: the page that becomes its body.
#[derive(Debug, Clone)]
struct Shown {
    template: &'static str,
    context: Value,
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
    /// Pages of these templates, beside the shared ones, in this language; `version` is that of what they load.
    pub(crate) fn new(
        settings: &Settings,
        templates: &[(&'static str, &'static str)],
        language: &Language,
        version: &str,
    ) -> Self {
        let texts = Arc::new(Texts::new(language).written_by(escape));
        let mut engine = Environment::new();
        engine.set_undefined_behavior(UndefinedBehavior::Strict);
        for (name, source) in TEMPLATES.iter().chain(templates) {
            if let Err(error) = engine.add_template(name, source) {
                tracing::error!(%error, "a page's template is broken");
            }
        }
        engine.add_function(FORM_KEY, form_key);
        engine.add_function("shown_account", shown_account);
        engine.add_filter("address", words::address);
        add_texts(&mut engine, &texts);
        engine.add_global("lang", language.tag.to_string());
        engine.add_global("base", settings.base_path.clone());
        engine.add_global("version", version.to_owned());
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
        let [policy, policy_with_script, policy_with_modules] =
            ["", "; script-src 'self'", "; script-src 'self'; connect-src 'self'"]
                .map(|more| policy(settings, more));
        let base = settings.base_path.clone();
        Self { texts, base, engine, policy, policy_with_script, policy_with_modules, opener_policy }
    }

    /// The page of this template; `context` is what it shows. `web/front` renders it, where the client
    /// is known.
    pub(crate) fn show(&self, template: &'static str, status: StatusCode, context: Value) -> Response {
        let mut response = status.into_response();
        response.extensions_mut().insert(Shown { template, context });
        response
    }

    /// Renders the page of an answer, if it has one. If that fails, the answer becomes an error.
    pub(crate) fn complete(&self, response: &mut Response) {
        let Some(Shown { template, context }) = response.extensions_mut().remove::<Shown>() else { return };
        let context = context! { ..context, ..context! { trouble => (), notice => () } };
        match self.engine.get_template(template).and_then(|page| page.render(context)) {
            Ok(page) => {
                if page.contains("method=\"post\"") {
                    response.extensions_mut().insert(HasForm);
                }
                // User input is escaped: pages have no other.
                let policy = match () {
                    () if page.contains("<script type=\"module\" src=") => &self.policy_with_modules,
                    () if page.contains("<script src=") => &self.policy_with_script,
                    () => &self.policy,
                };
                let headers = response.headers_mut();
                headers.remove(CONTENT_LENGTH);
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
                headers.entry(CONTENT_SECURITY_POLICY).or_insert_with(|| policy.clone());
                headers.extend(self.opener_policy.clone().map(|policy| (OPENER_POLICY, policy)));
                *response.body_mut() = Body::from(page);
            }
            Err(error) => {
                let error = Error::Unavailable(Cause::new("a page could not be rendered", template, error));
                *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                response.headers_mut().remove(CONTENT_LENGTH);
                // For the page of this error, if it is this one.
                *response.body_mut() = Body::from(error.to_string());
                response.extensions_mut().insert(Arc::new(error));
            }
        }
    }

    /// The page of an error: the form that it happened in, or a page of its own.
    pub(crate) fn error(
        &self,
        error: &Error,
        status: StatusCode,
        again: Option<Again>,
        asked: Asked<'_>,
    ) -> Response {
        let (code, message) = (error.code(), self.say(&error.message()));
        let why = self.why(error, asked, &self.base);
        let fields = self.fields(error);
        let wait = error.retry_after().map(|seconds| self.say(&words::wait(seconds)));
        match again {
            Some(Again { template, form, context }) => {
                let trouble = context! { form, code, message, fields, wait, why };
                self.show(template, status, context! { trouble, ..context })
            }
            None => {
                let title = title(status);
                let (request_id, ticket, open_from_here) = (asked.id, (), asked.open_from_here);
                let context =
                    context! { title, code, message, fields, wait, request_id, ticket, why, open_from_here };
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
        asked: Asked<'_>,
    ) -> Response {
        let (request_id, why) = (asked.id, self.why(error, asked, &self.base));
        let (code, message) = (error.code(), self.say(&error.message()));
        let (fields, wait, open_from_here) = (self.fields(error), (), ());
        let title = "title-two-sign-ins";
        let shown = context! { title, code, message, fields, wait, request_id, ticket, why, open_from_here };
        self.show("error.html", status, shown)
    }

    /// In development mode: the link to the request's flow on the server's own pages, and what the code means.
    fn why(&self, error: &Error, asked: Asked<'_>, base: &str) -> Option<Value> {
        let Explanation { checked, found, advice, .. } = error.explanation();
        asked.flow.map(|_| context! { flow => format!("{base}/flow/{}", asked.id), checked, found, advice })
    }
}

/// The id of the user whose account a page shows, if it shows one.
fn shown_account(state: &State<'_, '_>) -> Option<Value> {
    state.lookup("may")?.get_attr(ACCOUNT).ok()
}

/// A key of 128 bits for one form of a page.
fn form_key() -> String {
    format!("{:032x}", u128::from_be_bytes(crate::random::bytes()))
}

/// Gives templates their texts: `t(code, parameter=…)`, `name_of(kind, name)` and times.
fn add_texts(engine: &mut Environment<'static>, texts: &Arc<Texts>) {
    let own = texts.clone();
    engine.add_function("t", move |code: &str, parameters: Kwargs| {
        let parameters = arguments(&parameters)?;
        let missing =
            || minijinja::Error::new(ErrorKind::UndefinedError, format!("a text is missing: {code}"));
        own.find(code, &parameters).map(safe).ok_or_else(missing)
    });
    let own = texts.clone();
    engine.add_function("name_of", move |kind: &str, name: &str| name_of(&own, kind, name));
    let own = texts.clone();
    let said = move |at: &str, time: Option<Message>| {
        time.map_or_else(|| Value::from(at), |time| safe(own.say(&time)))
    };
    let of = said.clone();
    engine.add_filter("ago", move |at: &str, now: i64| of(at, words::ago(at, now)));
    let of = said.clone();
    engine.add_filter("day", move |at: &str| of(at, words::day(at)));
    engine.add_filter("moment", move |at: &str| said(at, words::moment(at)));
}

/// The parameters of a text: markup of our templates as it is, anything else escaped.
fn arguments(parameters: &Kwargs) -> Result<FluentArgs<'static>, minijinja::Error> {
    let argument = |name: &str| {
        let value: Value = parameters.get(name)?;
        let argument = match value.kind() {
            ValueKind::Number => FluentValue::from(u64::try_from(value)?),
            _ if value.is_safe() => FluentValue::from(value.to_string()),
            ValueKind::String => FluentValue::from(escape(&value.to_string()).into_owned()),
            kind => {
                let problem = format!("{name} is {kind}");
                return Err(minijinja::Error::new(ErrorKind::InvalidOperation, problem));
            }
        };
        Ok((name.to_owned(), argument))
    };
    parameters.args().map(argument).collect()
}

/// The name of a field or an action. One without a text is shown as in the API.
fn name_of(texts: &Texts, kind: &str, name: &str) -> Value {
    let text = texts.find(&format!("{kind}-{name}"), &FluentArgs::new());
    text.map_or_else(|| name.replace('_', " ").into(), safe)
}

fn escape(text: &str) -> Cow<'_, str> {
    let is_plain = !text.contains(['<', '>', '&', '"', '\'']);
    if is_plain { text.into() } else { HtmlEscape(text).to_string().into() }
}

fn safe(text: Cow<'_, str>) -> Value {
    Value::from_safe_string(text.into_owned())
}

impl Pages {
    fn say(&self, message: &Message) -> Value {
        safe(self.texts.say(message))
    }

    /// The invalid fields, as templates name them.
    fn fields(&self, error: &Error) -> Value {
        let field = |one: &FieldError| {
            let name = name_of(&self.texts, "field", &one.field);
            context! { field => one.field.as_ref(), name, message => self.say(&one.problem) }
        };
        error.fields().iter().map(field).collect::<Vec<_>>().into()
    }

    /// The page of an error that a proxy shows at an application's host: its contents and links are Doorward's.
    pub(crate) fn error_elsewhere(
        &self,
        error: &Error,
        status: StatusCode,
        asked: Asked<'_>,
        base: &str,
    ) -> Response {
        let (code, message) = (error.code(), self.say(&error.message()));
        let (title, request_id) = (title(status), asked.id);
        let (fields, wait, open_from_here) = (self.fields(error), (), ());
        let why = self.why(error, asked, base);
        let context = context! { base, title, code, message, fields, wait, request_id, why, open_from_here };
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
    let apps = settings.apps.iter().map(|app| format!(" {}", app.origin));
    let policy = format!("{POLICY}{}{more}", hosts.chain(apps).collect::<String>());
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static(POLICY))
}

/// The text that explains a status.
fn title(status: StatusCode) -> String {
    match status.as_u16() {
        known @ (403 | 404 | 405 | 409 | 413 | 429) => format!("title-{known}"),
        500.. => "title-500".into(),
        _ => "title-other".into(),
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
        let pages = Pages::new(&settings, &[("broken.html", "{{ nothing }}")], &Language::default(), "");
        let mut response = pages.show("broken.html", StatusCode::OK, context! { email => "" });
        pages.complete(&mut response);
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
