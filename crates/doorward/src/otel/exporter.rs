//! The task that reads flows and sends their spans. It holds a bounded number of them, and what finds no room is
//! counted. No request waits for it.

use std::collections::VecDeque;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use doorward_guard::outgoing::{Failure, Outgoing};
use futures_util::FutureExt;
use http::header::{CONTENT_TYPE, HeaderMap, USER_AGENT};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::Full;
use prost::Message;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::messages::{ExportRequest, ExportResponse, Resource, ResourceSpans, Scope, ScopeSpans, Span};
use super::spans::Conversion;
use crate::counters::{Counts, count_many};
use crate::flow::{Frame, Reader};
use crate::seldom::seldom;

/// How long spans wait for more.
const DELAY: Duration = Duration::from_secs(1);
/// How many bytes of spans wait at most.
const MOST_WAITING: usize = 4 << 20;
/// How many bytes one request has, unless a single flow has more.
const MOST_IN_A_REQUEST: usize = 512 << 10;
/// The waits before each further attempt.
const WAITS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(10)];

const PROGRAM: &str = concat!("doorward/", env!("CARGO_PKG_VERSION"));

/// Where spans go.
#[derive(Clone)]
pub(super) struct Collector {
    pub(super) client: Outgoing,
    pub(super) url: Uri,
    pub(super) headers: HeaderMap,
    pub(super) resource: Resource,
    pub(super) counts: Counts,
}

/// The spans of a flow, and their size.
struct Converted {
    spans: Vec<Span>,
    bytes: usize,
}

/// Spans that wait to be sent.
struct Waiting {
    conversion: Conversion,
    counts: Counts,
    flows: VecDeque<Converted>,
    bytes: usize,
}

/// Spans as the body of a request.
struct Batch {
    body: Bytes,
    spans: usize,
}

/// Reads flows and sends their spans until `stop` is true or gone. Then it sends what is left, each batch once.
pub(super) async fn run(
    mut reader: Reader,
    conversion: Conversion,
    collector: Collector,
    stop: watch::Receiver<bool>,
) {
    let mut waiting =
        Waiting { conversion, counts: collector.counts.clone(), flows: VecDeque::new(), bytes: 0 };
    while !has_stopped(&stop) {
        let mut stopped = pin!(stopped(stop.clone()));
        let mut due = pin!(sleep(DELAY));
        // The delay begins with the first spans.
        while !waiting.fills_a_request() {
            tokio::select! {
                frame = reader.next() => {
                    let was_empty = waiting.is_empty();
                    waiting.take(frame);
                    if was_empty {
                        due.set(sleep(DELAY));
                    }
                }
                () = &mut due, if !waiting.is_empty() => break,
                () = &mut stopped => break,
            }
        }
        if has_stopped(&stop) {
            break;
        }
        let batch = waiting.batch(&collector.resource);
        let mut delivered = pin!(collector.deliver(batch, &stop));
        loop {
            tokio::select! {
                () = &mut delivered => break,
                frame = reader.next() => waiting.take(frame),
            }
        }
    }
    while let Some(frame) = reader.next().now_or_never() {
        waiting.take(frame);
    }
    drop(reader);
    while !waiting.is_empty() {
        collector.deliver(waiting.batch(&collector.resource), &stop).await;
    }
}

fn has_stopped(stop: &watch::Receiver<bool>) -> bool {
    *stop.borrow() || stop.has_changed().is_err()
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stops| *stops).await;
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    fn fills_a_request(&self) -> bool {
        self.bytes >= MOST_IN_A_REQUEST
    }

    /// Takes what the recorder shows.
    fn take(&mut self, frame: Option<Frame>) {
        let Some(Frame::Flow(flow)) = frame else { return };
        let spans = self.conversion.spans(&flow);
        if spans.is_empty() {
            return;
        }
        let bytes = spans.iter().map(Message::encoded_len).sum();
        if self.bytes + bytes > MOST_WAITING {
            count_many(&self.counts, "outcome", "no_room", spans.len());
            return;
        }
        self.bytes += bytes;
        self.flows.push_back(Converted { spans, bytes });
    }

    /// The spans of the next request.
    fn batch(&mut self, resource: &Resource) -> Batch {
        let (mut spans, mut bytes) = (Vec::new(), 0);
        let fits = |bytes: usize, next: &Converted| bytes == 0 || bytes + next.bytes <= MOST_IN_A_REQUEST;
        while let Some(next) = self.flows.pop_front_if(|next| fits(bytes, next)) {
            bytes += next.bytes;
            spans.extend(next.spans);
        }
        self.bytes -= bytes;
        let count = spans.len();
        let scope = Scope { name: "doorward".into(), version: env!("CARGO_PKG_VERSION").into() };
        let scope_spans = vec![ScopeSpans { scope: Some(scope), spans }];
        let resource_spans = vec![ResourceSpans { resource: Some(resource.clone()), scope_spans }];
        Batch { body: ExportRequest { resource_spans }.encode_to_vec().into(), spans: count }
    }
}

impl Collector {
    /// Sends spans. After a failure that may pass it tries again, unless the server stops.
    async fn deliver(&self, batch: Batch, stop: &watch::Receiver<bool>) {
        let mut waits = WAITS.iter();
        loop {
            let failure = match self.send(&batch).await {
                Ok(rejected) => {
                    count_many(&self.counts, "outcome", "sent", batch.spans - rejected);
                    count_many(&self.counts, "outcome", "rejected", rejected);
                    return;
                }
                Err(failure) => failure,
            };
            seldom!(WARN, "spans could not be sent to otel.endpoint", error = %failure);
            let next = waits.next().filter(|_| may_pass(&failure) && !has_stopped(stop));
            let Some(wait) = next else { break };
            let _ = timeout(*wait, stopped(stop.clone())).await;
        }
        count_many(&self.counts, "outcome", "failed", batch.spans);
    }

    /// Sends spans once; returns how many of them the collector rejected.
    async fn send(&self, batch: &Batch) -> Result<usize, Failure> {
        let mut request = Request::new(Full::new(batch.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.url.clone();
        *request.headers_mut() = self.headers.clone();
        let (_, answer) = self.client.ask(request).await?;
        let partial = ExportResponse::decode(answer).ok().and_then(|answer| answer.partial_success);
        let rejected = partial.and_then(|partial| usize::try_from(partial.rejected_spans).ok());
        Ok(rejected.unwrap_or(0).min(batch.spans))
    }
}

/// The headers of each request.
pub(super) fn headers(own: HeaderMap) -> HeaderMap {
    let mut headers = own;
    headers.insert(CONTENT_TYPE, http::HeaderValue::from_static("application/x-protobuf"));
    headers.insert(USER_AGENT, http::HeaderValue::from_static(PROGRAM));
    headers
}

/// Whether a later attempt may succeed, by the protocol's own list.
fn may_pass(failure: &Failure) -> bool {
    match failure {
        Failure::Status(status) => matches!(
            *status,
            StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT
        ),
        Failure::Unreadable(_) => false,
        _ => true,
    }
}
