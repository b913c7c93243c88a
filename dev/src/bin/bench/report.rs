//! The figures as tables for people: what was measured beside its floors and limits, then the two operators side by side.

use std::io::{self, Write};

use crate::Done;
use crate::figures::{Figure, Figures, Limit, Verdict, processors};

/// Words stand to the left of a column, numbers to the right.
#[derive(Clone, Copy, Debug)]
enum Align {
    Left,
    Right,
}

use Align::{Left, Right};

pub fn print(figures: &Figures) -> Done {
    let mut out = io::stdout().lock();
    let head = ["", "value", "range", "A", "K(n)", "/ (A + K)", "limit", "reached"].map(str::to_owned);
    let align = [Left, Right, Right, Right, Right, Right, Left, Left];
    table(&mut out, align, [head].into_iter().chain(figures.all.iter().map(row)))?;
    let compared: Vec<_> = figures.all.iter().filter_map(compared_row).collect();
    if !compared.is_empty() {
        let head = ["", "this", "the other", "this / other", "verdict"].map(str::to_owned);
        table(&mut out, [Left, Right, Right, Right, Left], [head].into_iter().chain(compared))?;
    }
    writeln!(out)?;
    for figure in &figures.all {
        let remark = remark(figure);
        if !remark.is_empty() {
            writeln!(out, "{}: {remark}", figure.name().trim_start())?;
        }
    }
    for remark in &figures.remarks {
        writeln!(out, "{remark}")?;
    }
    writeln!(
        out,
        "{} processors; load before the run {:.2}: other work makes every time longer.",
        processors(),
        figures.load_before
    )?;
    for figure in figures.all.iter().filter(|figure| figure.reached() == Some(false)) {
        writeln!(out, "missed: {}: {}", figure.scene, figure.name().trim_start())?;
    }
    for figure in figures.all.iter().filter(|figure| figure.verdict() == Some(Verdict::Worse)) {
        writeln!(out, "worse than the other: {}: {}", figure.scene, figure.name().trim_start())?;
    }
    for failure in &figures.failures {
        writeln!(out, "failed: {failure}")?;
    }
    Ok(())
}

fn row(figure: &Figure) -> [String; 8] {
    let unit = figure.measure.unit;
    let number = |value: f64| unit.number(value);
    let or_nothing = |text: Option<String>| text.unwrap_or_default();
    let limit = match figure.measure.limit {
        Limit::Floors(most) => format!("≤ {most} × A"),
        Limit::AtMost(most) => format!("≤ {most} {unit}"),
        Limit::None => String::new(),
    };
    let ends = |of: fn(f64, f64) -> f64| figure.samples.iter().copied().reduce(of);
    let range = match (ends(f64::min), ends(f64::max)) {
        (Some(least), Some(most)) if figure.samples.len() > 1 => format!("{}–{}", number(least), number(most)),
        _ => String::new(),
    };
    let k = figure.k.map(|k| match figure.measure.owners {
        Some(0) | None => String::new(),
        Some(owners) => format!("{} ({owners})", number(k)),
    });
    let reached = figure.reached().map(|reached| if reached { "yes" } else { "NO" }.to_owned());
    [
        figure.name(),
        format!("{} {unit}", number(figure.value())),
        range,
        or_nothing(figure.a.map(number)),
        or_nothing(k),
        or_nothing(figure.ratio().map(|ratio| format!("{ratio:.2}"))),
        limit,
        or_nothing(reached),
    ]
}

fn compared_row(figure: &Figure) -> Option<[String; 5]> {
    let (unit, verdict, other) = (figure.measure.unit, figure.verdict()?, figure.other_value()?);
    let ratio = Some(figure.value() / other).filter(|ratio| ratio.is_finite());
    Some([
        figure.name(),
        format!("{} {unit}", unit.number(figure.value())),
        format!("{} {unit}", unit.number(other)),
        ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
        verdict.to_string(),
    ])
}

fn remark(figure: &Figure) -> String {
    let unit = figure.measure.unit;
    let aim = figure.measure.aim.map(|aim| {
        let is = if figure.value() <= aim { "reached" } else { "not reached" };
        format!("aim: {aim} {unit} ({is}). ")
    });
    format!("{}{}", aim.unwrap_or_default(), figure.note).trim_end().to_owned()
}

fn table<const N: usize>(out: &mut impl Write, align: [Align; N], rows: impl Iterator<Item = [String; N]>) -> Done {
    let rows: Vec<_> = rows.collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, text) in widths.iter_mut().zip(row) {
            *width = text.chars().count().max(*width);
        }
    }
    writeln!(out)?;
    for row in &rows {
        let cells = row.iter().zip(widths).zip(align).map(|((text, width), align)| match align {
            Left => format!("{text:<width$}"),
            Right => format!("{text:>width$}"),
        });
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}
