//! What an application decides and does when people register and sign in.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use doorward::Claims;
use doorward::hooks::{Hooks, SigningIn, Veto};
use doorward::testing::{Answer, PASSWORD, Site, Visitor};
use doorward_core::{Mode, Refusal};
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

fn ada() -> Value {
    json!({ "name": "Ada", "email": "ada@example.org", "password": PASSWORD })
}

const FORM: [(&str, &str); 3] = [("name", "Ada"), ("email", "ada@example.org"), ("password", PASSWORD)];

/// The people whom hooks were called for.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<SigningIn>>>);

impl Told {
    fn of(&self, who: SigningIn) {
        self.0.lock().unwrap().push(who);
    }

    fn names(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().map(|who| format!("{} {} {}", who.name, who.role, who.mode)).collect()
    }
}

async fn registers(site: &Site) -> (Visitor, Answer) {
    let visitor = site.visitor();
    let answer = visitor.post("/register", ada()).await;
    (visitor, answer)
}

#[tokio::test]
async fn an_application_refuses_an_account_with_a_message() {
    let hooks = Hooks::new().before_register(|who| async move {
        if who.email.as_str().ends_with("@example.com") {
            return Ok(());
        }
        Err(Veto::refuse("Only <people> of example.com\u{7} can register"))
    });
    let site = Site::with_hooks(&[], hooks).await;
    let (_, refused) = registers(&site).await;
    refused.has_status(403);
    let problem = refused.is_refused("refused_by_application");
    assert_eq!(problem["message"], "Only <people> of example.com can register");

    let page = site.visitor().form("/register", &FORM).await;
    page.has_status(403);
    assert!(page.text().contains("Only &lt;people&gt; of example.com can register"), "{}", page.text());
    // No account was made: the address is free.
    assert!(site.app.users.find_by_email(&"ada@example.org".parse().unwrap()).await.unwrap().is_none());

    let eve = json!({ "name": "Eve", "email": "eve@example.com", "password": PASSWORD });
    site.visitor().post("/register", eve).await.has_status(201);
}

#[tokio::test]
async fn a_sign_in_is_refused_only_after_the_right_password() {
    let told = Told::default();
    let asked = told.clone();
    let hooks = Hooks::new().before_login(move |who| {
        asked.of(who);
        async { Err(Veto::refuse("Pay first")) }
    });
    let site = Site::with_hooks(&[], hooks).await;
    registers(&site).await.1.has_status(201);

    let mut wrong = ada();
    wrong["password"] = "another promise".into();
    site.visitor().post("/login", wrong).await.is_refused("invalid_credentials");
    assert!(told.names().is_empty());

    let visitor = site.visitor();
    let refused = visitor.post("/login", ada()).await;
    assert_eq!(refused.is_refused("refused_by_application")["message"], "Pay first");
    assert_eq!((told.names(), visitor.token()), (vec!["Ada user bearer".to_owned()], None));
    let page = visitor.form("/login", &FORM).await;
    page.has_status(403);
    assert!(page.set_cookies().is_empty() && page.text().contains("Pay first"));
}

#[tokio::test]
async fn a_hook_that_hangs_panics_or_fails_closes_the_door() {
    let failing = || "x".parse::<u8>().unwrap_err();
    let broken = [
        Hooks::new().before_register(|_| std::future::pending()),
        Hooks::new().before_register(|_| -> std::future::Ready<_> { panic!("in the hook itself") }),
        Hooks::new().before_register(|_| async { panic!("in what it returns") }),
        Hooks::new().before_register(move |_| async move { Err(failing())? }),
        Hooks::new().claims(|_| std::future::pending::<Result<Plan, Veto>>()),
        Hooks::new().claims(|_| async { Ok("x".repeat(300)) }),
        Hooks::new().claims(|_| async { Ok([("plan", "x".repeat(300))].into_iter().collect::<Names>()) }),
    ];
    for hooks in broken {
        let site = Site::with_hooks(&[], hooks.limit(Duration::from_millis(20))).await;
        let (visitor, answer) = registers(&site).await;
        answer.has_status(503).is_refused("unavailable");
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert_eq!(visitor.token(), None);
        assert!(site.app.users.find_by_email(&"ada@example.org".parse().unwrap()).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn an_application_learns_of_accounts_and_sign_ins_after_they_are_made() {
    let (accounts, sign_ins) = (Told::default(), Told::default());
    let (made, came) = (accounts.clone(), sign_ins.clone());
    let hooks = Hooks::new()
        .after_register(move |who| {
            made.of(who);
            async {}
        })
        .after_login(move |who| {
            came.of(who);
            async {}
        });
    let site = Site::with_hooks(&[], hooks).await;
    let (visitor, _) = registers(&site).await;
    assert_eq!((accounts.names(), sign_ins.names()), (vec!["Ada user bearer".to_owned()], vec![]));
    let id = visitor.user_id().await;
    assert_eq!(accounts.0.lock().unwrap()[0].user.to_string(), id);

    registers(&site).await.1.is_refused("email_taken");
    let mut wrong = ada();
    wrong["password"] = "another promise".into();
    site.visitor().post("/login", wrong).await.is_refused("invalid_credentials");
    site.visitor().form("/login", &FORM).await.goes_to("/dashboard");
    assert_eq!((accounts.names().len(), sign_ins.names()), (1, vec!["Ada user session".to_owned()]));
}

#[tokio::test]
async fn a_hook_that_comes_after_cannot_change_the_answer() {
    for hooks in [
        Hooks::new().after_register(|_| std::future::pending()),
        Hooks::new().after_register(|_| async { panic!("afterwards") }),
    ] {
        let site = Site::with_hooks(&[], hooks.limit(Duration::from_millis(20))).await;
        let (visitor, answer) = registers(&site).await;
        answer.has_status(201);
        visitor.get("/profile").await.is_ok();
    }
}

#[tokio::test]
async fn accounts_that_an_admin_makes_come_past_no_hook() {
    let hooks = Hooks::new()
        .before_register(|_| async { Err(Veto::refuse("Nobody registers")) })
        .after_register(|_| async { panic!("nobody registered") });
    let site = Site::with_hooks(&[], hooks).await;
    let admin = site.admin("grace").await;
    admin.post("/admin/users", ada()).await.has_status(201);
    site.visitor().post("/login", ada()).await.has_status(200);
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Plan {
    plan: String,
    seats: u32,
}

type Names = std::collections::BTreeMap<&'static str, String>;

/// What the guard reads from a visitor's token.
async fn plan(site: &Site, visitor: &Visitor) -> Result<Option<Plan>, Refusal> {
    let bearer = format!("Bearer {}", visitor.token().unwrap());
    let headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, bearer.parse().unwrap())]);
    site.app.guard.claims(&headers).await.map(|Claims(_, plan)| plan)
}

#[tokio::test]
async fn tokens_carry_what_the_application_says_at_that_time() {
    let seats = Arc::new(Mutex::new(1));
    let now = seats.clone();
    let hooks = Hooks::new().claims(move |_| {
        let seats = *now.lock().unwrap();
        async move { Ok(Plan { plan: "gold".into(), seats }) }
    });
    let site = Site::with_hooks(&[], hooks).await;
    let (visitor, _) = registers(&site).await;
    assert_eq!(plan(&site, &visitor).await, Ok(Some(Plan { plan: "gold".into(), seats: 1 })));
    *seats.lock().unwrap() = 5;
    visitor.refresh().await.is_ok();
    assert_eq!(plan(&site, &visitor).await, Ok(Some(Plan { plan: "gold".into(), seats: 5 })));

    // The same check comes first: an ended session has no claims.
    let copy = visitor.copy();
    visitor.post("/logout", Value::Null).await.is_ok();
    assert_eq!(plan(&site, &copy).await, Err(Refusal::SessionEnded));
}

#[tokio::test]
async fn a_session_cookie_carries_no_claims_and_nobody_asks_for_them() {
    let hooks = Hooks::new().claims(|_| async { Err::<Plan, _>(Veto::refuse("no tokens here")) });
    let site = Site::with_hooks(&[], hooks).await;
    site.user("ada", doorward_core::role::RoleName::USER).await;
    let visitor = site.logged_in_by("ada", Mode::Session).await;
    let cookie = format!("__Host-sessionId={}", visitor.cookie("__Host-sessionId").unwrap());
    let headers = HeaderMap::from_iter([(http::header::COOKIE, cookie.parse().unwrap())]);
    let Claims(identity, none) = site.app.guard.claims::<Plan>(&headers).await.unwrap();
    assert_eq!((identity.mode, none), (Mode::Session, None));
}

#[tokio::test]
async fn a_refusal_at_the_refresh_leaves_the_refresh_token_good() {
    let paid = Arc::new(Mutex::new(true));
    let has_paid = paid.clone();
    let hooks = Hooks::new().claims(move |_| {
        let paid = *has_paid.lock().unwrap();
        async move { if paid { Ok(None::<Plan>) } else { Err(Veto::refuse("Your plan has run out")) } }
    });
    let site = Site::with_hooks(&[], hooks).await;
    let (visitor, _) = registers(&site).await;
    assert_eq!(plan(&site, &visitor).await, Ok(None));
    *paid.lock().unwrap() = false;
    let refused = visitor.refresh().await;
    assert_eq!(refused.is_refused("refused_by_application")["message"], "Your plan has run out");
    site.later(Duration::from_secs(120)).await;
    *paid.lock().unwrap() = true;
    visitor.refresh().await.is_ok();
}
