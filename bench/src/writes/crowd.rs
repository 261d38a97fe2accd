//! Clients that refresh, sign out, or sign in and out, each again as soon as it has its answer.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::Result;
use crate::http::{Answer, ROOM, post};
use crate::users;

/// What they do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Refresh,
    Logout,
    SignInAndOut,
}

impl Act {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Refresh => "refresh",
            Self::Logout => "logout",
            Self::SignInAndOut => "sign-in and logout",
        }
    }

    /// How many do it at once: a hash keeps a core busy, so there is nothing to gain from more.
    pub(super) fn clients(self) -> usize {
        if self == Self::SignInAndOut { 8 } else { 64 }
    }
}

/// The clients of one database.
pub(super) struct Crowd {
    /// Each client's refresh token, beside its number.
    members: Vec<Member>,
    /// Access tokens of live sessions.
    tokens: Arc<Mutex<Vec<String>>>,
}

struct Member {
    number: usize,
    refresh: String,
}

impl Crowd {
    /// Registers as many users as there are clients; `tokens` are those of sessions that can be signed out.
    pub(super) fn register(address: SocketAddr, tokens: Vec<String>) -> Result<Self> {
        let mut members = Vec::new();
        for number in 1..=Act::Refresh.clients() {
            let answer = users::registered(address, number)?;
            let refresh = text(&answer, "refresh_token")?;
            members.push(Member { number, refresh });
        }
        Ok(Self { members, tokens: Arc::new(Mutex::new(tokens)) })
    }

    /// Loads these nodes for a while; returns the acts a second.
    pub(super) fn load(&mut self, nodes: &[SocketAddr], act: Act, span: Duration) -> Result<f64> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let resting = self.members.split_off(act.clients());
        let members = std::mem::take(&mut self.members);
        let tokens = self.tokens.clone();
        let (members, rate) = runtime.block_on(async {
            let mut clients = JoinSet::new();
            let began = Instant::now();
            for (member, node) in members.into_iter().zip(nodes.iter().cycle()) {
                clients.spawn(client(member, *node, act, tokens.clone(), began + span));
            }
            let (mut members, mut done) = (Vec::new(), 0.0);
            while let Some(ended) = clients.join_next().await {
                let (member, count) = ended??;
                members.push(member);
                done += count;
            }
            Ok::<_, crate::Error>((members, done / began.elapsed().as_secs_f64()))
        })?;
        self.members = members;
        self.members.extend(resting);
        Ok(rate)
    }
}

async fn client(
    mut member: Member,
    node: SocketAddr,
    act: Act,
    tokens: Arc<Mutex<Vec<String>>>,
    until: Instant,
) -> Result<(Member, f64)> {
    let mut line = Line { stream: TcpStream::connect(node).await?, buffer: vec![0; ROOM] };
    line.stream.set_nodelay(true)?;
    let mut done = 0.0;
    while Instant::now() < until {
        match act {
            Act::Refresh => {
                let body = json!({ "refresh_token": member.refresh });
                member.refresh = text(&line.exchange(&post("/refresh", &body)).await?, "refresh_token")?;
            }
            Act::Logout => {
                let token = tokens.lock().unwrap_or_else(PoisonError::into_inner).pop();
                line.exchange(&logout(&token.ok_or("no session is left to be signed out")?)).await?;
            }
            Act::SignInAndOut => {
                let token = text(&line.exchange(&users::login(member.number)).await?, "token")?;
                line.exchange(&logout(&token)).await?;
            }
        }
        done += 1.0;
    }
    Ok((member, done))
}

fn logout(token: &str) -> Vec<u8> {
    let head =
        "POST /logout HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\nContent-Length: 0\r\n";
    format!("{head}Authorization: Bearer {token}\r\n\r\n").into()
}

/// A text of an answer.
pub(super) fn text(answer: &Value, field: &str) -> Result<String> {
    let found = answer.get(field).and_then(Value::as_str);
    found.map(str::to_owned).ok_or_else(|| format!("no {field} in {answer}").into())
}

struct Line {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Line {
    async fn exchange(&mut self, request: &[u8]) -> Result<Value> {
        self.stream.write_all(request).await?;
        let mut filled = 0;
        loop {
            match self.stream.read(self.buffer.get_mut(filled..).unwrap_or_default()).await? {
                0 => return Err("the server closed the connection".into()),
                read => filled += read,
            }
            match Answer::read(self.buffer.get(..filled).unwrap_or_default())? {
                Some(answer) if answer.status == "200" => return Ok(serde_json::from_str(answer.body)?),
                Some(answer) => return Err(format!("{} {}", answer.status, answer.body).into()),
                None => {}
            }
        }
    }
}
