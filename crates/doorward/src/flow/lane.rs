use serde::Serialize;

macro_rules! lanes {
    ($($(#[doc = $doc:literal])+ $lane:ident: $name:literal;)+) => {
        /// Who speaks in a flow. Files and pages name a lane by its place in [`Lane::ALL`]: add new ones at the end.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Lane {
            $($(#[doc = $doc])+ $lane,)+
        }

        impl Lane {
            /// Every lane, in the order in which they are drawn.
            pub const ALL: &[Self] = &[$(Self::$lane,)+];

            /// Its name for people; the client's is that of its [`Sender`].
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$lane => $name,)+
                }
            }
        }
    };
}

lanes! {
    /// The browser or program that sent the request.
    Client: "Client";
    /// The proxy that asks for the application behind it.
    Proxy: "Proxy";
    /// What checks the credential.
    Guard: "Guard";
    /// The server.
    Doorward: "Doorward";
    /// The threads that hash passwords.
    Hashing: "Hashing";
    /// The database.
    Store: "Store";
    /// The signing keys.
    Keys: "Keys";
    /// The ended sessions and stale tokens, in memory.
    Revocations: "Revocations";
    /// The application that embeds Doorward, by its hooks.
    Application: "Application";
}

impl Lane {
    /// Its place in [`Lane::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// The kind of the client: its lane has this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sender {
    /// A browser.
    Browser,
    /// A program.
    Program,
}

impl Sender {
    /// Its name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Browser => "Browser",
            Self::Program => "Program",
        }
    }
}
