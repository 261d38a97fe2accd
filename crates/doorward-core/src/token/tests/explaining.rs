//! What `doorward token explain` shows.

use super::*;

#[test]
fn a_good_token_passes_every_check_in_order() {
    for key in every_key() {
        let explanation = explain(&good(key), &only(key), &expected(), NOW + Duration::from_secs(60));
        assert!(explanation.outcome.is_ok());
        assert_eq!(explanation.steps.iter().map(|step| step.check).collect::<Vec<_>>(), Check::ALL);
        for step in &explanation.steps {
            assert!(step.verdict == Verdict::Passed && !step.detail.is_empty(), "{step:?}");
        }
        assert_eq!((explanation.age, explanation.remaining), (Some(60), Some(840)));
    }
}

#[test]
fn a_refused_token_names_the_check_that_refused_it_and_none_after_it() {
    let token = signed_payload(payload("aud", Some("\"other\"")));
    let explanation = explain(&token, &only(&HS256), &expected(), NOW);
    let (mut passed, mut after) = (Vec::new(), Vec::new());
    for step in explanation.steps {
        match step.verdict {
            Verdict::Passed => passed.push(step.check),
            Verdict::Failed => assert_eq!(
                (step.check, step.detail.as_str()),
                (Check::Audience, "aud \"other\", expected \"doorward\"")
            ),
            Verdict::NotReached => after.push(step.check),
        }
    }
    assert_eq!((passed.last(), after.first()), (Some(&Check::Issuer), Some(&Check::IssuedAt)));
    assert_eq!(passed.len() + after.len() + 1, Check::ALL.len());
}

#[test]
fn an_expired_token_shows_by_how_much() {
    let explanation = explain(&good(&HS256), &only(&HS256), &expected(), NOW + 2 * MAX_TTL);
    assert_eq!(explanation.outcome, Err(Refusal::TokenExpired));
    assert_eq!(explanation.remaining, Some(-900));
    assert_eq!(explanation.steps.last().unwrap().verdict, Verdict::Failed);
}

#[test]
fn a_token_of_somebody_else_is_shown_and_not_believed() {
    let stranger = SigningKey::generate(Algorithm::EdDsa).unwrap();
    let explanation = explain(&good(&stranger), &only(&ES256), &expected(), NOW);
    assert_eq!(explanation.outcome, Err(Refusal::TokenInvalid));
    assert_eq!(explanation.decoded.header.unwrap(), header(&stranger, "", None));
    assert!(explanation.decoded.payload.unwrap().contains("\"role\":\"user\""));
    assert_eq!(explanation.age, Some(0));
}

#[test]
fn what_is_shown_of_a_token_carries_no_control_characters() {
    let token = sign(&HS256, "{\n\"x\":\"\u{9b}31m\u{7f}\"}", "\u{1b}[2J");
    let decoded = decode(&token);
    assert_eq!(decoded.header.as_deref(), Some("{\n\"x\":\"\u{fffd}31m\u{fffd}\"}"));
    assert_eq!(decoded.payload, None);
    let typ = sign(&HS256, header(&HS256, "typ", Some("\"\u{9b}31m\"")), payload("", None));
    let steps = explain(&typ, &only(&HS256), &expected(), NOW).steps;
    assert!(steps.iter().all(|step| !step.detail.contains(char::is_control)), "{steps:?}");
}

#[test]
fn what_is_no_token_decodes_to_nothing() {
    for text in ["", "x", ".", "..", "AAAA.AAAA.AAAA", "eyJ9"] {
        assert_eq!(decode(text), Decoded::default(), "{text}");
    }
}

#[test]
fn spans_are_said_in_the_two_largest_units() {
    for (seconds, words) in [
        (0, "0 seconds"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "1 minute"),
        (61, "1 minute 1 second"),
        (3_600, "1 hour"),
        (3_605, "1 hour"),
        (7_500, "2 hours 5 minutes"),
        (86_400 * 3 + 3_600 + 61, "3 days 1 hour"),
        (u64::MAX, "213503982334601 days 7 hours"),
    ] {
        assert_eq!(in_words(seconds), words);
    }
}

/// The page of the inspector is held against the same list.
#[test]
fn each_text_is_called_by_its_kind() {
    let listed: Vec<(String, Option<String>)> = serde_json::from_str(include_str!("kinds.json")).unwrap();
    for (text, kind) in &listed {
        assert_eq!(recognise(text).map(|kind| kind.name), kind.as_deref(), "{text}");
    }
    for kind in Kind::ALL.iter().filter(|kind| kind.name != "foreign_secret") {
        assert!(listed.iter().any(|(_, listed)| listed.as_deref() == Some(kind.name)), "{}", kind.name);
    }
}

#[test]
fn each_check_says_what_it_means_and_what_to_do() {
    for check in Check::ALL {
        for text in [check.meaning(), check.advice()] {
            assert!(text.ends_with('.') && text.split(['.', ':']).all(|one| one.split(' ').count() <= 26));
        }
    }
    assert!(Check::Length.meaning().contains("4,096"));
    assert_eq!(MAX_LENGTH, 4_096);
}
