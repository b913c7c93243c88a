//! What the person at the terminal reads: headings, the commands as they would be typed, their output, and how long
//! each step took.

use std::env;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

pub struct Say {
    began: Instant,
    step: usize,
    title: String,
    step_began: Instant,
    colours: bool,
}

impl Say {
    pub fn new() -> Self {
        let now = Instant::now();
        let colours = io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none();
        Self { began: now, step: 0, title: String::new(), step_began: now, colours }
    }

    /// Starts a step; says how long the one before it took.
    pub fn step(&mut self, title: &str) -> io::Result<()> {
        self.end_step()?;
        self.step += 1;
        title.clone_into(&mut self.title);
        self.step_began = Instant::now();
        let heading = self.bold(&format!("{}. {title}", self.step));
        self.line(format!("\n{heading}"))
    }

    /// Ends the last step.
    pub fn end(&mut self) -> io::Result<()> {
        self.end_step()?;
        self.title.clear();
        self.line(format!("\nThe tour took {}.", seconds(self.began.elapsed())))
    }

    fn end_step(&self) -> io::Result<()> {
        if self.title.is_empty() {
            return Ok(());
        }
        let took = self.dim(&format!("({})", seconds(self.step_began.elapsed())));
        self.line(format!("   {took}"))
    }

    /// Which step went wrong, for an error's beginning.
    pub fn whereabouts(&self) -> String {
        if self.title.is_empty() { String::new() } else { format!("step {}, {:?}: ", self.step, self.title) }
    }

    /// A sentence of ours.
    pub fn note(&self, text: &str) -> io::Result<()> {
        self.lines("   ", text)
    }

    /// A command as a person would type it.
    pub fn command(&self, command: &str) -> io::Result<()> {
        self.line(format!("   {}", self.bold(&format!("$ {command}"))))
    }

    /// What a program printed.
    pub fn output(&self, text: &str) -> io::Result<()> {
        self.lines("     ", text.trim_end())
    }

    /// Lines with a word beside them.
    pub fn margin(&self, word: &str, stands_out: bool, text: &str) -> io::Result<()> {
        for (i, line) in text.lines().enumerate() {
            let word = if i == 0 || stands_out { word } else { "" };
            let rule = if i == 0 { '┌' } else { '│' };
            let margin = format!("   {word:>7} {rule}");
            let margin = if stands_out { self.paint("32;1", &margin) } else { self.dim(&margin) };
            self.line(format!("{margin} {line}"))?;
        }
        Ok(())
    }

    fn lines(&self, indent: &str, text: &str) -> io::Result<()> {
        text.lines().try_for_each(|line| self.line(format!("{indent}{line}").trim_end()))
    }

    #[expect(clippy::unused_self, reason = "nothing is said but through here")]
    fn line(&self, text: impl Display) -> io::Result<()> {
        writeln!(io::stdout(), "{text}")
    }

    pub fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    fn dim(&self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
