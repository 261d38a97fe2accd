//! Every route by every kind of caller in every mode: a caller who isn't allowed gets 401 or 403, one who is gets
//! through.

use doorward::testing::{Answer, Site, Visitor};
use doorward_core::Mode;
use doorward_core::role::{RoleName, permission};
use http::{Method, header};
use serde_json::json;

use super::routes::{Route, routes};

/// An id that nothing has: an allowed caller gets 404, and nothing is changed.
const NOBODY: &str = "01890000-0000-7000-8000-000000000000";

#[derive(Debug, Clone, Copy, PartialEq)]
enum Caller {
    Anonymous,
    Garbage,
    /// Signed in, with this role.
    Live(RoleName),
    /// An admin who was disabled after the sign-in.
    Disabled,
    /// An admin whose session was ended.
    Ended,
}

/// Roles of the settings with exactly one permission each: `users:read` is granted by `users_read`.
fn role_of(permission: &str) -> RoleName {
    permission.replace(':', "_").parse().unwrap()
}

fn callers() -> Vec<Caller> {
    let single = permission::ALL.map(|permission| Caller::Live(role_of(permission)));
    let mut callers = vec![Caller::Anonymous, Caller::Garbage, Caller::Disabled, Caller::Ended];
    callers.extend([Caller::Live(RoleName::USER), Caller::Live(RoleName::ADMIN)]);
    callers.extend(single);
    callers
}

/// The expected answer to this caller on this route: through (`None`), or this status and code.
fn expected(route: Route, caller: Caller, mode: Mode) -> Option<(u16, &'static str)> {
    let refused = match caller {
        _ if route.who == "anybody" => return None,
        _ if route.who == "a proxy" => return Some((403, "forbidden")),
        _ if route.who == "a browser" => return Some((405, "method_not_allowed")),
        _ if route.who == "a client" => return Some((401, "invalid_client")),
        _ if route.who == "refresh token" => {
            return match caller {
                Caller::Live(_) if mode != Mode::Session => None,
                Caller::Disabled | Caller::Ended if mode != Mode::Session => Some((401, "session_ended")),
                _ => Some((401, "refresh_invalid")),
            };
        }
        _ if route.who == "development" => return Some((403, "development_only")),
        Caller::Anonymous => Some((401, "token_missing")),
        Caller::Garbage => Some((401, "token_invalid")),
        // Their session ended with all their others: the refresh says so.
        Caller::Disabled | Caller::Ended if mode != Mode::Session => Some((401, "token_stale")),
        Caller::Disabled | Caller::Ended => Some((401, "session_ended")),
        Caller::Live(_) => None,
    };
    match caller {
        Caller::Live(role) if route.who != "signed in" => {
            let may =
                role == RoleName::ADMIN || role == role_of(route.who.trim_end_matches(" or development"));
            (!may).then_some((403, "forbidden"))
        }
        _ => refused,
    }
}

fn name(caller: Caller, mode: Mode) -> String {
    format!("{caller:?}.{mode}").to_lowercase().replace(['(', ')'], "-")
}

/// A caller, with a user of their own.
async fn arrive(site: &Site, admin: &Visitor, caller: Caller, mode: Mode) -> Visitor {
    let role = match caller {
        Caller::Anonymous => return site.visitor(),
        Caller::Garbage => return with_garbage(site, mode),
        Caller::Live(role) => role,
        Caller::Disabled | Caller::Ended => RoleName::ADMIN,
    };
    let name = name(caller, mode);
    let id = site.user(&name, role).await;
    let visitor = site.logged_in_by(&name, mode).await;
    let path = format!("/admin/users/{id}");
    match caller {
        Caller::Disabled => admin.patch(&path, json!({ "disabled": true })).await.has_status(200),
        Caller::Ended => admin.delete(&format!("{path}/sessions"), json!({})).await.has_status(200),
        _ => return visitor,
    };
    visitor
}

fn with_garbage(site: &Site, mode: Mode) -> Visitor {
    let visitor = site.visitor();
    let secret = "A".repeat(43);
    match mode {
        Mode::Bearer => visitor.hold(Some("eyJhbGciOiJub25lIn0.e30."), Some("dr1.garbage")),
        Mode::Cookie => {
            visitor.hold_cookie("__Host-token", "eyJhbGciOiJub25lIn0.e30.");
            visitor.hold_cookie("__Host-refresh_token", "dr1.garbage");
        }
        Mode::Session => visitor.hold_cookie("__Host-sessionId", &secret),
        _ => panic!("what is held in {mode}?"),
    }
    visitor
}

/// Sends the request of a row with an empty object. So a caller who gets through is stopped by a missing field or by an
/// unknown id.
async fn call(visitor: &Visitor, route: Route) -> Answer {
    let method: Method = route.method.parse().unwrap();
    let path = route.path.replace("{id}", NOBODY);
    if method == Method::GET {
        return visitor.get(&path).await;
    }
    let body = match visitor.refresh_token() {
        Some(token) if route.path == "/refresh" => json!({ "refresh_token": token }),
        _ => json!({}),
    };
    let request = visitor.request(method, &path).header(header::CONTENT_TYPE, "application/json");
    visitor.send(request, body.to_string()).await
}

/// Returns the deviation, or nothing.
fn deviation(answer: &Answer, expected: Option<(u16, &'static str)>, route: Route) -> Option<String> {
    let status = answer.status.as_u16();
    match expected {
        Some((wanted, code)) if status == wanted && answer.code() == code => None,
        // After their logout, memory knows the session.
        Some((401, "token_stale")) if status == 401 && answer.code() == "session_ended" => None,
        None if matches!(status, 200..=399 | 400 | 422) => None,
        None if status == 404 && route.path.contains("{id}") => None,
        _ => Some(format!("wanted {expected:?}, got {status} {}", answer.text())),
    }
}

#[tokio::test]
async fn a01_every_route_lets_in_whom_it_should_and_nobody_else() {
    let single = permission::ALL.map(|one| (format!("roles.{}", role_of(one)), one));
    let settings: Vec<_> = single.iter().map(|(key, one)| (key.as_str(), *one)).collect();
    let site = Site::with(&settings).await;
    let admin = site.admin("root").await;
    let mut deviations = Vec::new();
    for mode in Mode::ALL {
        for caller in callers() {
            let mut visitor = arrive(&site, &admin, caller, mode).await;
            for route in routes() {
                // With a copy: what a route hands out or clears must not change who calls the next one.
                let answer = call(&visitor.copy(), route).await;
                if let Some(what) = deviation(&answer, expected(route, caller, mode), route) {
                    deviations
                        .push(format!("{} {} by {caller:?} ({mode}): {what}", route.method, route.path));
                }
                let ends_sessions = route.path.starts_with("/logout")
                    || [("DELETE", "/sessions"), ("POST", "/sessions/end-others")]
                        .contains(&(route.method, route.path));
                if ends_sessions && matches!(caller, Caller::Live(_)) {
                    visitor = site.logged_in_by(&name(caller, mode), mode).await;
                }
            }
        }
    }
    assert!(deviations.is_empty(), "{} deviations:\n{}", deviations.len(), deviations.join("\n"));
}
