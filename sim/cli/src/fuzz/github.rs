//! GitHub Actions: an annotation for each kind of finding, and a page in the summary of the job.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use super::campaign::writing;
use super::summary::{Summary, listed, share};
use super::{environment, findings::Group};
use crate::error::Error;
use crate::numbers::{count, grouped};

/// GitHub shows so many annotations of a step.
const ANNOTATIONS: usize = 10;

/// Tells GitHub what came out, if it runs us. Annotations go to standard error, where GitHub reads them too, so that standard
/// output stays what it is everywhere.
///
/// # Errors
/// The page cannot be written.
pub(crate) fn tell(summary: &Summary) -> Result<(), Error> {
    if !environment::is_github() {
        return Ok(());
    }
    let mut stderr = std::io::stderr();
    stderr.write_all(annotations(summary).as_bytes())?;
    if let Some(path) = environment::var("GITHUB_STEP_SUMMARY") {
        let path = Path::new(&path);
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.and_then(|mut file| file.write_all(page(summary).as_bytes())).map_err(writing(path))?;
    }
    Ok(())
}

fn annotations(summary: &Summary) -> String {
    let groups = summary.groups.sorted();
    let mut text = String::new();
    for group in groups.iter().take(ANNOTATIONS) {
        let first = group.first();
        let message = format!("{}\nseed {}: {}", first.message(), first.seed, summary.replay(first));
        let title = format!("{} in {}", group.check, count(group.lines.len(), "run"));
        let _ = writeln!(text, "::error title={}::{}", property(&title), data(&message));
    }
    for missing in &summary.missing {
        let _ = writeln!(text, "::warning title=raftsim::{}", data(missing));
    }
    text
}

/// As `@actions/core` escapes what follows the colons.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// And what stands before them.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// Markdown.
fn page(summary: &Summary) -> String {
    let mut text =
        format!("### raftsim: {}\n\n{}  \n{}\n\n", summary.verdict(), summary.settings, summary.cost());
    let groups = summary.groups.sorted();
    if !groups.is_empty() {
        text.push_str("| check | runs | what | seeds | replay |\n| --- | ---: | --- | --- | --- |\n");
        groups.iter().for_each(|group| row(&mut text, summary, group));
        text.push('\n');
    }
    for missing in &summary.missing {
        let _ = writeln!(text, "**{missing}**\n");
    }
    for line in summary.endings() {
        let _ = writeln!(text, "{line}\n");
    }
    let (met, never) = summary.situations();
    if !never.is_empty() {
        let _ = writeln!(text, "**Never met:** {}\n", never.join(", "));
    }
    if !met.is_empty() {
        let _ = writeln!(text, "<details><summary>{} met</summary>\n", count(met.len(), "situation"));
        text.push_str("| situation | runs | share |\n| --- | ---: | ---: |\n");
        for (word, runs) in met {
            let _ = writeln!(text, "| {word} | {} | {} |", grouped(runs), share(runs, summary.runs));
        }
        text.push_str("\n</details>\n");
    }
    text
}

fn row(text: &mut String, summary: &Summary, group: &Group) {
    let first = group.first();
    let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
    let message = first.message().lines().next().unwrap_or_default();
    let seeds = listed(group.lines.iter().map(|line| line.seed));
    let _ = writeln!(
        text,
        "| {} | {} | {} | {seeds} | `{}` |",
        group.check,
        group.lines.len(),
        cell(message),
        cell(&summary.replay(first))
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_are_one_line_whatever_they_say() {
        assert_eq!(data("100%\r\nof it"), "100%25%0D%0Aof it");
        assert_eq!(property("a: b, c"), "a%3A b%2C c");
    }
}
