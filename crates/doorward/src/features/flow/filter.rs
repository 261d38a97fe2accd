//! Which flows somebody wants to see.

use doorward_core::email::Email;
use doorward_core::message::Message;
use doorward_core::{SessionId, UserId};

use crate::app::App;
use crate::error::{Error, Result};
use crate::flow::Flow;
use crate::wire::query::Query;

/// How many bytes a route, verdict or id has at most.
const MOST: usize = 100;

/// What a flow must have to be shown; what is missing is not asked for.
#[derive(Debug, Default)]
pub(super) struct Filter {
    id: Option<String>,
    user: Option<UserId>,
    session: Option<SessionId>,
    route: Option<String>,
    verdict: Option<Verdict>,
    address: Option<Address>,
}

/// How a request ended.
#[derive(Debug)]
enum Verdict {
    Answered,
    Refused,
    /// Refused with this code.
    Code(String),
}

/// An address that was typed, and the user who has it now.
#[derive(Debug)]
struct Address {
    tag: [u8; 8],
    user: Option<UserId>,
}

impl Filter {
    /// Reads it from a query.
    ///
    /// # Errors
    /// [`Error::InvalidInput`]; the store's.
    pub(super) async fn read(app: &App, query: &Query) -> Result<Self> {
        let short = |name: &'static str| match query.text(name).map(str::trim).filter(|text| !text.is_empty())
        {
            Some(text) if text.len() > MOST || text.contains(char::is_control) => {
                Err(Error::field(name, Message::new("search-form").with("most", MOST as u64)))
            }
            text => Ok(text.map(str::to_owned)),
        };
        let address = match query.parse::<String>("address", Message::new("search-form"))? {
            Some(text) => {
                let email = Email::parse(&text).map_err(|error| Error::field("address", error))?;
                let user = app.users.find_by_email(&email).await?.map(|account| account.user.id);
                Some(Address { tag: app.passwords.address_tag(&email), user })
            }
            None => None,
        };
        Ok(Self {
            id: short("id")?,
            user: query.parse("user", Message::new("after-no-user"))?,
            session: query.parse("session", Message::new("after-no-session"))?,
            route: short("route")?,
            verdict: short("verdict")?.map(|text| match text.as_str() {
                "answered" => Verdict::Answered,
                "refused" => Verdict::Refused,
                _ => Verdict::Code(text),
            }),
            address,
        })
    }

    /// Whether this flow is one of them.
    pub(super) fn meets(&self, flow: &Flow) -> bool {
        let Self { id, user, session, route, verdict, address } = self;
        let is =
            |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        is(id, &flow.id)
            && route.as_deref().is_none_or(|route| flow.route.starts_with(route))
            && user.is_none_or(|user| flow.story.user == Some(user))
            && session.is_none_or(|session| flow.story.session == Some(session))
            && address.as_ref().is_none_or(|address| address.is_of(flow))
            && verdict.as_ref().is_none_or(|verdict| match verdict {
                Verdict::Answered => flow.code.is_none(),
                Verdict::Refused => flow.code.is_some(),
                Verdict::Code(code) => flow.code == Some(code),
            })
    }

    /// The session and the user that are asked for: for the audit log, which names no address.
    pub(super) fn about(&self) -> String {
        let session = self.session.map(|session| format!(" of session {session}"));
        let user = self.user.or(self.address.as_ref().and_then(|address| address.user));
        let user = user.map(|user| format!(" of user {user}"));
        [session, user].into_iter().flatten().collect()
    }
}

impl Address {
    fn is_of(&self, flow: &Flow) -> bool {
        flow.story.address == Some(self.tag) || self.user.is_some() && flow.story.user == self.user
    }
}
