//! Signing in: how a user proved their identity, and whether that is enough for their account.
//!
//! [`judge`] is the one rule for every way to sign in. It decides only from the proved methods and those that the
//! account has.
//!
//! ```
//! use doorward_core::sign_in::{Enrolled, Judgement, Method, Methods, judge};
//!
//! let password = Methods::of(Method::Password);
//! let account = Enrolled { methods: password, has_unknown: false };
//! assert!(matches!(judge(password, account), Judgement::Done(_)));
//!
//! let account = Enrolled { methods: password.and(Method::Otp), has_unknown: false };
//! assert_eq!(judge(password, account), Judgement::Next(Methods::of(Method::Otp)));
//! assert!(matches!(judge(password.and(Method::Otp), account), Judgement::Done(_)));
//! ```

use std::fmt;

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeSeq, Serializer};

use crate::Timestamp;

/// A method of proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Method {
    /// The password of the account (`pwd` in RFC 8176).
    Password = 1,
    /// A message to the account's address (`mail`, which RFC 8176 doesn't register).
    Mail = 2,
    /// A one-time code of an authenticator app, or a recovery code in its place (`otp`).
    Otp = 4,
    /// A passkey that verified its user: the key and its unlocking are two factors in one (`hwk`).
    Passkey = 8,
}

impl Method {
    /// Every method.
    pub const ALL: [Self; 4] = [Self::Password, Self::Mail, Self::Otp, Self::Passkey];

    /// The name in tokens, introspection and the store: the value of `amr` (RFC 8176).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "pwd",
            Self::Mail => "mail",
            Self::Otp => "otp",
            Self::Passkey => "hwk",
        }
    }

    /// The method of an authenticator of this kind, by the store's name for it; `None` for an unknown kind.
    pub fn of_kind(kind: &str) -> Option<Self> {
        match kind {
            "password" => Some(Self::Password),
            "totp" | "recovery_codes" => Some(Self::Otp),
            "passkey" => Some(Self::Passkey),
            _ => None,
        }
    }

    /// True if it can be required in addition to another method.
    const fn is_second_factor(self) -> bool {
        matches!(self, Self::Otp | Self::Passkey)
    }
}

/// A set of methods.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Methods(u8);

impl Methods {
    /// No method.
    pub const NONE: Self = Self(0);

    /// This method alone.
    pub const fn of(method: Method) -> Self {
        Self(method as u8)
    }

    /// These and this one.
    #[must_use]
    pub const fn and(self, method: Method) -> Self {
        Self(self.0 | method as u8)
    }

    /// True if this method is among them.
    pub const fn has(self, method: Method) -> bool {
        self.0 & method as u8 != 0
    }

    /// True if there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them, in the order of [`Method::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Method> {
        Method::ALL.into_iter().filter(move |method| self.has(*method))
    }

    /// Parses names separated by one space, as the store has them. Unknown names are ignored.
    pub fn parse(names: &str) -> Self {
        names.split(' ').fold(Self::NONE, Self::and_named)
    }

    fn and_named(self, name: &str) -> Self {
        let named = Method::ALL.into_iter().find(|method| method.as_str() == name);
        named.map_or(self, |method| self.and(method))
    }
}

impl FromIterator<Method> for Methods {
    fn from_iter<I: IntoIterator<Item = Method>>(methods: I) -> Self {
        methods.into_iter().fold(Self::NONE, Self::and)
    }
}

impl fmt::Display for Methods {
    /// Their names, separated by one space.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, method) in self.iter().enumerate() {
            let space = if n == 0 { "" } else { " " };
            write!(f, "{space}{}", method.as_str())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Methods({self})")
    }
}

impl Serialize for Methods {
    /// A list of names, as `amr` is (OpenID Connect Core, section 2).
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for method in self.iter() {
            list.serialize_element(method.as_str())?;
        }
        list.end()
    }
}

impl<'de> Deserialize<'de> for Methods {
    /// A list of names. Unknown names are ignored: a later program may have written them.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = Methods;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of names")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<Methods, A::Error> {
                let mut methods = Methods::NONE;
                while let Some(name) = names.next_element::<&str>()? {
                    methods = methods.and_named(name);
                }
                Ok(methods)
            }
        }
        deserializer.deserialize_seq(Names)
    }
}

/// When and how the user of a session signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authentication {
    /// When (`auth_time`). A refresh doesn't change it.
    pub at: Timestamp,
    /// By which methods (`amr`).
    pub methods: Methods,
}

impl Authentication {
    /// For a credential without this: as long ago as possible, by no method.
    pub const UNKNOWN: Self = Self { at: Timestamp::from_secs(0), methods: Methods::NONE };
}

/// The proofs that an account has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enrolled {
    /// The methods of its authenticators.
    pub methods: Methods,
    /// True if it has an authenticator of a kind that this program doesn't know, enrolled by a later program.
    pub has_unknown: bool,
}

impl Enrolled {
    /// Parses kinds of authenticators separated by one space, as the store has them.
    pub fn of_kinds(kinds: &str) -> Self {
        let mut enrolled = Self { methods: Methods::NONE, has_unknown: false };
        for kind in kinds.split(' ').filter(|kind| !kind.is_empty()) {
            match Method::of_kind(kind) {
                Some(method) => enrolled.methods = enrolled.methods.and(method),
                None => enrolled.has_unknown = true,
            }
        }
        enrolled
    }
}

/// Whether a sign-in is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// It is done: a session may begin.
    Done(Enough),
    /// One of these methods is needed. If there is none, this program can't finish the sign-in.
    Next(Methods),
}

/// The proof that a sign-in is done. Only [`judge`] makes one, so what begins a session asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enough(());

/// Judges a sign-in: whether the proved methods are enough for an account with these enrolled.
///
/// - A passkey alone is enough: it is two factors.
/// - If the account has a second factor, it is required in addition to any other method.
/// - If the account has an authenticator of an unknown kind, no first factor is enough alone: that kind may be a second.
pub fn judge(proved: Methods, enrolled: Enrolled) -> Judgement {
    let second: Methods = enrolled.methods.iter().filter(|method| method.is_second_factor()).collect();
    let first_is_proved = proved.has(Method::Password) || proved.has(Method::Mail);
    if proved.has(Method::Passkey) || first_is_proved && proved.has(Method::Otp) {
        return Judgement::Done(Enough(()));
    }
    match first_is_proved {
        true if second.is_empty() && !enrolled.has_unknown => Judgement::Done(Enough(())),
        true => Judgement::Next(second),
        // A one-time code alone is not a first factor.
        false => Judgement::Next(enrolled.methods.iter().filter(|method| *method != Method::Otp).collect()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DONE: Judgement = Judgement::Done(Enough(()));

    fn methods() -> impl Strategy<Value = Methods> {
        (0..16_u8).prop_map(Methods)
    }

    fn enrolled() -> impl Strategy<Value = Enrolled> {
        (methods(), any::<bool>()).prop_map(|(methods, has_unknown)| Enrolled { methods, has_unknown })
    }

    proptest! {
        #[test]
        fn nothing_proved_is_never_enough_and_neither_is_a_code_alone(account in enrolled()) {
            prop_assert_ne!(judge(Methods::NONE, account), DONE);
            prop_assert_ne!(judge(Methods::of(Method::Otp), account), DONE);
        }

        #[test]
        fn an_account_with_a_second_factor_is_never_opened_without_one(proved in methods(), account in enrolled()) {
            let has_second = [Method::Otp, Method::Passkey].iter().any(|method| account.methods.has(*method));
            if judge(proved, account) == DONE && (has_second || account.has_unknown) {
                prop_assert!(proved.has(Method::Otp) || proved.has(Method::Passkey));
            }
        }

        #[test]
        fn to_prove_more_never_undoes_a_sign_in(proved in methods(), account in enrolled()) {
            if judge(proved, account) == DONE {
                for method in Method::ALL {
                    prop_assert_eq!(judge(proved.and(method), account), DONE);
                }
            }
        }

        #[test]
        fn to_enrol_more_never_makes_a_sign_in_easier(proved in methods(), account in enrolled()) {
            if judge(proved, account) != DONE {
                for method in Method::ALL {
                    let more = Enrolled { methods: account.methods.and(method), ..account };
                    prop_assert_ne!(judge(proved, more), DONE);
                }
                prop_assert_ne!(judge(proved, Enrolled { has_unknown: true, ..account }), DONE);
            }
        }

        #[test]
        fn what_is_asked_for_next_is_enrolled_not_proved_and_brings_the_sign_in_on(
            proved in methods(), account in enrolled(),
        ) {
            if let Judgement::Next(needed) = judge(proved, account) {
                for method in needed.iter() {
                    prop_assert!(account.methods.has(method) && !proved.has(method));
                    let further = judge(proved.and(method), account);
                    prop_assert!(further == DONE || further != judge(proved, account));
                }
            }
        }

        #[test]
        fn methods_are_read_as_they_are_written(methods in methods()) {
            prop_assert_eq!(Methods::parse(&methods.to_string()), methods);
            let json = serde_json::to_string(&methods).unwrap();
            prop_assert_eq!(serde_json::from_str::<Methods>(&json).unwrap(), methods);
        }
    }

    #[test]
    fn a_kind_that_a_later_program_enrolled_is_never_passed_over() {
        assert_eq!(judge(Methods::of(Method::Password), Enrolled::of_kinds("password")), DONE);
        let later = Enrolled::of_kinds("password palm_print");
        assert_eq!(judge(Methods::of(Method::Password), later), Judgement::Next(Methods::NONE));
        let names: Methods = serde_json::from_str(r#"["pwd","palm"]"#).unwrap();
        assert_eq!(names, Methods::of(Method::Password));
    }
}
