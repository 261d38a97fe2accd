//! An application behind nginx that asks `/forward-auth` about each request, beside the same nginx that asks a server
//! which lets everything through; and `/forward-auth` itself beside `/profile`.

use std::net::TcpListener;
use std::process::{Command, Stdio};

use crate::http::get;
use crate::load::saturate;
use crate::pairs::Pairs;
use crate::server::{Cores, Server, Signing};
use crate::table::{Goal, row};
use crate::users::{Mode, register};
use crate::{Effort, Result};

/// Measures both in turns; if there is no nginx, says so.
pub(crate) fn measure(cores: Cores, effort: Effort) -> Result<()> {
    if Command::new("nginx").arg("-v").stderr(Stdio::null()).status().is_err() {
        println!("/forward-auth behind nginx: SKIPPED. To add it: apt-get install -y nginx");
        return Ok(());
    }
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let host = format!("127.0.0.1:{port}");
    let hosts = format!("forward_auth.hosts={host}");
    let settings = ["--set", "trusted_proxies=127.0.0.1/32", "--set", hosts.as_str()];
    let hello = Server::axum_hello(cores)?;
    let doorward = Server::doorward_with(cores, Signing::Default, &settings)?;
    let nginx = Server::nginx(cores, port, &http(&host, &doorward, &hello))?;
    for (number, (name, mode)) in
        [("bearer", Mode::Bearer), ("session", Mode::Session)].into_iter().enumerate()
    {
        let header = register(&doorward, number, mode)?;
        let (mut alone, mut bare, mut cpu) = (Pairs::default(), Pairs::default(), Pairs::default());
        let asks = get("/forward-auth", &format!("{header}\r\n{}", forwarded(&host)));
        for _ in 0..effort.rounds {
            let of = |path| saturate(&nginx, &get(path, &header), effort.span).map(|load| load.rps);
            let asked = of("/")?;
            alone.push(asked, of("/alone")?);
            bare.push(asked, of("/bare")?);
            let judged = saturate(&doorward, &asks, effort.span)?.cpu;
            cpu.push(judged, saturate(&doorward, &get("/profile", &header), effort.span)?.cpu);
        }
        let from = |rps: &Pairs| {
            format!("{:.1} / {:.1} k/s, medians; all on one core", rps.ours() / 1e3, rps.yardstick() / 1e3)
        };
        let what = |what: &str| format!("/forward-auth {name}, {what}");
        row(&what("rps / nginx alone"), alone.ratio(), Goal::None, &from(&alone));
        row(&what("rps / asking a bare server"), bare.ratio(), Goal::AtLeast(0.8), &from(&bare));
        let from = format!("{:.1} / {:.1} µs a request, medians", cpu.ours(), cpu.yardstick());
        row(&what("CPU / /profile"), cpu.ratio(), Goal::AtMost(1.3), &from);
    }
    Ok(())
}

/// What nginx sends with its question.
fn forwarded(host: &str) -> String {
    format!(
        "X-Forwarded-Proto: http\r\nX-Forwarded-Host: {host}\r\nX-Forwarded-Uri: /\r\nX-Forwarded-Method: GET"
    )
}

/// What nginx sets of an answer, for the application.
const PASSED_ON: &str = "auth_request_set $user $upstream_http_remote_user;
                 auth_request_set $identity $upstream_http_doorward_identity;
                 proxy_set_header Connection '';
                 proxy_set_header Remote-User $user;
                 proxy_set_header Doorward-Identity $identity;";

/// nginx's settings: as in `examples/nginx`, without TLS.
fn http(host: &str, doorward: &Server, hello: &Server) -> String {
    let (doorward, hello) = (doorward.address, hello.address);
    format!(
        "upstream doorward {{ server {doorward}; keepalive 128; }}
         upstream application {{ server {hello}; keepalive 128; }}
         keepalive_requests 1000000000;
         server {{
             listen {host};
             proxy_http_version 1.1;
             proxy_set_header Connection '';
             location = /alone {{ proxy_pass http://application/; }}
             location = /bare {{
                 auth_request /asked;
                 {PASSED_ON}
                 proxy_pass http://application/;
             }}
             location = /asked {{
                 internal;
                 proxy_pass http://application/;
                 proxy_method HEAD;
                 proxy_pass_request_body off;
                 proxy_set_header Connection '';
                 proxy_set_header Content-Length '';
             }}
             location / {{
                 auth_request /check;
                 {PASSED_ON}
                 proxy_pass http://application;
             }}
             location = /check {{
                 internal;
                 proxy_pass http://doorward/forward-auth;
                 proxy_pass_request_body off;
                 proxy_set_header Connection '';
                 proxy_set_header Content-Length '';
                 proxy_set_header X-Forwarded-Proto http;
                 proxy_set_header X-Forwarded-Host {host};
                 proxy_set_header X-Forwarded-Uri $request_uri;
                 proxy_set_header X-Forwarded-Method $request_method;
             }}
         }}"
    )
}
