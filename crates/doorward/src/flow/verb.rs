use serde::{Serialize, Serializer};

use super::lane::Lane::{self, *};

macro_rules! verbs {
    ($($verb:ident: $from:ident > $to:ident, $label:literal, $failed:literal, $sentence:literal, $source:literal;)+) => {
        /// What a step does. Files and pages name a verb by its place in [`Verb::ALL`]: add new ones at the end.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Verb {
            $(#[doc = $sentence] $verb,)+
        }

        impl Verb {
            /// Every verb.
            pub const ALL: &[Self] = &[$(Self::$verb,)+];

            /// Where its arrow begins.
            pub const fn from(self) -> Lane {
                match self {
                    $(Self::$verb => $from,)+
                }
            }

            /// Where its arrow ends; the same lane for what one does by itself.
            pub const fn to(self) -> Lane {
                match self {
                    $(Self::$verb => $to,)+
                }
            }

            /// A stable name, also of its span.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$verb => stringify!($verb),)+
                }
            }

            /// What the arrow says, in at most 28 characters.
            pub const fn label(self) -> &'static str {
                match self {
                    $(Self::$verb => $label,)+
                }
            }

            /// What the arrow says if the check failed; the same for a step that can't fail.
            pub const fn failed_label(self) -> &'static str {
                match self {
                    $(Self::$verb => if $failed.is_empty() { $label } else { $failed },)+
                }
            }

            /// One plain sentence: what happens, and what it is good for.
            pub const fn sentence(self) -> &'static str {
                match self {
                    $(Self::$verb => $sentence,)+
                }
            }

            /// The standard that says so; empty if it is our own.
            pub const fn source(self) -> &'static str {
                match self {
                    $(Self::$verb => $source,)+
                }
            }
        }
    };
}

// A row: lane > lane, label, label if failed, sentence, source.
verbs! {
    Call: Client > Doorward, "Request", "", "The client sends a request.", "RFC 9110";
    Register: Client > Doorward, "Register", "", "The client sends name, email and password for a new account.", "";
    Login: Client > Doorward, "Login", "", "The client sends email and password.", "";
    AskProtected: Client > Doorward, "Protected request", "", "The client asks for something that only a signed-in user gets.", "RFC 6750";
    Refresh: Client > Doorward, "Refresh", "", "The access token has expired, so the client sends its refresh token.", "RFC 6749, section 6";
    Logout: Client > Doorward, "Logout", "", "The client ends its session.", "";
    LogoutAll: Client > Doorward, "Logout everywhere", "", "The client ends all sessions of its user.", "";
    ForwardAuth: Proxy > Doorward, "May this request pass?", "", "The proxy asks whether it may let a request through to an application.", "";
    Admin: Client > Doorward, "Act of an admin", "", "The client asks for something that only a role with a permission may do.", "";
    CheckHost: Doorward > Doorward, "Host is this server", "Host is another name", "A development server answers only to names of this machine.", "RFC 9110, section 7.4";
    CheckOrigin: Doorward > Doorward, "Sent by our own page", "Sent by another site", "The browser says which site's page sent the request, and another site may not change anything.", "Fetch Metadata";
    OncePerForm: Doorward > Doorward, "Form not sent before", "Form was sent before", "A form that is sent twice runs once, and both get the same answer.", "";
    ReadInput: Doorward > Doorward, "Read the input", "Input is wrong", "Each field is checked before anything else is done with it.", "";
    PickCredential: Guard > Guard, "Pick the credential", "No usable credential", "Only the Authorization header counts if there is one, otherwise a cookie.", "RFC 6750, section 2";
    ReadToken: Guard > Guard, "Read the token", "Not a token of ours", "A token has three parts; the header is one small JSON object.", "RFC 7515, section 3";
    FindKey: Guard > Keys, "Find the key", "Key or algorithm is wrong", "The header names a key; that key says which algorithm counts, never the token.", "RFC 8725, section 3.1";
    VerifySignature: Guard > Guard, "Verify signature", "Signature is wrong", "The signature proves that Doorward wrote the token and nobody has changed it since.", "RFC 7515, section 5.2";
    CheckClaims: Guard > Guard, "Check issuer and audience", "Claims are wrong", "The token must come from this server and be made for this audience.", "RFC 9068, section 4";
    CheckTimes: Guard > Guard, "Not expired", "Expired", "The token is good from its issue to its expiry, and no longer.", "RFC 7519, section 4.1";
    RememberedToken: Guard > Guard, "Verified before", "Expired", "Exactly this token was verified a moment ago, so only its expiry is checked again.", "";
    LookUpSecret: Guard > Guard, "Look up the session id", "Session is not in memory", "The session id is hashed and looked up among the sessions in memory.", "";
    ReadSession: Guard > Store, "Read the session", "No such session", "Memory does not know this session id, so the database is asked once.", "";
    CheckSession: Guard > Guard, "Session is alive", "Session is over", "A session ends when it is idle for too long, at its last day, or when somebody ends it.", "NIST SP 800-63B, section 7.2";
    CheckRevocations: Guard > Revocations, "Not in revocations", "In revocations", "Ended sessions and stale tokens are in memory, so a logout counts at once.", "";
    ReadUser: Doorward > Store, "Read user and session", "Session is over", "A sensitive act does not believe a token: user and session are read from the database.", "";
    CheckPermission: Doorward > Doorward, "Role allows it", "Role does not allow it", "The user's role must grant the permission that this act needs.", "";
    CheckConfirmation: Doorward > Doorward, "Password was confirmed", "Password is needed again", "A sensitive act needs the current password again, so that a stolen session is not enough.", "OWASP ASVS 7.5";
    TakeGuess: Doorward > Doorward, "Limit has room", "Too many attempts", "Each guess is counted before any work is done, by account and by network.", "OWASP ASVS 6.3.1";
    GiveBackGuess: Doorward > Doorward, "Guess given back", "", "The password was right, so this guess does not count against the limit.", "";
    FindUser: Doorward > Store, "Find the user", "No such user", "The user is read by email address.", "";
    ComparePassword: Doorward > Hashing, "Compare the password", "Password is wrong", "The password is hashed again, slowly, and compared with the stored hash.", "OWASP Password Storage";
    CompareDummy: Doorward > Hashing, "Compare with a dummy", "No password to compare", "There is no password to compare, so the same work is done for nothing: time reveals no account.", "OWASP ASVS 6.3.8";
    HashPassword: Doorward > Hashing, "Hash the password", "Too busy to hash", "The password is hashed slowly, so that a stolen database does not reveal it.", "OWASP Password Storage";
    AskApplication: Doorward > Application, "May this sign-in happen?", "The application refuses", "The application that embeds Doorward is asked by its hook.", "";
    TellApplication: Doorward > Application, "Tell the application", "", "The application that embeds Doorward learns what happened.", "";
    JudgeProof: Doorward > Doorward, "The proof is enough", "A second factor is needed", "What was proved is compared with what this account needs.", "NIST SP 800-63B, section 2";
    CheckRefreshToken: Doorward > Doorward, "Refresh token is ours", "Refresh token is not ours", "The refresh token carries a signature that only this server can make.", "";
    UseRefreshToken: Doorward > Store, "First use of this token", "Used before", "A refresh token is good once; a second use means that somebody copied it.", "RFC 9700, section 4.14";
    Commit: Doorward > Store, "Commit", "Nothing was kept", "All changes of this act and its audit entries become durable together.", "";
    PutInForce: Doorward > Revocations, "In force at once", "", "Memory knows what ended before the answer goes out.", "";
    BeginSession: Doorward > Store, "A session begins", "", "The session is written into the database, so it can be listed and ended.", "";
    EndSession: Doorward > Store, "A session ends", "", "The session is marked as ended, with the reason.", "";
    SignToken: Doorward > Keys, "Sign an access token", "", "The access token is signed, so that every guard can check it without asking.", "RFC 9068";
    MakeRefreshToken: Doorward > Doorward, "Make a refresh token", "", "The refresh token is good for one use, and each use gives the next one.", "RFC 6749, section 1.5";
    MakeSecret: Doorward > Doorward, "Make a session id", "", "The session id is random; the database keeps only its hash.", "OWASP ASVS 7.2";
    SetCookie: Doorward > Client, "Set-Cookie", "", "The browser keeps the cookie and sends it by itself; no script can read it.", "RFC 6265";
    ClearCookie: Doorward > Client, "Clear cookie", "", "The browser deletes the cookie.", "RFC 6265, section 3.1";
    Redirect: Doorward > Client, "Go on to the next page", "", "The browser is sent to another page, so that reloading does not send the form again.", "RFC 9110, section 15.4.4";
    Answer: Doorward > Client, "Answer", "", "The request is answered.", "RFC 9110";
    Welcome: Doorward > Client, "Welcome!", "", "The user is signed in, and gets what they asked for.", "";
    Refuse: Doorward > Client, "Refused", "Refused", "The request is refused, with a code that says why.", "RFC 9457";
    LetPass: Doorward > Proxy, "It may pass", "It may not pass", "The proxy learns whether the request may pass, and who sent it.", "";
    UseLink: Doorward > Store, "Link is good, and used up", "Link is used, old or unknown", "A link from a mail or an admin works once, for a short time.", "OWASP ASVS 6.4";
    ReadMode: Doorward > Doorward, "Mode is allowed", "Mode is not allowed", "The settings say how clients may hold their credential.", "";
    SendFeed: Doorward > Client, "Follow the revocations", "", "The follower learns of each end within a moment.", "";
    CheckRule: Doorward > Doorward, "Allowed by the rules", "A rule refuses it", "A request has to meet every rule of its route, such as the size of its body.", "";
}

impl Verb {
    /// Its place in [`Verb::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl Serialize for Verb {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.index() as u64)
    }
}
