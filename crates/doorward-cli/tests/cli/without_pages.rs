//! The program without the feature `pages`: `./test --long api`.

use std::io::Write;

use crate::support::{Answer, Home, Server, read_answer};

/// What a browser sends when a person opens a page, or sends a form.
fn browser(server: &Server, line: &str, cookies: &str, form: &str) -> Answer {
    let mut stream = server.connect();
    write!(
        stream,
        "{line} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAccept: text/html\r\nSec-Fetch-Mode: navigate\r\n\
         Sec-Fetch-Dest: document\r\nSec-Fetch-Site: same-origin\r\nCookie: {cookies}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        server.address,
        form.len()
    )
    .unwrap();
    read_answer(&mut stream).unwrap()
}

#[test]
fn without_pages_a_browser_is_answered_as_a_program_is() {
    let home = Home::sqlite();
    let server = home.serve(&[]);
    let get = |path: &str| browser(&server, &format!("GET {path}"), "", "");
    for path in ["/", "/docs", "/style.css", "/assets/forms.js", "/favicon.svg", "/password/reset?token=a"] {
        let answer = get(path);
        assert!([404, 405].contains(&answer.status), "{path}: {answer:?}");
        assert!(["not_found", "method_not_allowed"].contains(&answer.code()), "{path}: {answer:?}");
    }
    for path in ["/login", "/register", "/logout", "/refresh?return_to=/dashboard"] {
        assert_eq!(get(path).code(), "method_not_allowed", "{path}");
    }
    for path in ["/dashboard", "/profile", "/sessions", "/admin/users", "/admin/audit", "/forward-auth"] {
        assert!(["token_missing", "forbidden"].contains(&get(path).code()), "{path}: {:?}", get(path));
    }

    let typed = "name=Ada&email=ada%40example.org&password=a+door+is+a+promise";
    let made = browser(&server, "POST /register", "", typed);
    assert_eq!((made.status, made.body["user"]["name"].as_str()), (201, Some("Ada")));
    let wrong = browser(&server, "POST /login", "", "email=ada%40example.org&password=another+promise");
    assert_eq!(wrong.code(), "invalid_credentials");
    let again = browser(&server, "POST /login", "", "email=ada%40example.org&password=a+door+is+a+promise");
    assert_eq!(server.get("/profile", &again.token()).body["user"]["name"], "Ada");
}

#[test]
fn without_pages_the_document_of_the_api_has_no_route_for_browsers_alone() {
    let home = Home::sqlite();
    let server = home.serve(&[]);
    let document = server.get("/openapi.json", "").body;
    let paths = document["paths"].as_object().unwrap();
    for path in ["/", "/docs", "/style.css"] {
        assert!(!paths.contains_key(path), "{path}");
    }
    for operation in paths.values().flat_map(|path| path.as_object().unwrap().values()) {
        for status in operation["responses"].as_object().unwrap().keys() {
            assert!(!status.starts_with('3'), "{operation}");
        }
    }
    assert!(!document.to_string().contains("text/html"));
}
