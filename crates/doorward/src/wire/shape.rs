//! The shape of what goes over the wire, as JSON Schema: declared once, by the types that are written or read.
//!
//! A type is named by its `title`; the document of the API moves those into its components.

use doorward_core::email::Email;
use doorward_core::name::DisplayName;
use doorward_core::password::Password;
use doorward_core::role::RoleName;
use doorward_core::sign_in::{Method, Methods};
use doorward_core::{ClientId, LinkId, Mode, OpaqueSecret, SessionId, UserId};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

/// A type that knows the shape of its JSON.
pub(crate) trait Shape {
    /// Its JSON Schema.
    fn shape() -> Value;
}

/// The shape of a type.
pub(crate) fn of<T: Shape>() -> Value {
    T::shape()
}

macro_rules! shapes {
    ($($type:ty: $shape:tt;)+) => { $(impl Shape for $type { fn shape() -> Value { json!($shape) } })+ };
}

shapes! {
    &str: { "type": "string" };
    String: { "type": "string" };
    bool: { "type": "boolean" };
    u32: { "type": "integer", "minimum": 0 };
    u64: { "type": "integer", "minimum": 0 };
    i64: { "type": "integer" };
    UserId: { "type": "string", "format": "uuid", "examples": ["01979a3c-8f4e-7b21-9c55-0d7f6a2b41e8"] };
    SessionId: { "type": "string", "format": "uuid", "examples": ["01979a3d-1b02-7c94-8a16-52e0c3f7d9ab"] };
    ClientId: { "type": "string", "format": "uuid", "examples": ["01979a3e-5c11-7d20-9b34-6f1e2a8c4d70"] };
    LinkId: { "type": "string", "format": "uuid", "examples": ["01979a3f-2a6d-7e85-8c47-3b9d1f0e6a52"] };
    RoleName: { "type": "string", "pattern": "^[a-z][a-z0-9_-]{0,30}$", "examples": ["user"] };
    Mode: { "type": "string", "enum": ["bearer", "cookie", "session"] };
    Email: { "type": "string", "format": "email", "maxLength": 254 };
    DisplayName: { "type": "string", "minLength": 1, "maxLength": 200 };
    Password: { "type": "string", "format": "password", "minLength": 1, "maxLength": 1024 };
    OpaqueSecret: {
        "type": "string", "pattern": "^[A-Za-z0-9_-]{43}$", "examples": ["RlZ5c2dWbTRhUm1yR2xhN0Z6bVZyU1h2Q3pZbGJxUWg"]
    };
    Zeroizing<String>: { "type": "string" };
    Value: {};
}

impl Shape for Methods {
    fn shape() -> Value {
        let name = json!({ "type": "string", "enum": Method::ALL.map(Method::as_str) });
        described(json!({ "type": "array", "items": name }), "How the user signed in (RFC 8176).")
    }
}

impl<T: Shape> Shape for Option<T> {
    fn shape() -> Value {
        let mut shape = T::shape();
        if let Some(kind) = shape.get_mut("type") {
            *kind = json!([kind, "null"]);
        }
        shape
    }
}

impl<T: Shape> Shape for Vec<T> {
    fn shape() -> Value {
        json!({ "type": "array", "items": T::shape() })
    }
}

/// An object with these properties, all of them required.
pub(crate) fn object<N: Into<String>>(properties: impl IntoIterator<Item = (N, Value)>) -> Value {
    let (mut required, mut all) = (Vec::new(), Map::new());
    for (name, shape) in properties {
        let name = name.into();
        required.push(name.clone());
        all.insert(name.clone(), property(&name, shape));
    }
    json!({ "type": "object", "required": required, "properties": all })
}

/// The object, and properties that may be missing.
pub(crate) fn and_maybe<'n>(mut object: Value, more: impl IntoIterator<Item = (&'n str, Value)>) -> Value {
    if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
        properties.extend(more.into_iter().map(|(name, shape)| (name.to_owned(), property(name, shape))));
    }
    object
}

/// Writes a value into nested objects; missing ones are made.
pub(crate) fn put(object: &mut Value, names: &[&str], value: Value) {
    let Some((first, rest)) = names.split_first() else {
        *object = value;
        return;
    };
    if let Some(fields) = object.as_object_mut() {
        put(fields.entry(*first).or_insert_with(|| json!({})), rest, value);
    }
}

/// The shape under a name of its own.
pub(crate) fn named(name: &str, description: &str, mut shape: Value) -> Value {
    put(&mut shape, &["title"], json!(name));
    put(&mut shape, &["description"], json!(description.trim()));
    shape
}

/// The shape, with an example.
pub(crate) fn like(mut shape: Value, example: impl Into<Value>) -> Value {
    put(&mut shape, &["examples"], json!([example.into()]));
    shape
}

/// Exactly this.
pub(crate) fn exactly(value: impl Into<Value>) -> Value {
    json!({ "const": value.into() })
}

/// An example of a value with this shape.
pub(crate) fn example(shape: &Value) -> Value {
    if let Some(value) = shape.get("const").or_else(|| shape.pointer("/examples/0")) {
        return value.clone();
    }
    if let Some(first) = shape.pointer("/enum/0") {
        return first.clone();
    }
    if let Some(properties) = shape.get("properties").and_then(Value::as_object) {
        return properties.iter().map(|(name, shape)| (name.clone(), example(shape))).collect();
    }
    let kind = shape.pointer("/type/0").unwrap_or(&shape["type"]);
    match (shape.get("items"), kind.as_str()) {
        (Some(items), _) => json!([example(items)]),
        (_, Some("boolean")) => json!(false),
        (_, Some("integer")) => json!(1),
        _ => json!(""),
    }
}

/// The meaning of a property's name: instants end in `_at`, and one word means one thing, so that one example serves
/// all.
fn property(name: &str, mut shape: Value) -> Value {
    let Some(fields) = shape.as_object_mut() else { return shape };
    let is_text =
        fields.get("type").is_some_and(|kind| *kind == "string" || *kind == json!(["string", "null"]));
    if is_text && (name == "at" || name.ends_with("_at")) {
        fields.insert("format".into(), json!("date-time"));
    }
    let said = ["examples", "const", "enum", "title", "items"].iter().any(|key| fields.contains_key(*key));
    if let Some((_, example)) = EXAMPLES.iter().find(|(known, _)| *known == name)
        && !said
        && is_text
    {
        fields.insert("examples".into(), json!([example]));
    }
    shape
}

const EXAMPLES: &[(&str, &str)] = &[
    ("action", "login"),
    ("at", "2026-03-14T09:26:53Z"),
    ("authenticated_at", "2026-03-14T09:26:53Z"),
    ("began_at", "2026-03-14T09:26:53Z"),
    ("created_at", "2026-03-14T09:26:53Z"),
    ("current_password", "correct horse battery"),
    ("detail", "role user"),
    ("device", "Firefox on Linux"),
    ("email", "ada@example.org"),
    ("ends_at", "2026-06-12T09:26:53Z"),
    ("expires_at", "2026-06-12T09:26:53Z"),
    ("ip", "192.0.2.7"),
    ("last_seen_at", "2026-03-14T15:09:26Z"),
    ("name", "Ada Lovelace"),
    ("new_password", "a better battery staple"),
    ("password", "correct horse battery"),
    ("renewed_at", "2026-03-14T15:09:26Z"),
    ("url", "https://accounts.example.org/password/reset?token=RlZ5c2dWbTRhUm1yR2xhN0Z6bVZyU1h2Q3pZbGJxUWg"),
    ("user_agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
];

/// Declares a type that is written as JSON: its serialisation and its shape are one text, its comments the descriptions.
macro_rules! shown {
    (
        $(#[doc = $about:literal])+
        $vis:vis struct $name:ident $(<$life:lifetime>)? as $title:literal {
            $($(#[doc = $doc:literal])+ $field_vis:vis $field:ident: $type:ty,)+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, serde::Serialize)]
        $vis struct $name $(<$life>)? {
            $($(#[doc = $doc])+ $field_vis $field: $type,)+
        }

        impl $(<$life>)? $crate::wire::shape::Shape for $name $(<$life>)? {
            fn shape() -> serde_json::Value {
                let object = $crate::wire::shape::object([$(
                    (stringify!($field), $crate::wire::shape::described(
                        $crate::wire::shape::of::<$type>(), concat!($($doc),+))),
                )+]);
                $crate::wire::shape::named($title, concat!($($about),+), object)
            }
        }
    };
}
pub(crate) use shown;

/// The shape with a description, if it has no name of its own.
pub(crate) fn described(mut shape: Value, text: &str) -> Value {
    if let Some(fields) = shape.as_object_mut()
        && !fields.contains_key("title")
    {
        fields.insert("description".into(), json!(text.trim()));
    }
    shape
}
