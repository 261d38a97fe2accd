//! JSON objects that have exactly one reading (RFC 8725 section 2.4, RFC 8259 section 4).
//!
//! Parsers differ on duplicate names, on escaped spellings of a name and on broken Unicode. A token that means one
//! thing to its signer and another to its verifier is an attack (J14, J38). So all of these are refused at every depth,
//! also in members that nobody reads. The depth is bounded by serde_json (attack J22).

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// The most members of one object that its reader doesn't know, so that comparing each with each stays cheap.
const MAX_UNKNOWN: usize = 64;

/// Reads an object, member by member.
pub(super) trait Members<'de>: Default {
    /// Takes the value of `name` and returns true; or, if it doesn't know the name, touches nothing and returns false.
    fn member<A: MapAccess<'de>>(&mut self, name: &'de str, map: &mut A) -> Result<bool, A::Error>;
}

/// Reads the object that is the whole of `json` into `members`.
pub(super) fn object<'de, T: Members<'de>>(
    json: &'de [u8],
    members: &mut T,
) -> Result<(), serde_json::Error> {
    let text = str::from_utf8(json).map_err(serde_json::Error::custom)?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    deserializer.deserialize_map(Object(members))?;
    deserializer.end()
}

/// Whether a text is one object with exactly one reading.
pub(super) fn is_object(json: &str) -> bool {
    object(json.as_bytes(), &mut NoneKnown).is_ok()
}

/// Reads a member's value into its slot, once.
#[inline]
pub(super) fn fill<'de, A, T>(slot: &mut Option<T>, name: &str, map: &mut A) -> Result<bool, A::Error>
where
    A: MapAccess<'de>,
    T: Deserialize<'de>,
{
    if slot.is_some() {
        return Err(duplicate(name));
    }
    *slot = Some(map.next_value()?);
    Ok(true)
}

fn duplicate<E: Error>(name: &str) -> E {
    E::custom(format_args!("duplicate member {name:?}"))
}

struct Object<'m, T>(&'m mut T);

impl<'de, T: Members<'de>> Visitor<'de> for Object<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut unknown = Vec::new();
        // A borrowed name has no escapes: serde_json has to copy those that do, and this refuses them.
        while let Some(name) = map.next_key::<&'de str>()? {
            if self.0.member(name, &mut map)? {
                continue;
            }
            if unknown.contains(&name) {
                return Err(duplicate(name));
            }
            if unknown.len() == MAX_UNKNOWN {
                return Err(A::Error::custom("too many members"));
            }
            unknown.push(name);
            map.next_value::<Unread>()?;
        }
        Ok(())
    }
}

/// An object inside another one, read as strictly.
pub(super) struct Strict<T>(pub(super) T);

impl<'de, T: Members<'de>> Deserialize<'de> for Strict<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut members = T::default();
        deserializer.deserialize_map(Object(&mut members))?;
        Ok(Self(members))
    }
}

/// A value that is checked like the others and then dropped. `serde::de::IgnoredAny` would skip over it unchecked.
pub(super) struct Unread;

#[derive(Default)]
struct NoneKnown;

impl<'de> Members<'de> for NoneKnown {
    fn member<A: MapAccess<'de>>(&mut self, _: &'de str, _: &mut A) -> Result<bool, A::Error> {
        Ok(false)
    }
}

impl<'de> Deserialize<'de> for Unread {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UnreadVisitor)
    }
}

struct UnreadVisitor;

impl<'de> Visitor<'de> for UnreadVisitor {
    type Value = Unread;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Unread, E> {
        Ok(Unread)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Unread, E> {
        Ok(Unread)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Unread, E> {
        Ok(Unread)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Unread, E> {
        Ok(Unread)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Unread, E> {
        Ok(Unread)
    }

    fn visit_str<E>(self, _: &str) -> Result<Unread, E> {
        Ok(Unread)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Unread, A::Error> {
        while seq.next_element::<Unread>()?.is_some() {}
        Ok(Unread)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Unread, A::Error> {
        Object(&mut NoneKnown).visit_map(map).map(|()| Unread)
    }
}
