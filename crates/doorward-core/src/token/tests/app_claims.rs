//! What an application adds to a token.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::*;
use crate::token::{AppClaims, AppClaimsError, app_claims, issue_with};

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Plan {
    plan: String,
    seats: u32,
}

fn gold() -> Plan {
    Plan { plan: "gold".into(), seats: 5 }
}

fn token_with(app: &AppClaims) -> String {
    issue_with(&HS256, &expected(), &claims(), app).unwrap()
}

fn verified(token: &str) -> Result<AccessToken, Refusal> {
    verify(token, &only(&HS256), &expected(), NOW)
}

#[test]
fn what_an_application_adds_comes_out_as_it_went_in() {
    let token = token_with(&AppClaims::new(&gold()).unwrap());
    assert_eq!(verified(&token).unwrap().user, claims().user);
    assert_eq!(app_claims::<Plan>(&token), Ok(Some(gold())));
    assert_eq!(app_claims::<Plan>(&good(&HS256)), Ok(None));
}

#[test]
fn an_application_cannot_write_a_claim_of_ours() {
    let role = json!({ "role": "admin", "exp": 9_999_999_999_i64, "sub": "somebody", "iss": "other" });
    let token = token_with(&AppClaims::new(&role).unwrap());
    let seen = verified(&token).unwrap();
    assert_eq!((seen.role, seen.user, seen.expires_at), (RoleName::USER, claims().user, NOW + MAX_TTL));
    let written = "x\",\"role\":\"admin";
    let token = token_with(&AppClaims::new(&json!({ "a": written })).unwrap());
    assert_eq!(verified(&token).unwrap().role, RoleName::USER);
    assert_eq!(app_claims::<BTreeMap<String, String>>(&token).unwrap().unwrap()["a"], written);
}

#[test]
fn claims_that_no_verifier_would_read_are_refused_before_they_are_signed() {
    assert_eq!(AppClaims::new(&None::<Plan>), Ok(AppClaims::none()));
    for none in [json!("text"), json!(5), json!(["a"])] {
        assert_eq!(AppClaims::new(&none), Err(AppClaimsError::NotAnObject), "{none}");
    }
    #[derive(Serialize)]
    struct Twice {
        a: u8,
        #[serde(flatten)]
        more: BTreeMap<&'static str, u8>,
    }
    let twice = Twice { a: 1, more: BTreeMap::from([("a", 2)]) };
    assert_eq!(AppClaims::new(&twice), Err(AppClaimsError::Ambiguous));
    assert_eq!(AppClaims::new(&json!({ "a\"b": 1 })), Err(AppClaimsError::Ambiguous));
    assert_eq!(AppClaims::new(&json!({ "a": "x".repeat(249) })), Err(AppClaimsError::TooLong));
    let longest = AppClaims::new(&json!({ "a": "x".repeat(248) })).unwrap();
    for key in every_key() {
        let token = issue_with(key, &expected(), &claims(), &longest).unwrap();
        assert!(verify(&token, &only(key), &expected(), NOW).is_ok());
    }
    let deepest = (0..124).fold(json!(1), |inner, _| json!([inner]));
    let deepest = AppClaims::new(&json!({ "a": deepest })).unwrap();
    assert!(verified(&token_with(&deepest)).is_ok());
}

#[test]
fn claims_of_an_older_application_ask_for_a_refresh() {
    let token = token_with(&AppClaims::new(&json!({ "plan": 7 })).unwrap());
    assert_eq!(app_claims::<Plan>(&token), Err(Refusal::TokenStale));
    assert_eq!(app_claims::<Plan>("no token"), Err(Refusal::TokenInvalid));
}
