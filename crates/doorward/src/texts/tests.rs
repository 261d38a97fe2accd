use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use doorward_core::Mode;
use doorward_core::role::RoleName;
use fluent_syntax::ast::{Entry, Expression, Pattern, PatternElement};
use fluent_syntax::{parser, serializer};
use http::Method;
use http::header::{ACCEPT, COOKIE};

use super::*;
use crate::error::Error;
use crate::features::{actions, contributions, routes};
use crate::testing::{PASSWORD, Site, Visitor};
use crate::wire::page::TEMPLATES as SHARED;

/// The codes of all texts, `code` and `code.attribute`, each as often as it occurs in a file.
fn codes() -> Vec<String> {
    let mut codes = Vec::new();
    for file in contributions().language.files {
        let file = parser::parse(file.as_ref()).unwrap_or_else(|(_, errors)| panic!("{errors:?}\n{file}"));
        for entry in file.body {
            let Entry::Message(text) = entry else { continue };
            let attribute = |one: &str| format!("{}.{one}", text.id.name);
            codes.extend(text.attributes.iter().map(|one| attribute(one.id.name)));
            codes.push(text.id.name.to_owned());
        }
    }
    codes
}

/// The sources of this crate and of the core, without tests, and the templates.
fn sources() -> Vec<String> {
    fn files(folder: &Path) -> Vec<String> {
        let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let read = |path: &Path| match path.extension().and_then(|ending| ending.to_str()) {
            _ if path.ends_with("tests.rs") => Vec::new(),
            Some("rs" | "html") => vec![std::fs::read_to_string(path).unwrap()],
            _ => Vec::new(),
        };
        paths.flat_map(|path| if path.is_dir() { files(&path) } else { read(&path) }).collect()
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let code = |text: String| text.split("#[cfg(test)]\nmod tests").next().unwrap().to_owned();
    [here.join("src"), here.join("../doorward-core/src")]
        .iter()
        .flat_map(|one| files(one))
        .map(code)
        .collect()
}

/// The codes that are made from a name: those of errors, flash texts, fields, actions and actors, and the titles of
/// errors.
fn named() -> BTreeSet<String> {
    let fields = routes();
    let fields = fields.operations().iter().flat_map(|one| {
        let query = one.description.parameters().map(|(name, _)| name);
        one.description.fields().iter().map(|field| field.name).chain(query)
    });
    // Fields of programs, and errors that never occur.
    let unseen = [
        "tokens",
        "refresh_token",
        "token_type_hint",
        "done",
        "redirect",
        "refused",
        "ticket",
        "flow",
        "broken",
    ];
    let mut named: BTreeSet<_> =
        fields.filter(|name| !unseen.contains(name)).map(|name| format!("field-{name}")).collect();
    named.extend(actions().iter().map(|action| format!("action-{}", action.name)));
    let actors = ["owner", "admin", "command_line", "client", "visitor", "server"];
    named.extend(actors.map(|actor| format!("actor-{actor}")));
    named.extend([403, 404, 405, 409, 413, 429, 500].map(|status| format!("title-{status}")));
    named.extend(Error::every().iter().map(|error| error.message().code().to_owned()));
    named.extend(contributions().flashes.iter().map(|flash| flash.code.to_owned()));
    named
}

#[test]
fn each_code_has_one_text_and_each_text_is_used() {
    let codes = codes();
    let all: BTreeSet<_> = codes.iter().cloned().collect();
    let twice: Vec<_> =
        all.iter().filter(|code| codes.iter().filter(|one| one == code).count() > 1).collect();
    assert!(twice.is_empty(), "codes that stand twice: {twice:?}");
    let (sources, mut used) = (sources(), named());
    for source in &sources {
        for mark in ["t(\"", "Message::new(\"", "malformed(\""] {
            let at = source.match_indices(mark).filter(|(at, _)| {
                let before = source[..*at].chars().next_back();
                before.is_none_or(|c| !c.is_alphanumeric() && c != '_')
            });
            used.extend(at.map(|(at, _)| source[at + mark.len()..].split('"').next().unwrap().to_owned()));
        }
    }
    let missing: Vec<_> = used.difference(&all).collect();
    assert!(missing.is_empty(), "codes without a text: {missing:?}");
    let is_quoted = |code: &String| sources.iter().any(|source| source.contains(&format!("\"{code}\"")));
    let unused: Vec<_> = all.difference(&used).filter(|code| !is_quoted(code)).collect();
    assert!(unused.is_empty(), "texts that nothing uses: {unused:?}");
}

#[test]
fn programs_read_english_messages_with_their_parameters() {
    let plural = Message::new("wait-minutes").with("count", 2_u64);
    let texts = Texts::new(&contributions().language);
    assert_eq!(texts.say(&plural), "2 minutes");
    let escaped = Texts::new(&contributions().language).written_by(|text| text.replace('<', "&lt;").into());
    let refused = Error::RefusedByApplication("<b>".into()).message();
    assert_eq!((texts.say(&refused), escaped.say(&refused)), ("<b>".into(), "&lt;b>".into()));
    assert_eq!(texts.say(&Message::new("nothing").with("at", "all")), "nothing at=all");
    let email = "ada".parse::<doorward_core::email::Email>().unwrap_err();
    assert_eq!(english(&email.into()), "must have one @, like ada@example.com");
}

/// A language without ASCII letters, made from the English texts as a translator would: one file, with other sentences.
fn another_language() -> Language {
    let file = contributions().language.files.into_iter().map(|file| {
        let mut file = parser::parse(file.into_owned()).unwrap();
        for entry in &mut file.body {
            let Entry::Message(text) = entry else { continue };
            text.value
                .iter_mut()
                .chain(text.attributes.iter_mut().map(|one| &mut one.value))
                .for_each(translate);
        }
        serializer::serialize(&file)
    });
    Language { tag: "x-wide".into(), files: vec![file.collect::<Vec<_>>().join("\n").into()] }
}

fn translate(pattern: &mut Pattern<String>) {
    for element in &mut pattern.elements {
        match element {
            PatternElement::TextElement { value } => *value = value.chars().map(wide).collect(),
            PatternElement::Placeable { expression: Expression::Select { variants, .. } } => {
                variants.iter_mut().for_each(|variant| translate(&mut variant.value));
            }
            PatternElement::Placeable { .. } => {}
        }
    }
}

fn wide(c: char) -> char {
    if c.is_ascii_alphabetic() { char::from_u32(u32::from(c) + 0xFEE0).unwrap() } else { c }
}

const SESSION: &str = "__Host-sessionId";

/// What the pages of tests contain in every language: names, addresses, and values of the API, such as the details of
/// an audit entry.
const DATA: [&str; 15] = [
    "Doorward", "role", "ada", "eve", "bob", "new", "shop", "example", "org", "admin", "user", "owner",
    "Unknown", "device", "c",
];

/// The words that a page shows, in its text and in attributes that are read out.
fn words(page: &str) -> BTreeSet<String> {
    let mut shown = String::new();
    for part in page.split('<').skip(1) {
        let (tag, text) = part.split_once('>').unwrap_or((part, ""));
        for name in [
            "aria-label=\"",
            "title=\"",
            "placeholder=\"",
            "data-show=\"",
            "data-show-label=\"",
            "data-wait=\"",
        ] {
            let value = tag.split_once(name).map_or("", |(_, rest)| rest.split('"').next().unwrap());
            shown += &format!("{value} ");
        }
        // Ids, codes and links are those of the API.
        if !tag.contains("class=\"code\"") {
            shown += &format!("{text} ");
        }
    }
    for entity in ["&#x27;", "&#x2f;", "&amp;", "&lt;", "&gt;", "&quot;"] {
        shown = shown.replace(entity, " ");
    }
    let is_id = |word: &str| word.len() == 36 && word.chars().all(|c| c == '-' || c.is_ascii_hexdigit());
    let words = shown.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !is_id(word));
    let words = words.flat_map(|word| word.split(|c: char| !c.is_ascii_alphabetic()));
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

#[track_caller]
fn is_translated(what: &str, page: &str) {
    let english: Vec<_> = words(page).into_iter().filter(|word| !DATA.contains(&word.as_str())).collect();
    assert!(page.contains("lang=\"x-wide\""), "{what} is no page: {page}");
    assert!(english.is_empty(), "{what} has English on it: {english:?}\n{page}");
}

async fn shows(visitor: &Visitor, path: &str) -> String {
    let page = visitor.page(path).await.text();
    is_translated(path, &page);
    page
}

async fn answers(visitor: &Visitor, path: &str, fields: &[(&str, &str)]) -> String {
    let page = visitor.form(path, fields).await.text();
    is_translated(&format!("{path} {fields:?}"), &page);
    page
}

#[test]
fn no_template_has_a_sentence() {
    // Layouts, the product and a format.
    const NAMES: [&str; 7] = ["home", "docs", "inspect", "Doorward", "OpenAPI", "openapi", "json"];
    let shared = SHARED.into_iter().chain(contributions().templates);
    for (name, template) in shared {
        let template = template.replace("{{", "{").replace("}}", "}").replace("?return_to=", "");
        let markup: String = template.split(['{', '}']).step_by(2).collect();
        let outside: Vec<_> =
            words(&markup).into_iter().filter(|word| !NAMES.contains(&word.as_str())).collect();
        assert!(outside.is_empty(), "{name} has words that are no texts: {outside:?}");
    }
}

#[tokio::test]
async fn a_language_is_a_file_and_no_page_of_a_visitor_has_english_beside_it() {
    let site = Site::new().await.in_language(another_language()).await;
    let visitor = site.visitor();
    for flash in &site.app.contributions.flashes {
        shows(&visitor, &flash.at("/login")).await;
    }
    for path in
        ["/register", "/logout", "/password/reset", "/password/reset?token=abc", "/nothing", "/login?done=x"]
    {
        shows(&visitor, path).await;
    }
    let long = format!("{}@example.org", "a".repeat(65));
    for email in ["", "ada", "a b@example.org", "\u{430}da@example.org", "ada@", &long] {
        answers(&visitor, "/register", &[("name", "\u{7}"), ("email", email), ("password", "1234567")]).await;
    }
    let long = "n".repeat(1_025);
    for [name, password] in [["", ""], [&long, &long], ["ada", "password"], ["adalovelace", "adalovelace"]] {
        let email = ("email", "ada@example.org");
        answers(&visitor, "/register", &[("name", name), email, ("password", password)]).await;
    }
    let fields = [("name", "ada"), ("email", "ada@example.org"), ("password", "ada@example.org")];
    answers(&visitor, "/register", &fields).await;
    answers(&visitor, "/login", &[("email", "ada@example.org"), ("password", "wrong"), ("mode", "none")])
        .await;
    answers(&visitor, "/login", &[("email", "ada@example.org"), ("password", "wrong"), ("mode", "bearer")])
        .await;
    for _ in 0..30 {
        answers(&visitor, "/login", &[("email", "ada@example.org"), ("password", "wrong")]).await;
    }
    answers(&visitor, "/password/reset", &[("token", "abc"), ("new_password", PASSWORD)]).await;
    answers(&visitor, "/login", &[("email", "x"), ("email", "y")]).await;
    for registration in ["closed", "invite"] {
        let site = site
            .restarted_with(&[("registration", registration)])
            .await
            .in_language(another_language())
            .await;
        shows(&site.visitor(), "/register").await;
        answers(&site.visitor(), "/register", &[("name", "ada"), ("email", "b@c"), ("password", PASSWORD)])
            .await;
    }
}

#[tokio::test]
async fn no_page_of_a_user_has_english_beside_the_language() {
    let site = Site::new().await.in_language(another_language()).await;
    let _ = site.user("eve", RoleName::USER).await;
    let ada = site.logged_in_by("ada", Mode::Session).await;
    let other = site.logged_in_by("ada", Mode::Session).await;
    shows(&ada, "/dashboard").await;
    shows(&ada, "/admin/users").await;
    for (path, fields) in [
        ("/profile", vec![("name", "")]),
        ("/profile", vec![("email", "bob@example.org")]),
        ("/profile", vec![("email", "eve@example.org"), ("password", PASSWORD)]),
        ("/profile", vec![("email", "bob@example.org"), ("password", "wrong")]),
        ("/profile/password", vec![("current_password", "wrong"), ("new_password", "short")]),
        ("/profile/password", vec![("current_password", PASSWORD), ("new_password", "ada@example.org")]),
        ("/profile/delete", vec![("password", "wrong")]),
        ("/sessions/none/end", vec![]),
    ] {
        answers(&ada, path, &fields).await;
    }
    site.later(Duration::from_secs(90_000)).await;
    shows(&other, "/dashboard").await;
    let eve = site.logged_in_by("eve", Mode::Session).await;
    let ada = site.logged_in_by("ada", Mode::Session).await;
    let [one, two] = [&eve, &ada].map(|visitor| visitor.cookie(SESSION).unwrap());
    for cookies in [format!("{SESSION}={one}; {SESSION}={two}"), format!("{SESSION}={one};").repeat(65)] {
        let request = site.visitor().request(Method::GET, "/dashboard").header(ACCEPT, "text/html");
        let page = site.visitor().send(request.header(COOKIE, cookies), "").await.text();
        is_translated("a browser with too many cookies", &page);
    }
}

#[tokio::test]
async fn no_page_of_an_admin_has_english_beside_the_language() {
    let site = Site::new().await.in_language(another_language()).await;
    let eve = site.user("eve", RoleName::USER).await;
    let _session = site.logged_in_by("eve", Mode::Session).await;
    site.user("ada", RoleName::ADMIN).await;
    let ada = site.logged_in_by("ada", Mode::Session).await;
    let me = ada.user_id().await;
    // The sign-in confirms no more.
    site.later(Duration::from_secs(700)).await;
    let user = format!("/admin/users/{eve}");
    let admin = format!("/admin/users/{}", site.user("owner", RoleName::ADMIN).await);
    let forms: [(&str, Vec<(&str, &str)>); 6] = [
        ("/admin/users", vec![("name", "new"), ("email", "new@example.org"), ("role", "admin")]),
        ("/admin/clients", vec![("name", "shop")]),
        ("/admin/invitations", vec![("email", "new@example.org"), ("role", "admin")]),
        (&format!("{admin}/reset-link"), vec![]),
        (&user, vec![("role", "admin")]),
        (&format!("{admin}/delete"), vec![]),
    ];
    for (path, fields) in &forms {
        answers(&ada, path, fields).await;
    }
    let confirmed = ("current_password", PASSWORD);
    ada.form("/admin/users", &[("name", "bob"), ("email", "bob@example.org"), confirmed])
        .await
        .has_status(303);
    answers(&ada, "/admin/users", &[("name", ""), ("email", ""), ("role", "No")]).await;
    answers(&ada, "/admin/users", &[("name", "c"), ("email", "bob@example.org"), ("role", "none")]).await;
    for (path, fields) in &forms[1..4] {
        answers(&ada, path, fields).await;
    }
    let bob =
        site.app.users.find_by_email(&"bob@example.org".parse().unwrap()).await.unwrap().unwrap().user.id;
    for path in ["users", "users?search=zz", "users?role=user", "sessions", "invitations", "clients", "audit"]
    {
        shows(&ada, &format!("/admin/{path}")).await;
    }
    for path in [user.clone(), format!("/admin/users/{bob}"), format!("/admin/users/{me}")] {
        shows(&ada, &path).await;
    }
    for (what, limit) in
        [("users", "0"), ("sessions", "x"), ("invitations", "0"), ("clients", "0"), ("audit", "0")]
    {
        shows(&ada, &format!("/admin/{what}?limit={limit}")).await;
        shows(&ada, &format!("/admin/{what}?after=x")).await;
        shows(&ada, &format!("/admin/{what}?limit=1")).await;
    }
    for path in ["/admin/users?role=No!", "/admin/users?a=1&a=2", "/admin/users?search=%00"] {
        shows(&ada, path).await;
    }
    ada.form(&user, &[("disabled", "true")]).await.has_status(303);
    shows(&ada, &user).await;
    answers(&ada, &user, &[("disabled", "maybe"), ("role", "none"), ("name", "")]).await;
}
