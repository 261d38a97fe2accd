//! What a drawing shows, before it is laid out.

use super::Titled;
use super::phrases::{self, MOST_LABEL, Names, reason};
use super::plain::{clip, plain};
use super::times::{Part, times};
use crate::flow::{Flow, Lane, Sender, Step, Verb, Verdict};

/// Several flows over the same lanes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Picture {
    /// The lanes that speak.
    pub(super) lanes: Vec<String>,
    pub(super) scenes: Vec<Scene>,
}

/// A flow.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Scene {
    pub(super) title: String,
    pub(super) note: String,
    /// How many equal flows follow each other.
    pub(super) times: usize,
    pub(super) rows: Vec<Row>,
    pub(super) parts: Vec<Part>,
    pub(super) total_us: u64,
}

/// A step, or several equal ones.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// Places in the lanes; the same one for a step that a lane does by itself.
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) verdict: Verdict,
    /// It tells the result of the request.
    pub(super) is_answer: bool,
    pub(super) verb: Option<Verb>,
    /// At most [`MOST_LABEL`] columns.
    pub(super) label: String,
    pub(super) detail: String,
    /// How many equal steps follow each other.
    pub(super) times: usize,
}

impl Row {
    /// The label with its mark: colour alone says nothing.
    pub(super) fn marked(&self) -> String {
        let mark = match self.verdict {
            Verdict::Done => "",
            Verdict::Passed => "✓ ",
            Verdict::Failed => "✗ ",
        };
        match self.times {
            1 => format!("{mark}{}", self.label),
            times => format!("{mark}{times} × {}", self.label),
        }
    }

    fn looks_like(&self, other: &Self) -> bool {
        (self.from, self.to, self.verdict, &self.label) == (other.from, other.to, other.verdict, &other.label)
    }
}

impl Scene {
    /// The title, and how often.
    pub(super) fn heading(&self) -> String {
        match self.times {
            1 => self.title.clone(),
            times => format!("{times} × {}", self.title),
        }
    }

    fn looks_like(&self, other: &Self) -> bool {
        self.title == other.title
            && self.note == other.note
            && self.rows.len() == other.rows.len()
            && self.rows.iter().zip(&other.rows).all(|(one, another)| one.looks_like(another))
    }
}

impl Picture {
    /// What is drawn of these flows.
    pub(super) fn of(flows: &[Titled<'_>]) -> Self {
        let speaks = |lane: Lane| {
            let mut steps = flows.iter().flat_map(|titled| &titled.flow.steps);
            steps.any(|step| step.verb.from() == lane || step.verb.to() == lane)
        };
        let lanes: Vec<Lane> = Lane::ALL.iter().copied().filter(|lane| speaks(*lane)).collect();
        let mut names = Names::default();
        let mut scenes: Vec<Scene> = Vec::new();
        for titled in flows {
            let scene = scene(titled, &lanes, &mut names);
            match scenes.last_mut() {
                Some(last) if last.looks_like(&scene) => last.times += 1,
                _ => scenes.push(scene),
            }
        }
        let name = |lane: &Lane| if *lane == Lane::Client { client(flows) } else { lane.name() };
        Self { lanes: lanes.iter().map(name).map(str::to_owned).collect(), scenes }
    }
}

/// The name of the first lane.
fn client(flows: &[Titled<'_>]) -> &'static str {
    let is_all = |sender| flows.iter().all(|titled| titled.flow.sender == sender);
    let known = [Sender::Browser, Sender::Program].into_iter().find(|sender| is_all(*sender));
    known.map_or(Lane::Client.name(), Sender::name)
}

fn scene(titled: &Titled<'_>, lanes: &[Lane], names: &mut Names) -> Scene {
    let flow = titled.flow;
    let title = match titled.title {
        "" => format!(
            "{} {}: {}",
            flow.method,
            flow.route,
            flow.code.map_or_else(|| reason(flow.status), |code| format!("{} {code}", flow.status))
        ),
        title => title.to_owned(),
    };
    let mut rows: Vec<Row> = Vec::new();
    for (n, step) in flow.steps.iter().enumerate() {
        let mut row = row(step, flow, lanes, names);
        if n == 0 {
            row.detail = plain(&format!("{} {}", flow.method, flow.route));
        }
        match rows.last_mut() {
            Some(last) if last.looks_like(&row) && last.detail == row.detail => last.times += 1,
            _ => rows.push(row),
        }
    }
    if flow.cut > 0
        && let Some(last) = rows.pop()
    {
        rows.push(Row {
            label: format!("{} steps more", flow.cut),
            detail: String::new(),
            verdict: Verdict::Done,
            is_answer: false,
            verb: None,
            times: 1,
            from: last.from,
            to: last.from,
        });
        rows.push(last);
    }
    Scene {
        title: clip(&title, 100),
        note: plain(titled.note),
        times: 1,
        rows,
        parts: times(flow),
        total_us: flow.total_us,
    }
}

fn row(step: &Step, flow: &Flow, lanes: &[Lane], names: &mut Names) -> Row {
    let place = |lane: Lane| lanes.iter().position(|known| *known == lane).unwrap_or(0);
    Row {
        from: place(step.verb.from()),
        to: place(step.verb.to()),
        verdict: step.verdict,
        is_answer: matches!(
            step.verb,
            Verb::Answer | Verb::Welcome | Verb::Refuse | Verb::Redirect | Verb::LetPass
        ),
        verb: Some(step.verb),
        label: clip(&phrases::label(step, flow), MOST_LABEL),
        detail: phrases::detail(step, flow, names),
        times: 1,
    }
}
