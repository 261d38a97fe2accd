//! `doorward tour`: the flows of sign-in, drawn in the terminal, against a server that is thrown away.

use clap::{Args, ValueEnum};
use doorward::internals::flow::draw::{self, Style, Titled};
use doorward::internals::flow::{Flow, Verdict};
use doorward::internals::play;
use doorward::internals::tour::{Break, Column, Played, PlayedPart, PlayedScene, SCRIPTS, Script, script};

use super::Outcome;
use crate::failure::Failure;
use crate::output::{Answer, Colour, coloured, has_colour};

/// The columns of a line.
const WIDTH: usize = 80;

/// Watch the flows of sign-in as sequence diagrams: JWT and session id beside each other
///
/// Each flow is played against a server of its own in memory, with a clock of its own: nothing of an installation is
/// read or changed. Two runs print the same bytes. Colours are off with NO_COLOR, and in a pipe.
#[derive(Debug, Args)]
pub(crate) struct Tour {
    /// List the flows
    #[arg(long, conflicts_with_all = ["flow", "scene", "column", "breaks", "svg", "mermaid"])]
    list: bool,
    /// Only this flow
    #[arg(long, value_name = "NAME")]
    flow: Option<String>,
    /// Only this scene of the flow
    #[arg(long, value_name = "NAME", requires = "flow")]
    scene: Option<String>,
    /// Only this column
    #[arg(long, value_name = "COLUMN")]
    column: Option<Side>,
    /// After the flow, break this, and draw the same request before and after
    #[arg(long = "break", value_name = "WHAT", requires = "flow")]
    breaks: Option<Broken>,
    /// Print the flow as one SVG
    #[arg(long, requires = "flow", conflicts_with = "mermaid")]
    svg: bool,
    /// Print Mermaid text in Markdown
    #[arg(long)]
    mermaid: bool,
}

/// The two columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Side {
    /// An access token
    Jwt,
    /// A session id
    Session,
}

/// What can be broken.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Broken {
    /// One character of the credential
    Character,
    /// 16 minutes pass
    Wait,
    /// The refresh token is used twice
    Twice,
    /// Log out everywhere, on the phone
    Phone,
}

impl From<Broken> for Break {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Character => Self::Character,
            Broken::Wait => Self::Wait,
            Broken::Twice => Self::Twice,
            Broken::Phone => Self::Phone,
        }
    }
}

impl Tour {
    pub(crate) async fn run(&self) -> Outcome {
        if self.list {
            return Ok(Answer::text(list()));
        }
        if cfg!(not(feature = "sqlite")) {
            let problem = "this build has no SQLite, and the tour keeps its data in that";
            return Err(Failure::new(problem, "compile it with the feature \"sqlite\""));
        }
        let mut drawn = Vec::new();
        for script in self.scripts()? {
            let mut played = play(script, self.breaks.map(Break::from)).await?;
            self.keep_scene(&mut played)?;
            drawn.push(match (self.svg, self.mermaid) {
                (true, _) => self.svg(&played),
                (_, true) => self.mermaid(&played),
                _ => self.text(&played),
            });
        }
        Ok(Answer::text(drawn.join("\n")))
    }

    /// The chosen flows.
    fn scripts(&self) -> Result<Vec<&'static Script>, Failure> {
        let Some(name) = &self.flow else { return Ok(SCRIPTS.iter().collect()) };
        let unknown =
            || Failure::new(format!("there is no flow {name:?}"), format!("choose one of: {}", names()));
        let script = script(name).ok_or_else(unknown)?;
        if self.breaks.is_some() && script.breaks.is_empty() {
            let all = SCRIPTS.iter().filter(|one| !one.breaks.is_empty()).map(|one| one.name);
            let hint = format!("choose one of: {}", all.collect::<Vec<_>>().join(", "));
            return Err(Failure::new(format!("nothing can be broken after {name}"), hint));
        }
        Ok(vec![script])
    }

    fn keep_scene(&self, played: &mut Played) -> Result<(), Failure> {
        let Some(name) = &self.scene else { return Ok(()) };
        let all = played.scenes.iter().map(|scene| scene.scene.name).collect::<Vec<_>>().join(", ");
        played.scenes.retain(|scene| scene.scene.name == name);
        if played.scenes.is_empty() {
            let problem = format!("{} has no scene {name:?}", played.script.name);
            return Err(Failure::new(problem, format!("choose one of: {all}")));
        }
        Ok(())
    }

    /// Whether this column was chosen.
    fn wants(&self, side: Side) -> bool {
        self.column.is_none_or(|only| only == side)
    }

    /// The columns of a scene that were chosen, each with its name.
    fn parts<'a>(&self, scene: &'a PlayedScene) -> Vec<(&'static str, &'a PlayedPart)> {
        let sides = [(Side::Jwt, "JWT", Column::Jwt), (Side::Session, "session id", Column::Session)];
        let chosen = sides.into_iter().filter(|(side, ..)| self.wants(*side));
        chosen.map(|(_, name, column)| (name, scene.part(column))).collect()
    }

    fn svg(&self, played: &Played) -> String {
        let side = |side, column| if self.wants(side) { titled(played, column) } else { Vec::new() };
        let (jwt, session) = (side(Side::Jwt, Column::Jwt), side(Side::Session, Column::Session));
        match self.column {
            None => draw::svg_pair(&jwt, &session),
            Some(Side::Jwt) => draw::svg_of(&jwt),
            Some(Side::Session) => draw::svg_of(&session),
        }
    }

    fn mermaid(&self, played: &Played) -> String {
        let mut text = format!("## {}\n\n{}\n", played.script.title, played.script.about);
        for scene in &played.scenes {
            for (name, part) in self.parts(scene) {
                text += &format!("\n### {}: {name}\n\n{}\n", scene.scene.title, part.part.text);
                if let Some(flow) = &part.flow {
                    text += &format!("\n```mermaid\n{}\n```\n", draw::mermaid(flow).trim_end());
                }
            }
        }
        text
    }

    fn text(&self, played: &Played) -> String {
        let out = std::io::stdout();
        let style = Style { colour: has_colour(&out), width: WIDTH };
        let Script { name, title, about, .. } = played.script;
        let mut text = format!(
            "{}\n{}\n",
            coloured(&rule(&format!("{title} ({name})")), Colour::Cyan, &out),
            wrapped(about)
        );
        for scene in &played.scenes {
            if !scene.scene.meanwhile.is_empty() {
                text += &format!("\n{}\n", wrapped(&format!("… {}.", scene.scene.meanwhile)));
            }
            for (column, part) in self.parts(scene) {
                let title = format!("{}: {column}", scene.scene.title);
                text.push('\n');
                text += &match &part.flow {
                    Some(flow) => draw::text(&[Titled { title: &title, note: part.part.text, flow }], style),
                    None => format!("{}\n{}\n", wrapped(&title), wrapped(part.part.text)),
                };
                if let Some(step) = part.difference.and_then(|at| difference(part.flow.as_ref()?, at)) {
                    text += &format!("{}\n", coloured(&wrapped(&step), Colour::Yellow, &out));
                }
                if part.plain_accepts && !part.part.plain.is_empty() {
                    text += &format!(
                        "{}\n",
                        coloured(&wrapped(&format!("✗ {}", part.part.plain)), Colour::Red, &out)
                    );
                    text += &format!(
                        "{}\n",
                        coloured(&wrapped(&format!("✓ {}", part.part.ours)), Colour::Green, &out)
                    );
                }
            }
        }
        text
    }
}

/// The flows of a column, with their headings.
fn titled(played: &Played, column: Column) -> Vec<Titled<'_>> {
    let of = |scene: &'_ PlayedScene| (scene.scene.title, scene.part(column).part.text);
    let scenes =
        played.scenes.iter().filter_map(|scene| Some((of(scene), scene.part(column).flow.as_ref()?)));
    scenes.map(|((title, note), flow)| Titled { title, note, flow }).collect()
}

/// The step that is the first to differ.
fn difference(flow: &Flow, at: usize) -> Option<String> {
    let step = flow.steps.get(at)?;
    let failed = step.verdict == Verdict::Failed;
    let label = if failed { step.verb.failed_label() } else { step.verb.label() };
    Some(format!("▲ The first difference: {label}. {}", step.verb.sentence()))
}

fn names() -> String {
    SCRIPTS.iter().map(|script| script.name).collect::<Vec<_>>().join(", ")
}

fn list() -> String {
    let widest = SCRIPTS.iter().map(|script| script.name.len()).max().unwrap_or(0);
    let line = |script: &Script| {
        let breaks = if script.breaks.is_empty() { "" } else { " (can be broken)" };
        format!("{:<widest$}  {}{breaks}", script.name, script.title)
    };
    SCRIPTS.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A heading that fills its line.
fn rule(title: &str) -> String {
    let rest = WIDTH.saturating_sub(title.chars().count() + 4);
    format!("── {title} {}", "─".repeat(rest))
}

/// The text in lines that fit.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let used = lines.last().map_or(0, |line| line.chars().count());
        if used > 0 && used + 1 + word.chars().count() > WIDTH {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n")
}
