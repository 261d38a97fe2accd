//! Every call of the store fails once, in every request. Nothing is half done, nobody is let in, and what was answered
//! as done is done.

mod scene;

use std::time::Duration;

use doorward::internals::store::Fault;
use doorward::testing::Answer;
use serde_json::Value;

use crate::authorisation::routes::{Route, routes};
use scene::{AUDIT, Scene, requests};

/// More statements than any request has.
const MOST: usize = 100;

/// The effect of a request: the store, whether a password changed, and whose credentials work.
#[derive(PartialEq, Eq, Debug, Clone)]
struct Outcome {
    stored: String,
    password_changed: bool,
    who_is_in: Vec<(&'static str, u16)>,
}

async fn outcome(scene: &Scene, hashes_before: &str) -> Outcome {
    let who = scene.who_is_in().await;
    for (name, here, there) in &who {
        assert_eq!(here, there, "{name}: memory and store don't agree");
    }
    Outcome {
        stored: scene.stored().await,
        password_changed: !scene.hashes().await.starts_with(hashes_before),
        who_is_in: who.into_iter().map(|(name, here, _)| (name, here)).collect(),
    }
}

/// Acts that end something, which are done even without their entry in the audit log (attack X10).
const ENDS: [&str; 12] = [
    "POST /logout",
    "POST /password/reset",
    "POST /profile/password",
    "POST /revoke",
    "DELETE /sessions",
    "POST /sessions/",
    "DELETE /admin/sessions/{id}",
    "POST /admin/sessions/{id}/end",
    "DELETE /admin/users/{id}/sessions",
    "POST /admin/users/{id}/sessions/end",
    "PATCH /admin/users/{id} {\"disabled\"",
    "POST /admin/users/{id} {\"disabled\"",
];

impl Outcome {
    /// Whether it is this outcome except for missing entries of the audit log.
    fn lacks_entries_of(&self, whole: &Self) -> bool {
        let (ours, audited) = self.stored.split_at(self.stored.find(AUDIT).unwrap());
        let (theirs, expected) = whole.stored.split_at(whole.stored.find(AUDIT).unwrap());
        let mut missing: Vec<_> = expected.lines().collect();
        for entry in audited.lines() {
            let Some(at) = missing.iter().position(|line| *line == entry) else { return false };
            missing.remove(at);
        }
        ours == theirs
            && !missing.is_empty()
            && (self.password_changed, &self.who_is_in) == (whole.password_changed, &whole.who_is_in)
    }
}

fn opens(answer: &Answer) -> bool {
    answer.status.is_success() || answer.status.is_redirection()
}

/// Checks that a failed answer hands out nothing.
#[track_caller]
fn gives_nothing(answer: &Answer, asked: &str) {
    // To a proxy any failure is a denial.
    let (status, code) =
        if asked.contains("/forward-auth") { (403, "forbidden") } else { (503, "unavailable") };
    answer.is_refused(code);
    assert_eq!(answer.status, status, "{asked}");
    assert!(answer.set_cookies().is_empty(), "{asked}: {:?}", answer.set_cookies());
    for told in ["panicked", "SELECT", "a test let it fail", "store"] {
        assert!(!answer.text().contains(told), "{asked}: {}", answer.text());
    }
}

/// The routes that a server outside of development mode has.
fn of_production() -> impl Iterator<Item = Route> {
    routes().into_iter().filter(|route| route.who != "development")
}

/// Lets the n-th call meet the fault, for every n of every request. Passes each answer and its effect to `see`, with
/// the effects of doing nothing and of the undisturbed request. Returns how many were met.
async fn each(fault: Fault, see: impl Fn(&str, Option<&Answer>, &Outcome, (&Outcome, &Outcome))) -> usize {
    let mut met = 0;
    // A look at flows is in the audit log before it is answered, and stays there if its answer fails.
    for route in of_production().filter(|route| !route.path.starts_with("/flow")) {
        for body in requests(route) {
            let mut scene = Scene::of(route, &body).await;
            let mut hashes = scene.hashes().await;
            let before = outcome(&scene, &hashes).await;
            // Everything of a scene ends with it: during the next one it would count as that one's.
            let (mut seen, mut spent) = (Vec::new(), Vec::new());
            let after = loop {
                let asked = format!("{} {} {body} ({fault:?} at {})", route.method, route.path, seen.len());
                scene.site.app.store.faults().arm(fault, seen.len());
                let answer = answer(&scene, fault).await;
                if !scene.site.app.store.faults().disarm() {
                    went_well(route, &answer.unwrap(), &asked);
                    break outcome(&scene, &hashes).await;
                }
                assert!(seen.len() < MOST, "{asked}: still met");
                if fault == Fault::LosesItsAnswer {
                    // The database is elsewhere then, and is followed as if other nodes wrote.
                    scene.site.app.follow().await.unwrap();
                }
                let outcome = outcome(&scene, &hashes).await;
                if outcome != before {
                    spent.push(std::mem::replace(&mut scene, Scene::of(route, &body).await));
                    hashes = scene.hashes().await;
                }
                seen.push((asked, answer, outcome));
            };
            for (asked, answer, outcome) in &seen {
                see(asked, answer.as_ref(), outcome, (&before, &after));
            }
            met += seen.len();
        }
    }
    met
}

#[track_caller]
fn went_well(route: Route, answer: &Answer, asked: &str) {
    let is_form = matches!((route.method, route.path), ("GET", "/password/reset" | "/refresh"));
    assert!(opens(answer) || is_form, "{asked}: without a fault: {} {}", answer.status, answer.text());
}

/// The answer; none if the client hangs up while its call is held.
async fn answer(scene: &Scene, fault: Fault) -> Option<Answer> {
    if fault != Fault::IsHeld {
        return Some(scene.act().await);
    }
    let faults = scene.site.app.store.faults();
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let answer = tokio::select! {
        answer = scene.act() => Some(answer),
        () = faults.reached() => None,
    };
    faults.release();
    // A change goes on to its end without its client.
    let done = async {
        while tasks() > before {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), done).await.expect("an act without a client ends");
    answer
}

#[tokio::test]
async fn r06_a_statement_that_fails_undoes_its_whole_request_and_the_answer_says_so() {
    let met = each(Fault::Fails, |asked, answer, outcome, (before, after)| {
        let answer = answer.unwrap();
        if opens(answer) {
            let is_end = ENDS.iter().any(|end| asked.starts_with(end)) && outcome.lacks_entries_of(after);
            assert!(
                outcome == after || is_end,
                "{asked}: answered as done: {}:\n{outcome:#?}\nnot\n{after:#?}",
                answer.text()
            );
        } else {
            gives_nothing(answer, asked);
            assert_eq!(outcome, before, "{asked}: half done");
        }
    })
    .await;
    assert!(met > 150, "only {met} statements were let fail");
}

#[tokio::test]
async fn r06_an_act_whose_answer_is_lost_is_whole_or_nothing() {
    let met = each(Fault::LosesItsAnswer, |asked, answer, outcome, (before, after)| {
        let answer = answer.unwrap();
        if opens(answer) {
            assert_eq!(outcome, after, "{asked}: answered as done: {}", answer.text());
        } else {
            gives_nothing(answer, asked);
            assert!(
                outcome == before || outcome == after,
                "{asked}: half done:\n{outcome:#?}\nnot\n{after:#?}"
            );
        }
    })
    .await;
    assert!(met > 50, "only {met} answers were lost");
}

#[tokio::test]
async fn h11_a_client_that_hangs_up_at_any_call_leaves_all_or_nothing() {
    let met = each(Fault::IsHeld, |asked, _, outcome, (before, after)| {
        assert!(outcome == before || outcome == after, "{asked}: half done:\n{outcome:#?}\nnot\n{after:#?}");
    })
    .await;
    assert!(met > 50, "only {met} calls were held");
}

/// Another process has ended the session, and this one doesn't know it yet. Routes that ask the store refuse it, also
/// if the store fails.
#[tokio::test]
async fn r06_a_store_that_fails_opens_no_route_that_would_refuse() {
    let (mut refusing, mut met) = (0, 0);
    for route in of_production().filter(|route| route.who != "anybody") {
        let body = requests(route).remove(0);
        if opens(&ended_elsewhere(route, &body).await.act().await) {
            continue;
        }
        refusing += 1;
        let scene = ended_elsewhere(route, &body).await;
        let before = scene.stored().await;
        for nth in 0..MOST {
            scene.site.app.store.faults().arm(Fault::Fails, nth);
            let answer = scene.act().await;
            if !scene.site.app.store.faults().disarm() {
                break;
            }
            met += 1;
            assert!(!opens(&answer), "{} {} opens at {nth}: {}", route.method, route.path, answer.text());
            assert_eq!(scene.stored().await, before, "{} {} at {nth}", route.method, route.path);
        }
    }
    assert!(refusing > 15 && met >= refusing, "{refusing} routes refuse, {met} faults were met");
}

async fn ended_elsewhere(route: Route, body: &Value) -> Scene {
    const END: &str = "UPDATE sessions SET ended_at = created_at, end_reason = 'logout'";
    let scene = Scene::of(route, body).await;
    scene.site.app.store.execute(END, Vec::new()).await.unwrap();
    scene
}
