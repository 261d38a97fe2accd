use std::collections::BTreeSet;
use std::path::Path;

use doorward_core::Refusal;
use fluent_bundle::FluentArgs;
use minijinja::{Value, context};

use super::*;
use crate::error::{Error, Explanation};
use crate::settings::Settings;
use crate::testing::Site;
use crate::texts::Texts;
use crate::wire::flash::Flash;
use crate::wire::page::Pages;

/// Fails if one of these names is used twice.
#[track_caller]
fn are_different<T: Ord + std::fmt::Debug>(what: &str, names: impl IntoIterator<Item = T>) {
    let mut names: Vec<_> = names.into_iter().collect();
    names.sort_unstable();
    assert!(!names.is_empty(), "{what}: there are none");
    for two in names.windows(2) {
        assert!(two[0] != two[1], "{what}: {:?} is used twice", two[0]);
    }
}

#[test]
fn no_two_features_use_one_name() {
    let all = || FEATURES.iter();
    are_different("features", all().map(|feature| feature.name));
    are_different("templates", contributions().templates.iter().map(|(name, _)| *name));
    are_different("flash texts", contributions().flashes.iter().map(|flash| flash.code));
    are_different("audit actions", actions().iter().map(|action| action.name));
    are_different("settings", Values::default().rows().iter().map(|row| row.key));
    are_different("what memory answers", contributions().express.iter().map(|one| one.path));
    are_different("cards", contributions().cards.iter().map(|card| card.template));
    let routes = routes();
    are_different("routes", routes.operations().iter().map(|one| (one.path, one.method.as_str().to_owned())));
    are_different("error codes", Error::every().iter().map(Error::code));
}

#[test]
fn each_refusal_of_the_guard_has_its_row() {
    let rows: Vec<_> = Error::every().iter().map(Error::code).collect();
    for refusal in Refusal::ALL {
        assert!(rows.contains(&refusal.code()), "{refusal:?}");
    }
}

#[test]
fn each_code_says_in_short_sentences_what_was_checked_and_found_and_what_to_do() {
    for error in Error::every().iter().chain(&Refusal::ALL.map(Error::from)) {
        let Explanation { checked, found, advice, .. } = error.explanation();
        for text in [checked, found, advice] {
            assert!(text.ends_with('.') && text.trim() == text, "{}: {text}", error.code());
            for sentence in text.split(['.', ':', ';']) {
                let words = sentence.split_whitespace().count();
                assert!(words <= 25, "{}: {words} words: {sentence}", error.code());
            }
        }
        assert!(Explanation::of(error.code()).is_some(), "{}", error.code());
    }
    assert_eq!(Explanation::of("no_such_code"), None);
}

#[test]
fn each_folder_is_a_feature_of_its_name() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/features");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let folders = entries.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name());
    let folders: BTreeSet<_> = folders.map(|name| name.into_string().unwrap()).collect();
    assert_eq!(folders, FEATURES.iter().map(|feature| feature.name.to_owned()).collect());
}

#[tokio::test]
async fn a_page_says_what_is_on_the_list_and_nothing_else() {
    let (site, flashes, texts) =
        (Site::new().await, contributions().flashes, Texts::new(&contributions().language));
    let said = async |path: &str| {
        let page = site.visitor().page(path).await.text();
        let text = |flash: &Flash| texts.find(flash.code, &FluentArgs::new()).unwrap().into_owned();
        flashes.iter().filter(|flash| page.contains(&text(flash))).copied().collect::<Vec<_>>()
    };
    for flash in &flashes {
        assert!(said(&flash.at("/login")).await.contains(flash), "{flash:?}");
    }
    for code in ["", "Call%200900", "signed-out%20", "SIGNED-OUT", "signed"] {
        let path = format!("/login?done={code}");
        assert_eq!(said(&path).await, [], "{code}");
        assert!(!site.visitor().page(&path).await.text().contains("Call 0900"));
    }
}

#[test]
fn what_memory_answers_is_a_route_that_a_program_may_get() {
    let routes = routes();
    for one in contributions().express {
        let of_path = |operation: &&crate::web::api::Operation| operation.path == one.path;
        assert!(routes.operations().iter().filter(of_path).any(|one| one.method == http::Method::GET));
    }
}

const HOSTILE: &str = "<script>alert(1)</script>\"'";

/// Hostile text in every place that a template reads.
#[derive(Debug)]
struct Hostile;

impl minijinja::value::Object for Hostile {
    fn repr(self: &std::sync::Arc<Self>) -> minijinja::value::ObjectRepr {
        minijinja::value::ObjectRepr::Plain
    }

    fn get_value(self: &std::sync::Arc<Self>, _: &Value) -> Option<Value> {
        Some(Value::from(HOSTILE))
    }
}

#[test]
fn every_template_renders_and_escapes() {
    let templates = contributions().templates;
    let pages =
        Pages::new(&Settings::read(&Values::default()).unwrap(), &templates, &contributions().language, "");
    let hostile = || Value::from_object(Hostile);
    let (lists, now) = ([hostile(), hostile()], 1_800_000_000);
    let cards: Vec<_> =
        FEATURES.iter().filter_map(|feature| feature.card).map(|card| card.template).collect();
    let whole = |name: &str| name != "docs.html" && !cards.contains(&name);
    for name in templates.iter().map(|(name, _)| *name).chain(["error.html"]).filter(|name| whole(name)) {
        for form in ["login", "register", "name", "email", "password", "delete", "create", "role"] {
            let fields = ["name", "email", "password", "new_password", "mode"]
                .map(|field| context! { field, name => HOSTILE, message => HOSTILE });
            let trouble =
                context! { form, code => HOSTILE, message => HOSTILE, wait => HOSTILE, fields, why => () };
            let context = context! {
                title => "title-404", code => HOSTILE, message => HOSTILE, request_id => HOSTILE,
                return_to => HOSTILE, email => HOSTILE, name => HOSTILE, token => HOSTILE, wait => HOSTILE,
                invite => HOSTILE, user => hostile(), typed => hostile(), query => hostile(), may => hostile(),
                link => hostile(), sessions => lists.clone(), cards => cards.clone(), users => lists.clone(), entries => lists.clone(),
                kinds => lists.clone(), flows => lists.clone(), invitations => lists.clone(), clients => lists.clone(), made => hostile(), write => true, later => true, current => HOSTILE, next => HOSTILE,
                roles => [HOSTILE], all_roles => [HOSTILE], has_password => true, own => false, on => HOSTILE, purpose => "confirm-user-new", action => HOSTILE, back => HOSTILE, fields => [hostile()], notice => "signed-out", trouble, now, is_found => true, why => hostile(), place => HOSTILE, tour => true, flow => true, open_from_here => HOSTILE, goes_to => hostile(),
            };
            let page = pages.engine.get_template(name).unwrap().render(context).unwrap();
            assert!(!page.contains("<script>") && !page.contains("1)</script>\"'"), "{name}: {page}");
            assert!(page.contains("<title>") && page.matches("<h1").count() == 1, "{name}: {page}");
            let count = |text: &str| page.matches(text).count();
            assert_eq!(count("method=\"post\""), count("name=\"form_key\""), "{name}: a form without a key");
            let bound = count("name=\"account\"") + count("name=\"ticket\"");
            assert_eq!(count("name=\"form_key\""), bound, "{name}: a form for whatever account comes along");
        }
    }
}
