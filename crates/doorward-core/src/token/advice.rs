//! What each check of a token means for people, and what to do if it fails.

use super::Check;

impl Check {
    /// What holds for a token that passes, in a sentence.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Length => "The token has at most 4,096 bytes.",
            Self::Form => "The token has three parts with dots between them: header, payload and signature.",
            Self::Header => {
                "The header is one JSON object, and nothing in it changes how the token is checked."
            }
            Self::Key => "`kid` names one of this server's keys.",
            Self::Algorithm => "`alg` is the algorithm of that key.",
            Self::Type => "`typ` says that it is an access token (RFC 9068).",
            Self::Signature => "That key signed this header and this payload.",
            Self::Claims => "The payload is one JSON object with every claim that Doorward issues.",
            Self::Issuer => "`iss` is this server.",
            Self::Audience => "`aud` is the audience of this server.",
            Self::IssuedAt => "`iat` is not in the future.",
            Self::NotBefore => "`nbf`, if there is one, has passed.",
            Self::Lifetime => "It lives no longer than the tokens of this server.",
            Self::Expiry => "`exp` has not passed.",
        }
    }

    /// What to do about a token that fails.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Length => "Send the access token alone. If it is that long, put fewer claims into it.",
            Self::Form => "Copy the whole token, and nothing else: no quotes, no blanks, no line breaks.",
            Self::Header | Self::Claims => {
                "Sign in again. If another program makes the token, let Doorward make it."
            }
            Self::Key => {
                "Find out which server made it: it is good there. Here, sign in again. If the key was lost, restore the data folder."
            }
            Self::Algorithm => {
                "Sign in again. If another program signs the token, let it use the algorithm of the key."
            }
            Self::Type => "Send the access token, and not an ID token or an assertion.",
            Self::Signature => "Copy the whole token again. If it is whole, it was changed: sign in again.",
            Self::Issuer => {
                "Compare the setting `public_url` of the server that made it with that of this one."
            }
            Self::Audience => {
                "Send it to the service that it is for, and get a token of this server for this one."
            }
            Self::IssuedAt | Self::NotBefore => {
                "Compare the clocks of both machines, and let NTP set them. Then repeat the request."
            }
            Self::Lifetime => "Compare the setting `access.ttl` of all servers that sign with this key.",
            Self::Expiry => {
                "Refresh, and repeat the request with the new token. If it should be fresh, compare the clocks."
            }
        }
    }
}
