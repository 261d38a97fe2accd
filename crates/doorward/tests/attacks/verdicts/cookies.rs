//! The shared table of raw `Cookie` lines, `tests/verdicts/cookies.json`: the server, the guard, /forward-auth and the
//! guard in TypeScript read and judge them alike. `UPDATE=1 cargo test -p doorward --test attacks the_table` writes it.
//!
//! Each character of a line is one byte.

use std::fmt::Write;
use std::path::PathBuf;

use doorward::testing::Site;
use doorward_core::name::DisplayName;
use doorward_core::{OpaqueSecret, SessionId, Timestamp, UserId};
use doorward_guard::{CookieNames, Denied, Guard};
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::{Value, json};

use super::table::Signer;
use super::{ADA, CAROL, NOW, SECRET, text};

const CLAIMS: &str = r#"{"iss":"ISS","aud":"doorward","sub":"SUB","sid":"SID","role":"ROLE","jti":"AAAAAAAAAAAAAAAAAAAAAA","iat":1799999900,"exp":EXP,"ver":VER}"#;
const LATER: i64 = NOW + 800;
const PAST: i64 = NOW - 1;

/// Ids of sessions: of Ada and Carol, each with tokens and with a secret, and dead ones of Ada.
const OF_ADA: &str = "01890a5d-ac96-774b-bcce-b302099a8101";
const OF_CAROL: &str = "01890a5d-ac96-774b-bcce-b302099a8102";
const ENDED: &str = "01890a5d-ac96-774b-bcce-b302099a8103";
const PHONE_OF_ADA: &str = "01890a5d-ac96-774b-bcce-b302099a8104";
const PHONE_OF_CAROL: &str = "01890a5d-ac96-774b-bcce-b302099a8105";
const ENDED_PHONE: &str = "01890a5d-ac96-774b-bcce-b302099a8106";
const EXPIRED_PHONE: &str = "01890a5d-ac96-774b-bcce-b302099a8107";

/// A name for settings of a server, the settings, the names of its cookies, and its issuer.
type Setting = (&'static str, &'static [(&'static str, &'static str)], [&'static str; 3], &'static str);

const SETTINGS: [Setting; 4] = [
    ("usual", &[], ["__Host-token", "__Host-sessionId", "__Host-refresh_token"], "doorward"),
    (
        "domain",
        &[("public_url", "https://accounts.example.com"), ("cookie.domain", "example.com")],
        ["__Host-token", "__Secure-sessionId", "__Host-refresh_token"],
        "https://accounts.example.com",
    ),
    ("dev", &[("dev", "true")], ["token", "sessionId", "refresh_token"], "doorward"),
    ("lax", &[("dev", "true"), LAX], ["token", "sessionId", "refresh_token"], "doorward"),
];
const LAX: (&str, &str) = ("cookie.same_site", "lax");

fn path() -> PathBuf {
    super::path().with_file_name("cookies.json")
}

fn read() -> Value {
    serde_json::from_str(&std::fs::read_to_string(path()).unwrap()).unwrap()
}

/// Secrets that are easy to distinguish, each in its one spelling.
fn secret(letter: &str) -> String {
    format!("{}A", letter.repeat(42))
}

fn sessions() -> Value {
    let row = |id: &str, user: &str, secret: Option<String>, state: &str| json!({ "id": id, "user": user, "secret": secret, "state": state });
    json!([
        row(OF_ADA, ADA, None, "live"),
        row(OF_CAROL, CAROL, None, "live"),
        row(ENDED, ADA, None, "ended"),
        row(PHONE_OF_ADA, ADA, Some(secret("a")), "live"),
        row(PHONE_OF_CAROL, CAROL, Some(secret("c")), "live"),
        row(ENDED_PHONE, ADA, Some(secret("e")), "ended"),
        row(EXPIRED_PHONE, ADA, Some(secret("x")), "expired"),
    ])
}

/// The parts of the lines, under one setting.
struct Values {
    t: &'static str,
    s: &'static str,
    r: &'static str,
    ada: String,
    ada_again: String,
    ada_late: String,
    carol: String,
    carol_stale: String,
    ended: String,
}

impl Values {
    fn of([t, s, r]: [&'static str; 3], issuer: &str) -> Self {
        let signer = Signer::hs256(SECRET);
        let token = |user: &str, session: &str, (role, version): (&str, &str), until: i64| {
            let claims = CLAIMS.replace("ISS", issuer).replace("SUB", user).replace("SID", session);
            let claims = claims.replace("ROLE", role).replace("VER", version);
            signer.signed(&claims.replace("EXP", &until.to_string()))
        };
        let user = ("user", "1");
        Self {
            t,
            s,
            r,
            ada: token(ADA, OF_ADA, user, LATER),
            ada_again: token(ADA, OF_ADA, user, LATER - 1),
            ada_late: token(ADA, OF_ADA, user, PAST),
            carol: token(CAROL, OF_CAROL, ("admin", "1"), LATER),
            carol_stale: token(CAROL, OF_CAROL, ("user", "0"), LATER),
            ended: token(ADA, ENDED, user, LATER),
        }
    }
}

/// Name, lines, and what is expected: the session that counts, or a code.
type Row = (&'static str, Vec<String>, &'static str);

fn rows(v: &Values) -> Vec<Row> {
    let mut rows = one_or_none(v);
    rows.extend(several(v));
    rows.extend(dead(v));
    rows.extend(spellings(v));
    rows.extend(many(v));
    rows
}

fn one_or_none(v: &Values) -> Vec<Row> {
    let Values { t, s, r, ada, .. } = v;
    let (a, c, live) = (secret("a"), secret("c"), OF_ADA);
    vec![
        ("no cookie of ours", vec!["a=b; c".into()], "token_missing"),
        ("a refresh token alone", vec![format!("{r}=dr1.x")], "token_missing"),
        ("one token", vec![format!("{t}={ada}")], live),
        ("one secret", vec![format!("{s}={a}")], PHONE_OF_ADA),
        ("equal tokens on one line", vec![format!("{t}={ada}; {t}={ada}")], live),
        ("equal secrets on two lines", vec![format!("{s}={a}"), format!("x=y; {s}={a}")], PHONE_OF_ADA),
        ("two tokens of one session", vec![format!("{t}={ada}; {t}={}", v.ada_again)], live),
        ("two users' tokens", vec![format!("{t}={ada}; {t}={}", v.carol)], "ambiguous_cookies"),
        (
            "two users' tokens on two lines",
            vec![format!("{t}={}", v.carol), format!("{t}={ada}")],
            "ambiguous_cookies",
        ),
        ("two users' secrets", vec![format!("{s}={a}; {s}={c}")], "ambiguous_cookies"),
        ("two sessions of one user, of two modes", vec![format!("{t}={ada}; {s}={a}")], "ambiguous_cookies"),
        ("two users, of two modes", vec![format!("{s}={c};{t}={ada}")], "ambiguous_cookies"),
        ("three", vec![format!("{s}={c};{t}={ada}; {s}={a}")], "ambiguous_cookies"),
        (
            "two live ones behind dead ones",
            vec![format!("{s}=x; {s}={}; {s}={c}; {t}=y; {t}={ada}", secret("e"))],
            "ambiguous_cookies",
        ),
    ]
}

fn several(v: &Values) -> Vec<Row> {
    let Values { t, s, ada, ended, .. } = v;
    let (a, e, x, nobody) = (secret("a"), secret("e"), secret("x"), secret("n"));
    vec![
        ("a made-up token first", vec![format!("{t}=x; {t}={ada}")], OF_ADA),
        ("a made-up token last", vec![format!("{t}={ada}; {t}=x.y.z")], OF_ADA),
        ("an empty one beside", vec![format!("{t}=; {t}={ada}")], OF_ADA),
        ("no text beside", vec![format!("{t}=\u{ff}\u{fe}; {t}={ada}")], OF_ADA),
        ("an ended session's token first", vec![format!("{t}={ended}; {t}={ada}")], OF_ADA),
        ("an ended session's token last", vec![format!("{t}={ada}; {t}={ended}")], OF_ADA),
        ("an expired token of the same session", vec![format!("{t}={}; {t}={ada}", v.ada_late)], OF_ADA),
        (
            "an expired token of another session",
            vec![format!("{t}={}; {t}={}", v.ada_late, v.carol)],
            OF_CAROL,
        ),
        (
            "a stale token of the same session",
            vec![format!("{t}={}; {t}={}", v.carol_stale, v.carol)],
            OF_CAROL,
        ),
        ("a stale token of another session", vec![format!("{t}={}; {t}={ada}", v.carol_stale)], OF_ADA),
        ("an ended session's secret first", vec![format!("{s}={e}; {s}={a}")], PHONE_OF_ADA),
        ("an ended session's secret last", vec![format!("{s}={a}; {s}={e}")], PHONE_OF_ADA),
        ("an expired session's secret", vec![format!("{s}={x}; {s}={a}")], PHONE_OF_ADA),
        ("nobody's secret", vec![format!("{s}={nobody}; {s}={a}")], PHONE_OF_ADA),
        ("no secret at all", vec![format!("{s}=x"), format!("{s}={a}")], PHONE_OF_ADA),
        ("a dead secret beside a token", vec![format!("{s}={e}; {t}={ada}")], OF_ADA),
        ("a made-up token beside a secret", vec![format!("{t}=x; {s}={a}")], PHONE_OF_ADA),
        (
            "a dead one of each kind",
            vec![format!("{t}={ended}; {s}={e}; {s}={x}; {s}={nobody}; {t}={}; {s}={a}", v.ada_late)],
            PHONE_OF_ADA,
        ),
    ]
}

fn dead(v: &Values) -> Vec<Row> {
    let Values { t, s, ended, ada_late, .. } = v;
    let (e, x, nobody) = (secret("e"), secret("x"), secret("n"));
    vec![
        ("made up", vec![format!("{t}=x")], "token_invalid"),
        ("two made up", vec![format!("{t}=x; {t}=y")], "token_invalid"),
        ("only no text", vec![format!("{t}=\u{ff}; {t}=\u{fe}")], "token_invalid"),
        ("an ended secret", vec![format!("{s}={e}")], "session_ended"),
        ("an expired secret", vec![format!("{s}={x}")], "session_expired"),
        ("an ended and an expired secret", vec![format!("{s}={e}; {s}={x}")], "session_expired"),
        ("an ended and nobody's secret", vec![format!("{s}={nobody}; {s}={e}")], "session_ended"),
        ("an ended and a made-up token", vec![format!("{t}=x; {t}={ended}")], "session_ended"),
        ("an ended and an expired token", vec![format!("{t}={ended}; {t}={ada_late}")], "token_expired"),
        ("a stale and an ended token", vec![format!("{t}={ended}; {t}={}", v.carol_stale)], "token_stale"),
        (
            "a stale and an expired token",
            vec![format!("{t}={}; {t}={ada_late}", v.carol_stale)],
            "token_expired",
        ),
        (
            "a stale token and nobody's secret",
            vec![format!("{t}={}; {s}={nobody}", v.carol_stale)],
            "token_stale",
        ),
    ]
}

/// Names are exact, byte for byte; only spaces and tabs stand around.
fn spellings(v: &Values) -> Vec<Row> {
    let Values { t, s, ada, carol, .. } = v;
    let a = secret("a");
    let mut rows: Vec<Row> = vec![
        ("spaces and tabs around", vec![format!(" a=b ;\t {t}={ada} \t; c=d")], OF_ADA),
        ("a semicolon more", vec![format!(";;{t}={ada};;")], OF_ADA),
        ("broken ones around", vec![format!("a=\"b; \u{ff}; =; $Version=1; {t}={ada}; c=\u{e9}")], OF_ADA),
        ("a space before the equals sign", vec![format!("{t} ={ada}")], "token_missing"),
        ("a space after the equals sign", vec![format!("{t}= {ada}")], "token_invalid"),
        ("no name", vec![format!("={t}={ada}")], "token_missing"),
        ("no value", vec![(*t).to_owned()], "token_missing"),
        ("in upper case", vec![format!("{}={ada}", t.to_uppercase())], "token_missing"),
        ("a longer name", vec![format!("{t}2={ada}; x{t}={ada}; {s}.x={a}")], "token_missing"),
        ("a quoted value", vec![format!("{s}=\"{a}\"")], "token_invalid"),
        ("a quoted name", vec![format!("\"{s}\"={a}")], "token_missing"),
        ("two in one value", vec![format!("{s}={a},{s}={a}")], "token_invalid"),
        ("an escaped name", vec![format!("%{:X}{}={a}", s.as_bytes()[0], &s[1..])], "token_missing"),
    ];
    // Byte A0, 85 and other bytes that some languages trim like spaces: each is part of the name.
    for (name, space) in [
        ("byte A0 before the name", "\u{a0}"),
        ("byte 85 before the name", "\u{85}"),
        ("a no-break space before the name", "\u{c2}\u{a0}"),
        ("an em space before the name", "\u{e2}\u{80}\u{83}"),
        ("a byte order mark before the name", "\u{ef}\u{bb}\u{bf}"),
    ] {
        rows.push((name, vec![format!("{space}{t}={ada}")], "token_missing"));
        rows.push((name, vec![format!("a=b; {space}{t}={carol}; {t}={ada}")], OF_ADA));
        rows.push((name, vec![format!("{t}{space}={carol}; {t}={ada}")], OF_ADA));
    }
    rows
}

fn many(v: &Values) -> Vec<Row> {
    let Values { t, s, r, ada, .. } = v;
    let a = secret("a");
    let made_up = |name: &str, count: usize| (0..count).map(|n| format!("{name}={n}; ")).collect::<String>();
    vec![
        ("63 made-up tokens before the real one", vec![format!("{}{t}={ada}", made_up(t, 63))], OF_ADA),
        (
            "64 made-up tokens before the real one",
            vec![format!("{}{t}={ada}", made_up(t, 64))],
            "too_many_cookies",
        ),
        ("63 made-up secrets before the real one", vec![format!("{}{s}={a}", made_up(s, 63))], PHONE_OF_ADA),
        (
            "64 made-up secrets after the real one",
            vec![format!("{s}={a}; {}", made_up(s, 64))],
            "too_many_cookies",
        ),
        (
            "64 of each, one of them real",
            vec![format!("{}{}{s}={a}", made_up(t, 64), made_up(s, 63))],
            PHONE_OF_ADA,
        ),
        ("65 equal ones", vec![format!("{t}=x;").repeat(65)], "too_many_cookies"),
        ("65 on as many lines", (0..65).map(|_| format!("{s}={a}")).collect(), "too_many_cookies"),
        ("65 of no text", vec![format!("{s}=\u{ff};").repeat(65)], "too_many_cookies"),
        ("65 refresh tokens are for others to count", vec![format!("{}{t}={ada}", made_up(r, 65))], OF_ADA),
        ("300 foreign ones", vec![format!("{}{t}={ada}", made_up("x", 300))], OF_ADA),
    ]
}

/// The headers in which a browser says where a request comes from.
type Fetch = &'static [(&'static str, &'static str)];

const LINK: Fetch =
    &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
const FORM: Fetch = &[LINK[0], LINK[1], LINK[2], ("origin", "https://evil.example")];
const FRAME: Fetch = &[LINK[0], LINK[1], ("sec-fetch-dest", "iframe")];
const IMAGE: Fetch = &[LINK[0], ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")];
const SAID_TWICE: Fetch = &[("sec-fetch-site", "same-origin"), LINK[0]];
const JOINED: Fetch = &[("sec-fetch-site", "same-origin, cross-site")];

/// Rows of requests that another site causes. A cookie that another host of the domain can plant doesn't count there,
/// since browsers withhold the server's own. With `SameSite=Lax` those of a link count.
fn from_elsewhere(v: &Values, lax: bool) -> Vec<(Fetch, Row)> {
    let Values { t, s, ada, carol, .. } = v;
    let a = secret("a");
    let is_bound = |name: &str| name.starts_with("__Host-");
    let mut rows = Vec::new();
    for fetch in [LINK, FORM, FRAME, IMAGE, SAID_TWICE, JOINED] {
        let counts = |name: &str| is_bound(name) || (lax && fetch == LINK);
        let one = |name: &str, session: &'static str| if counts(name) { session } else { "token_missing" };
        let mut row =
            |name: &'static str, line: String, expected| rows.push((fetch, (name, vec![line], expected)));
        row("from another site, one token", format!("{t}={ada}"), one(t, OF_ADA));
        row("from another site, one secret", format!("x=y; {s}={a}"), one(s, PHONE_OF_ADA));
        let two = if counts(t) { "ambiguous_cookies" } else { "token_missing" };
        row("from another site, two users' tokens", format!("{t}={ada}; {t}={carol}"), two);
        let beside = match (counts(t), counts(s)) {
            (true, true) => "ambiguous_cookies",
            (true, false) => OF_CAROL,
            _ => "token_missing",
        };
        row("from another site, two users, of two modes", format!("{s}={a}; {t}={carol}"), beside);
        let many = if counts(s) { "too_many_cookies" } else { "token_missing" };
        row("from another site, 65 secrets", format!("{s}={a};").repeat(65), many);
    }
    for site in ["same-site", "same-origin", "none"] {
        let fetch: Fetch = match site {
            "same-site" => &[("sec-fetch-site", "same-site")],
            "same-origin" => &[("sec-fetch-site", "same-origin")],
            _ => &[("sec-fetch-site", "none")],
        };
        rows.push((fetch, ("from our own site, one secret", vec![format!("{s}={a}")], PHONE_OF_ADA)));
    }
    rows
}

fn made() -> Value {
    let mut settings = serde_json::Map::new();
    let mut lines = Vec::new();
    for (setting, given, names, issuer) in SETTINGS {
        let ([token, session, refresh], lax) = (names, given.contains(&LAX));
        settings.insert(
            setting.into(),
            json!({ "token": token, "session": session, "refresh": refresh, "issuer": issuer, "lax": lax }),
        );
        let values = Values::of(names, issuer);
        let own = rows(&values).into_iter().map(|row| (&[][..], row));
        for (fetch, (name, sent, expected)) in own.chain(from_elsewhere(&values, lax)) {
            let mut line = json!({ "setting": setting, "name": name, "lines": sent, "verdict": expected });
            if !fetch.is_empty() {
                line["fetch"] = json!(fetch);
            }
            if expected.parse::<SessionId>().is_ok() {
                line["verdict"] = "ok".into();
                line["session"] = expected.into();
            }
            lines.push(line);
        }
    }
    json!({
        "now": NOW, "secret": SECRET, "audience": "doorward", "settings": settings,
        "users": [
            { "id": ADA, "name": "Ada", "email": "ada@example.org", "role": "user" },
            { "id": CAROL, "name": "Carol", "email": "carol@example.org", "role": "admin" },
        ],
        "least_versions": [[CAROL, 1]],
        "sessions": sessions(),
        "rows": lines,
    })
}

/// One row on each line, so that a diff shows what changed.
fn written(table: &Value) -> String {
    let mut text = String::from("{\n");
    for (name, value) in table.as_object().unwrap().iter().filter(|(name, _)| *name != "rows") {
        writeln!(text, "{}: {value},", json!(name)).unwrap();
    }
    let lines: Vec<_> = table["rows"].as_array().unwrap().iter().map(Value::to_string).collect();
    writeln!(text, "\"rows\": [\n{}\n]}}", lines.join(",\n")).unwrap();
    text
}

#[test]
fn the_table_of_cookies_is_what_its_generator_writes() {
    let made = made();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path(), written(&made)).unwrap();
    }
    assert!(read() == made, "UPDATE=1 cargo test -p doorward --test attacks the_table");
}

fn headers(row: &Value) -> HeaderMap {
    let bytes = |line: &Value| text(line).chars().map(|one| u8::try_from(one).unwrap()).collect::<Vec<_>>();
    let lines = row["lines"].as_array().unwrap().iter();
    let cookies = lines.map(|line| (header::COOKIE, HeaderValue::from_bytes(&bytes(line)).unwrap()));
    let fetch = row["fetch"].as_array().into_iter().flatten();
    let fetch = fetch.map(|pair| (text(&pair[0]).parse().unwrap(), text(&pair[1]).parse().unwrap()));
    cookies.chain(fetch).collect()
}

async fn add_users(site: &Site, table: &Value) {
    for user in table["users"].as_array().unwrap() {
        let id: UserId = text(&user["id"]).parse().unwrap();
        let insert = "INSERT INTO users (id, name, name_folded, role, claims_version, created_at, updated_at) \
             VALUES ($1, $2, $2, $3, 1, 0, 0)";
        let column = |name: &str| (&*text(&user[name])).into();
        let values = vec![id.into(), column("name"), column("role")];
        site.app.store.execute(insert, values).await.unwrap();
        crate::reading::add_email(site, id, &text(&user["email"])).await;
    }
}

/// A server with these settings, and the users, sessions and least versions of the table.
async fn server(table: &Value, settings: &[(&str, &str)]) -> Site {
    let fixed = [
        ("JWT_SECRET", SECRET),
        ("trusted_proxies", "192.0.2.0/24"),
        ("forward_auth.hosts", "app.example.com"),
    ];
    let has_domain = settings.iter().any(|(key, _)| *key == "cookie.domain");
    // Only behind a proxy, which a development server never is.
    let fixed = if has_domain { &fixed[..] } else { &fixed[..1] };
    let site = Site::with(&[fixed, settings].concat()).await;
    let now = Timestamp::from_secs(NOW);
    add_users(&site, table).await;
    for session in table["sessions"].as_array().unwrap() {
        let (id, user): (SessionId, UserId) =
            (text(&session["id"]).parse().unwrap(), text(&session["user"]).parse().unwrap());
        let hash = session["secret"].as_str().map(|secret| OpaqueSecret::parse(secret).unwrap().hash());
        let mode = if hash.is_some() { "session" } else { "cookie" };
        let day = std::time::Duration::from_secs(86_400);
        let (state, expired) = (text(&session["state"]), session["state"] == "expired");
        let seen = if expired { now - 30 * day } else { now };
        let ended = (state == "ended").then_some(now);
        let insert = "INSERT INTO sessions (id, user_id, mode, created_at, authenticated_at, amr, last_seen_at, expires_at, \
             absolute_expires_at, secret_hash, salt, ended_at, end_reason) \
             VALUES ($1, $2, $3, $4, $4, 'pwd', $4, $5, $6, $7, $8, $9, $10)";
        let values = vec![
            id.into(),
            user.into(),
            mode.into(),
            seen.into(),
            (seen + day).into(),
            (now + 30 * day).into(),
            hash.into(),
            [1; 16].into(),
            ended.into(),
            ended.map(|_| "logout").into(),
        ];
        site.app.store.execute(insert, values).await.unwrap();
        if state == "ended" {
            let revoke = "INSERT INTO revocations (session_id, user_id, reason, position, created_at, expires_at) \
                 VALUES ($1, $2, 'logout', 1, $3, $4)";
            let values = vec![id.into(), user.into(), now.into(), (now + day).into()];
            site.app.store.execute(revoke, values).await.unwrap();
        }
    }
    for least in table["least_versions"].as_array().unwrap() {
        let user: UserId = text(&least[0]).parse().unwrap();
        let require = "INSERT INTO least_versions (user_id, version, position, created_at, expires_at) \
             VALUES ($1, $2, 2, $3, $4)";
        let until = now + std::time::Duration::from_secs(1_500);
        let values = vec![user.into(), least[1].as_i64().unwrap().into(), now.into(), until.into()];
        site.app.store.execute(require, values).await.unwrap();
    }
    let lane = "INSERT INTO lanes (id, position, owner, seen_at) VALUES (0, 2, 'the table', 0)";
    site.app.store.execute(lane, Vec::new()).await.unwrap();
    site.app.follow().await.unwrap();
    site
}

fn rows_of<'a>(table: &'a Value, setting: &'a str) -> impl Iterator<Item = &'a Value> {
    table["rows"].as_array().unwrap().iter().filter(move |row| row["setting"] == setting)
}

#[tokio::test]
async fn the_server_gives_the_verdicts_of_the_table_of_cookies() {
    let table = read();
    for (setting, settings, ..) in SETTINGS {
        let site = server(&table, settings).await;
        for row in rows_of(&table, setting) {
            let why = format!("{setting}: {}", row["name"]);
            let visitor = site.visitor();
            let mut request = visitor.request(Method::GET, "/sessions");
            request.headers_mut().unwrap().extend(headers(row));
            let answer = visitor.send(request, "").await;
            assert!(answer.set_cookies().is_empty(), "{why}");
            let verdict = if answer.status == 200 { "ok".into() } else { answer.json()["code"].clone() };
            assert_eq!(verdict, row["verdict"], "{why}");
            if answer.status == 200 {
                let sessions = answer.json()["sessions"].as_array().unwrap().clone();
                let current = sessions.iter().find(|session| session["current"] == true).unwrap();
                assert_eq!(current["id"], row["session"], "{why}");
            }
        }
    }
}

#[tokio::test]
async fn forward_auth_gives_the_verdicts_of_the_table_of_cookies() {
    let table = read();
    let (setting, settings, ..) = SETTINGS[1];
    let site = server(&table, settings).await;
    for row in rows_of(&table, setting) {
        let visitor = site.visitor();
        let told = [("x-original-url", "https://app.example.com/"), ("x-forwarded-method", "GET")];
        let mut request = visitor.request(Method::GET, "/forward-auth");
        for (name, value) in told {
            request = request.header(name, value);
        }
        request.headers_mut().unwrap().extend(headers(row));
        let answer = visitor.send(request, "").await;
        let (status, named) = (answer.status.as_u16(), answer.header("remote-user") != Some(""));
        let expected = match row["verdict"].as_str().unwrap() {
            "ok" => (200, true),
            "too_many_cookies" => (403, false),
            _ => (401, false),
        };
        assert_eq!((status, named), expected, "{}", row["name"]);
    }
}

#[tokio::test]
async fn the_guard_gives_the_verdicts_of_the_table_of_cookies() {
    let table = read();
    for (setting, settings, [token, session, refresh], issuer) in SETTINGS {
        let site = server(&table, settings).await;
        let address = site.listen().await;
        let client = DisplayName::parse("Shop").unwrap();
        let (id, password) = site
            .app
            .clients
            .create(&client, &doorward::internals::accounts::Actor::CommandLine)
            .await
            .unwrap();
        let mut names = CookieNames::default();
        (names.token, names.session, names.refresh) = (token.into(), session.into(), refresh.into());
        names.lax = settings.contains(&LAX);
        let guard = Guard::builder()
            .server(format!("http://{address}"))
            .client(id.to_string(), password.as_str())
            .secret(SECRET)
            .issuer(issuer)
            .cookies(names)
            .clock(|| Timestamp::from_secs(NOW))
            .build()
            .await
            .unwrap();
        for row in rows_of(&table, setting) {
            let why = format!("{setting}: {}", row["name"]);
            match guard.check(&headers(row)).await {
                Ok(identity) => {
                    assert_eq!(row["verdict"], "ok", "{why}");
                    assert_eq!(identity.session.to_string(), row["session"], "{why}");
                }
                Err(refusal) => assert_eq!(Denied::Refused(refusal).code(), row["verdict"], "{why}"),
            }
        }
    }
}
