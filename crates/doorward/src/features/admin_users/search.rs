//! Finding users: all, those of a role, or those with a text in their name or address.
//!
//! A text is looked for in three steps, each in the order of an index: names that begin with it, addresses that begin with
//! it, and then anywhere within both. Only the last step reads users that don't match, by id. A page looks at no more than
//! [`LOOKED`] of them, so it may be short, or empty, though there are more pages. Each combination of filters is a text of
//! its own, since one for all of them would have one plan for all of them.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_core::UserId;
use doorward_core::email::Email;
use doorward_core::message::Message;
use doorward_core::role::RoleName;
use serde::{Serialize, Serializer};
use serde_json::json;

use super::queries::ListedUser;
use crate::app::App;
use crate::error::{Error, Result};
use crate::store::{Row, Scans, StoreError, Value, values};
use crate::users::{self, folded};
use crate::wire::shape::Shape;

/// Which users to list.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// A part of the name or address.
    pub text: Option<String>,
    /// Only this role.
    pub role: Option<RoleName>,
    /// Only those after this place.
    pub after: Option<Place>,
}

/// A place in a list of users, where the next page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In the order of ids: of all users, and of those with the text somewhere.
    Id(UserId),
    /// Among the names that begin with the text.
    Name(Key),
    /// Among the addresses that begin with the text.
    Address(Key),
}

/// A name or address as it is searched, and its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    folded: String,
    user: UserId,
}

const FIRST: UserId = UserId::from_bytes([0; 16]);
const LAST: UserId = UserId::from_bytes([0xff; 16]);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, key) = match self {
            Self::Id(user) => return user.fmt(f),
            Self::Name(key) => ('n', key),
            Self::Address(key) => ('a', key),
        };
        write!(f, "{kind}.{}.{}", URL_SAFE_NO_PAD.encode(&key.folded), key.user)
    }
}

/// The text is no place.
#[derive(Debug)]
pub struct NoPlace;

impl FromStr for Place {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let Some((kind, key)) = text.split_once('.') else {
            return text.parse().map(Self::Id).map_err(|_| NoPlace);
        };
        let (folded, user) = key.split_once('.').ok_or(NoPlace)?;
        let folded = String::from_utf8(URL_SAFE_NO_PAD.decode(folded).map_err(|_| NoPlace)?);
        let folded = folded.ok().filter(|text| !text.contains('\0')).ok_or(NoPlace)?;
        let key = Key { folded, user: user.parse().map_err(|_| NoPlace)? };
        match kind {
            "n" => Ok(Self::Name(key)),
            "a" => Ok(Self::Address(key)),
            _ => Err(NoPlace),
        }
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Shape for Place {
    fn shape() -> serde_json::Value {
        json!({ "type": "string" })
    }
}

/// The text of a query for users by id: the columns of [`users::read`], and a condition. PostgreSQL would join both tables from their beginning, so here each user's address is
/// looked up.
macro_rules! by_id {
    ($condition:literal) => {
        concat!(
            "SELECT u.id, u.name, (SELECT address FROM emails WHERE user_id = u.id AND is_primary = 1) AS email, \
             (SELECT verified_by FROM emails WHERE user_id = u.id AND is_primary = 1) AS email_vouched_by, u.role, \
             u.created_at, u.disabled_at FROM users u ",
            $condition
        )
    };
}

const ALL: &str = by_id!("WHERE u.id > $1 ORDER BY u.id LIMIT $2");
const OF_ROLE: &str = by_id!("WHERE u.role = $3 AND u.id > $1 ORDER BY u.id LIMIT $2");

/// The text of a query for users: the columns of [`users::read`] and those that are searched, and a condition. SQLite keeps
/// the order of the tables in a CROSS JOIN; otherwise it may choose the other one, and read all.
macro_rules! by_user {
    ($condition:literal) => {
        concat!(
            "SELECT u.id, u.name, e.address AS email, e.verified_by AS email_vouched_by, u.role, u.created_at, \
             u.disabled_at, u.name_folded, e.folded FROM users u CROSS JOIN emails e ",
            $condition
        )
    };
}
const NAMES: &str = by_user!(
    "WHERE e.user_id = u.id AND e.is_primary = 1 AND (u.name_folded, u.id) > ($1, $2) AND (u.name_folded, u.id) <= ($3, $4) ORDER BY u.name_folded, u.id LIMIT $5"
);
/// The role is no plain column here, or its index would come before the names'.
const NAMES_OF_ROLE: &str = by_user!(
    "WHERE e.user_id = u.id AND e.is_primary = 1 AND (u.name_folded, u.id) > ($1, $2) AND (u.name_folded, u.id) <= ($3, $4) AND u.role || '' = $6 \
     ORDER BY u.name_folded, u.id LIMIT $5"
);
/// Without those of the steps before.
const WITHIN: &str = by_user!(
    "WHERE e.user_id = u.id AND e.is_primary = 1 AND u.id > $1 AND u.id <= $2 AND (u.name_folded LIKE $4 ESCAPE '!' OR e.folded LIKE $4 ESCAPE '!' \
     OR e.address LIKE $4 ESCAPE '!') AND (u.name_folded < $5 OR u.name_folded >= $6) AND (e.folded < $5 OR e.folded >= $6) \
     ORDER BY u.id LIMIT $3"
);
const WITHIN_ROLE: &str = by_user!(
    "WHERE e.user_id = u.id AND e.is_primary = 1 AND u.role = $7 AND u.id > $1 AND u.id <= $2 AND (u.name_folded LIKE $4 ESCAPE '!' OR e.folded LIKE $4 ESCAPE '!' \
     OR e.address LIKE $4 ESCAPE '!') AND (u.name_folded < $5 OR u.name_folded >= $6) AND (e.folded < $5 OR e.folded >= $6) \
     ORDER BY u.id LIMIT $3"
);

/// The same for a condition that finds addresses.
macro_rules! by_address {
    ($condition:literal) => {
        concat!(
            "SELECT u.id, u.name, e.address AS email, e.verified_by AS email_vouched_by, u.role, u.created_at, \
             u.disabled_at, u.name_folded, e.folded FROM emails e CROSS JOIN users u ",
            $condition
        )
    };
}

const OF_ADDRESS: &str = by_address!("WHERE e.user_id = u.id AND e.is_primary = 1 AND e.address = $1");

/// Without those whose names begin with the text, who came before.
const ADDRESSES: &str = by_address!(
    "WHERE e.user_id = u.id AND e.is_primary = 1 AND (e.folded, e.user_id) > ($1, $2) AND (e.folded, e.user_id) <= ($3, $4) \
     AND (u.name_folded < $6 OR u.name_folded >= $7) ORDER BY e.folded, e.user_id LIMIT $5"
);
const ADDRESSES_OF_ROLE: &str = by_address!(
    "WHERE e.user_id = u.id AND e.is_primary = 1 AND (e.folded, e.user_id) > ($1, $2) AND (e.folded, e.user_id) <= ($3, $4) \
     AND (u.name_folded < $6 OR u.name_folded >= $7) AND u.role || '' = $8 ORDER BY e.folded, e.user_id LIMIT $5"
);

/// How many users that may not match a page looks at, in each step: the next one after so many ends the page.
const LOOKED: u32 = 10_000;
const LAST_NAME: &str = "SELECT name_folded AS folded, id FROM users WHERE (name_folded, id) > ($1, $2) \
     AND (name_folded, id) <= ($3, $4) ORDER BY name_folded, id LIMIT 1 OFFSET $5";
const LAST_ADDRESS: &str = "SELECT folded, user_id AS id FROM emails WHERE is_primary = 1 AND (folded, user_id) > ($1, $2) \
     AND (folded, user_id) <= ($3, $4) ORDER BY folded, user_id LIMIT 1 OFFSET $5";
const LAST_ID: &str = "SELECT id FROM users WHERE id > $1 ORDER BY id LIMIT 1 OFFSET $2";
const LAST_OF_ROLE: &str = "SELECT id FROM users WHERE role = $3 AND id > $1 ORDER BY id LIMIT 1 OFFSET $2";

/// A page of users, as a scan of the user who asks, and where the next one begins.
///
/// # Errors
/// The store's; a place of another search.
pub async fn list_users(
    app: &App,
    search: &Search,
    limit: u32,
    asked_by: Option<UserId>,
) -> Result<(Vec<ListedUser>, Option<Place>)> {
    let text = search.text.as_deref().map(folded).filter(|text| !text.is_empty());
    let fits = match (&search.after, &text) {
        (None | Some(Place::Id(_)), _) => true,
        (Some(Place::Name(key) | Place::Address(key)), Some(text)) => key.folded.starts_with(text),
        (Some(_), None) => false,
    };
    if !fits {
        return Err(Error::field("after", Message::new("after-no-place")));
    }
    let mut finder = Finder {
        app,
        scans: app.store.scans(asked_by).await?,
        role: search.role,
        limit,
        text: text.clone().unwrap_or_default(),
        named: None,
        found: Vec::new(),
    };
    let next = match (text, &search.after) {
        (None, after) => finder.all(after.as_ref()).await?,
        (Some(text), after) => {
            finder.whole_address(&text, after.is_none()).await?;
            finder.steps(after.clone()).await?
        }
    };
    Ok((finder.found.into_iter().map(|found| found.user).collect(), next))
}

/// A user of a page, and the place after them.
struct Found {
    user: ListedUser,
    place: Place,
}

struct Finder<'a> {
    app: &'a App,
    /// All steps have one turn of the user who asks.
    scans: Scans<'a>,
    role: Option<RoleName>,
    limit: u32,
    /// As it is searched.
    text: String,
    /// The user whose whole address the text is: on the first page, whatever step would find them.
    named: Option<UserId>,
    found: Vec<Found>,
}

impl Finder<'_> {
    /// The first of all users, or of a role, after this one.
    async fn all(&mut self, after: Option<&Place>) -> Result<Option<Place>> {
        let after = if let Some(Place::Id(after)) = after { *after } else { FIRST };
        let sql = if self.role.is_some() { OF_ROLE } else { ALL };
        self.take(sql, values![after, self.limit + 1], |row| Ok(Place::Id(row.get("id")?))).await?;
        Ok(self.cut())
    }

    /// Finds who has this address. It may be typed in ways that its canonical form doesn't contain.
    async fn whole_address(&mut self, text: &str, shows: bool) -> Result<()> {
        let Ok(email) = Email::parse(text) else { return Ok(()) };
        let row = self.app.store.find(OF_ADDRESS, values![&email]).await?;
        let Some(user) = row.map(|row| users::read(&row)).transpose()? else { return Ok(()) };
        if self.role.is_none_or(|role| role == user.role) {
            self.named = Some(user.id);
            if shows {
                self.found.push(Found { user: ListedUser::from(&user), place: Place::Name(self.start()) });
            }
        }
        Ok(())
    }

    /// Goes through the steps from this place until the page is full.
    async fn steps(&mut self, after: Option<Place>) -> Result<Option<Place>> {
        let mut place = after.unwrap_or_else(|| Place::Name(self.start()));
        loop {
            let ended = match &place {
                Place::Name(from) => self.names(from).await?,
                Place::Address(from) => self.addresses(from).await?,
                // Who typed a whole address looks for nobody else.
                Place::Id(_) if self.named.is_some() => None,
                Place::Id(from) => self.within(*from).await?,
            };
            let next = self.cut().or(ended);
            place = match place {
                _ if next.is_some() => return Ok(next),
                Place::Name(_) => Place::Address(self.start()),
                Place::Address(_) => Place::Id(FIRST),
                Place::Id(_) => return Ok(None),
            };
        }
    }

    /// Before all that begin with the text.
    fn start(&self) -> Key {
        Key { folded: self.text.clone(), user: FIRST }
    }

    /// After all that begin with the text.
    fn end(&self) -> Key {
        Key { folded: format!("{}\u{10ffff}", self.text), user: LAST }
    }

    async fn names(&mut self, from: &Key) -> Result<Option<Place>> {
        let (sql, last) = match self.role {
            None => (NAMES, None),
            Some(_) => (NAMES_OF_ROLE, self.last_key(LAST_NAME, from).await?),
        };
        let to = last.clone().unwrap_or_else(|| self.end());
        let values = values![&*from.folded, from.user, &*to.folded, to.user, self.missing()];
        let place =
            |row: &Row| Ok(Place::Name(Key { folded: row.get("name_folded")?, user: row.get("id")? }));
        self.take(sql, values, place).await?;
        Ok(last.map(Place::Name))
    }

    async fn addresses(&mut self, from: &Key) -> Result<Option<Place>> {
        let last = self.last_key(LAST_ADDRESS, from).await?;
        let to = last.clone().unwrap_or_else(|| self.end());
        let mut values = values![&*from.folded, from.user, &*to.folded, to.user, self.missing()];
        values.extend(values![&*self.text, self.end().folded]);
        let sql = if self.role.is_some() { ADDRESSES_OF_ROLE } else { ADDRESSES };
        let place = |row: &Row| Ok(Place::Address(Key { folded: row.get("folded")?, user: row.get("id")? }));
        self.take(sql, values, place).await?;
        Ok(last.map(Place::Address))
    }

    async fn within(&mut self, from: UserId) -> Result<Option<Place>> {
        let sql = if self.role.is_some() { LAST_OF_ROLE } else { LAST_ID };
        let last = self.scan(sql, values![from, LOOKED]).await?;
        let last: Option<UserId> = last.first().map(|row| row.get("id")).transpose()?;
        let mut values = values![from, last.unwrap_or(LAST), self.missing(), pattern(&self.text)];
        values.extend(values![&*self.text, self.end().folded]);
        let sql = if self.role.is_some() { WITHIN_ROLE } else { WITHIN };
        self.take(sql, values, |row| Ok(Place::Id(row.get("id")?))).await?;
        Ok(last.map(Place::Id))
    }

    /// The last one that a page looks at; `None` if it looks at all.
    async fn last_key(&self, sql: &'static str, from: &Key) -> Result<Option<Key>> {
        let to = self.end();
        let values = values![&*from.folded, from.user, to.folded, to.user, LOOKED];
        // The role only filters what was looked at.
        let rows = self.scans.list(sql, values).await?;
        let key = |row: &Row| Ok::<_, StoreError>(Key { folded: row.get("folded")?, user: row.get("id")? });
        Ok(rows.first().map(key).transpose()?)
    }

    /// How many rows the page lacks, and one more, which says whether there is another page.
    fn missing(&self) -> u32 {
        (self.limit + 1).saturating_sub(u32::try_from(self.found.len()).unwrap_or(u32::MAX))
    }

    /// Runs a query whose last parameter is the role, if there is one.
    async fn scan(&self, sql: &'static str, mut values: Vec<Value>) -> Result<Vec<Row>> {
        values.extend(self.role.map(Value::from));
        Ok(self.scans.list(sql, values).await?)
    }

    /// Takes the users of a query onto the page.
    async fn take(
        &mut self,
        sql: &'static str,
        values: Vec<Value>,
        place: impl Fn(&Row) -> Result<Place, StoreError>,
    ) -> Result<()> {
        for row in self.scan(sql, values).await? {
            let user = users::read(&row)?;
            if self.named != Some(user.id) {
                self.found.push(Found { user: ListedUser::from(&user), place: place(&row)? });
            }
        }
        Ok(())
    }

    /// Cuts the page to its limit; returns where the next one begins, if there is more.
    fn cut(&mut self) -> Option<Place> {
        let limit = self.limit as usize;
        let more = self.found.len() > limit;
        self.found.truncate(limit);
        self.found.last().filter(|_| more).map(|last| last.place.clone())
    }
}

/// A text to search for anywhere within: wildcards of `LIKE` are escaped (attack I01).
fn pattern(folded: &str) -> String {
    let literal = folded.replace('!', "!!").replace('%', "!%").replace('_', "!_");
    format!("%{literal}%")
}
