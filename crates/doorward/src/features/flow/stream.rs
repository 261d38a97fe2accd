//! One viewer: the flows in memory that meet the filter, then each new one.

use std::fmt::Write;
use std::time::Duration;

use axum::body::Bytes;
use axum::response::Response;
use futures_util::stream::unfold;
use tokio::time::{Interval, interval, timeout_at};

use super::filter::Filter;
use crate::app::App;
use crate::clock::steady;
use crate::error::{Cause, Error, Result};
use crate::flow::{Flow, Frame, RefusedGroup};
use crate::web::dev::Viewer;
use crate::wire::events;

/// How many flows in memory a viewer gets at first.
pub(super) const RECENT: usize = 200;
/// How long flows are gathered, so that the viewer's permission is checked once for all of them.
const GATHER: Duration = Duration::from_millis(50);
/// How many are gathered at most.
const MOST_GATHERED: usize = 100;
/// How often a viewer's permission is checked if nothing happens.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After so many of them, a comment keeps proxies from closing the stream.
const QUIET_LOOKS: u32 = 15;

struct Watching {
    app: App,
    viewer: Viewer,
    filter: Filter,
    flows: crate::flow::Viewer,
    looks: Interval,
    quiet: u32,
    is_new: bool,
    refusals: Vec<RefusedGroup>,
}

/// Answers with the stream of events: `flow`, `dropped` and `refusals`.
pub(super) fn open(app: &App, viewer: Viewer, filter: Filter) -> Result<Response> {
    if app.is_draining() {
        return Err(Error::Unavailable(Cause::default()));
    }
    // Subscribes first and reads memory then: a flow in between comes twice, and is not lost.
    let flows = app.flows.watch().ok_or(Error::Overloaded)?;
    let (app, looks, refusals) = (app.clone(), interval(LOOK_EVERY), Vec::new());
    let watching = Watching { app, viewer, filter, flows, looks, quiet: 0, is_new: true, refusals };
    Ok(events::stream(unfold(watching, async |mut watching| {
        let bytes = watching.next().await?;
        Some((bytes, watching))
    })))
}

impl Watching {
    /// The next bytes; `None` ends the stream.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let mut events = String::new();
            if std::mem::take(&mut self.is_new) {
                self.recent(&mut events);
            } else {
                let app = self.app.clone();
                tokio::select! {
                    frame = self.flows.next() => self.gather(frame?, &mut events).await?,
                    _ = self.looks.tick() => self.look(&mut events),
                    () = app.drained() => return None,
                }
            }
            // After everything that took time, and before anything is sent.
            if self.app.is_draining() || self.viewer.may_still(&self.app).await.is_err() {
                return None;
            }
            if !events.is_empty() {
                self.quiet = 0;
                return Some(events.into());
            }
        }
    }

    /// What is in memory, the oldest first.
    fn recent(&mut self, events: &mut String) {
        for flow in self.app.flows.find(RECENT, |flow| self.filter.meets(flow)).iter().rev() {
            write_flow(flow, events);
        }
        self.refused(events);
        events.push_str("event: current\ndata: {}\n\n");
    }

    /// This frame, and those that follow within a moment.
    async fn gather(&mut self, first: Frame, events: &mut String) -> Option<()> {
        let until = steady() + GATHER;
        let (mut frame, mut dropped, mut gathered) = (Some(first), 0, 0);
        while let Some(one) = frame.take() {
            gathered += 1;
            match one {
                Frame::Flow(flow) if self.filter.meets(&flow) => write_flow(&flow, events),
                Frame::Flow(_) => {}
                Frame::Dropped(count) => dropped += count,
            }
            if gathered < MOST_GATHERED
                && let Ok(next) = timeout_at(until, self.flows.next()).await
            {
                frame = Some(next?);
            }
        }
        if dropped > 0 {
            let _ = write!(events, "event: dropped\ndata: {{\"count\":{dropped}}}\n\n");
        }
        Some(())
    }

    /// Once a second: the counted refusals if they changed, and now and then a comment.
    fn look(&mut self, events: &mut String) {
        self.refused(events);
        self.quiet += 1;
        if self.quiet >= QUIET_LOOKS {
            events.push_str(":\n\n");
        }
    }

    fn refused(&mut self, events: &mut String) {
        let groups = self.app.flows.refusals(self.app.now());
        if groups != self.refusals
            && let Ok(json) = serde_json::to_string(&groups)
        {
            let _ = write!(events, "event: refusals\ndata: {json}\n\n");
            self.refusals = groups;
        }
    }
}

/// JSON has no line break of its own, so a flow is one line.
fn write_flow(flow: &Flow, events: &mut String) {
    if let Ok(json) = serde_json::to_string(flow) {
        let _ = write!(events, "event: flow\ndata: {json}\n\n");
    }
}
