//! From text to [`Scenario`]: the top level of a file and the frame of its steps.
//!
//! Every error of the file is reported, each at its place; where the text is not TOML, everything up to there
//! is still checked. No input makes it panic.

use super::ast::{Action, Expectation, MAX_SEED, PlacementConfig, Scenario, Step, When};
use super::config::Section;
use super::consistency;
use super::diagnostic::{Diagnostic, either, listed, nearest, quote};
use super::grammar::{
    BUDGETS, COMMON, ENDINGS, Form, IF_ANY, Number, SYSTEMS, Shape, forms, forms_of, is_filter, verbs,
};
use super::reader::{Binding, Node, Place, Read, Reader, Reported, found};
use super::steps::StepReader;
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// The keys of the top level, in the order in which they are printed.
pub(super) const TOP: [&str; 18] = [
    "about",
    "seed",
    "ending",
    "core",
    "budget",
    "system",
    "cluster",
    "raft",
    "raftstore",
    "bare",
    "placement",
    "network",
    "disk",
    "clocks",
    "process",
    "client",
    "limits",
    "steps",
];

/// Reads a scenario file.
///
/// # Errors
/// Everything that is wrong with it, in the order of the places; [`render`](super::render) shows it.
pub fn parse(source: &str) -> Result<Scenario, Vec<Diagnostic>> {
    let (document, errors) = DeTable::parse_recoverable(source);
    let mut reader = Reader::new(source);
    syntax_errors(&mut reader, errors, source);
    let scenario = file(&mut reader, document.get_ref(), source);
    let diagnostics = reader.into_diagnostics();
    match scenario {
        Ok(scenario) if diagnostics.is_empty() => Ok(scenario),
        _ => Err(diagnostics),
    }
}

/// Reports what the TOML parser found: all that it can recover from, and the first that it cannot, since what it
/// says after that is guesswork.
fn syntax_errors(reader: &mut Reader, mut errors: Vec<toml::de::Error>, source: &str) {
    let span = |error: &toml::de::Error| error.span().unwrap_or(source.len()..source.len());
    errors.sort_by_key(|error| span(error).start);
    for error in errors {
        let span = span(&error);
        let text = source.get(span.clone()).unwrap_or_default();
        let (problem, expected) = error.message().split_once(", expected ").unwrap_or((error.message(), ""));
        match problem {
            "duplicate key" => {
                let message = format!("the key {} stands here twice", quote(text));
                reader.report(Diagnostic::new(span, message, "expected each key once"));
            }
            "string values must be quoted" => {
                let label = format!("expected a string in quotes: \"{text}\"");
                reader.report(Diagnostic::new(span, format!("{} is not a value", quote(text)), label));
            }
            _ => {
                let here = source.get(span.start..).unwrap_or_default();
                reader.lost(syntax_error(problem, expected, span, here));
                return;
            }
        }
    }
}

/// An error of the TOML parser in the form of ours: what is wrong as the message, what was expected as the label.
fn syntax_error(problem: &str, expected: &str, span: Range<usize>, here: &str) -> Diagnostic {
    let label = if expected.is_empty() { String::new() } else { format!("expected {expected}") };
    match problem {
        "invalid basic string" if expected == "`\"`" => {
            let help = "a string stands in double quotes and ends on its line";
            Diagnostic::new(span, "this string does not end", label).help(help)
        }
        "missing comma between array elements" if here.starts_with('}') => {
            Diagnostic::new(span, "this array does not end", "expected `,` or `]`")
        }
        "invalid unquoted key" if here.starts_with(':') => {
            let help = "a scenario is TOML: `{ crash = 2 }`";
            Diagnostic::new(span, "this is not TOML", "expected `=` between a key and its value").help(help)
        }
        _ => Diagnostic::new(span, format!("this is not TOML: {problem}"), label),
    }
}

fn file(reader: &mut Reader, table: &DeTable<'_>, source: &str) -> Read<Scenario> {
    let mut scenario = Scenario::new("");
    for key in table.keys().filter(|key| !TOP.contains(&key.get_ref().as_ref())) {
        unknown_top_level_key(reader, key.get_ref(), key.span());
    }
    match place(table, "system", Shape::Word(&SYSTEMS)).map(|place| reader.word(place)) {
        Some(Ok(system)) => (scenario.system, reader.system) = (system, Some(system)),
        None if is_default(reader, table, "system") => reader.system = Some(scenario.system),
        // Where it cannot be read, the stores may run any system.
        Some(Err(Reported)) | None => {}
    }
    let read = section(reader, table, &mut scenario.cluster);
    // Likewise any store may exist.
    if read && (table.contains_key("cluster") || is_default(reader, table, "cluster")) {
        reader.stores = Some(scenario.cluster.stores);
        consistency::members(reader, table, &scenario.cluster);
    }
    match place(table, "about", Shape::Text) {
        Some(place) => {
            if let Ok(text) = reader.text(place) {
                scenario.about = text.to_owned();
                if text.trim().is_empty() {
                    reader.invalid(place, "expected the story in one sentence, found nothing");
                }
            }
        }
        None => missing(reader, 0, "about", "expected `about = \"...\"`, the story in one sentence"),
    }
    if let Some(Ok(seed)) = place(table, "seed", Shape::Count(0, MAX_SEED)).map(|place| reader.count(place)) {
        scenario.seed = seed;
    }
    if let Some(Ok(ending)) = place(table, "ending", Shape::Word(&ENDINGS)).map(|place| reader.word(place)) {
        scenario.ending = ending;
    }
    if let Some(Ok(core)) = place(table, "core", Shape::StoreNumbers).map(|place| reader.store_numbers(place))
    {
        consistency::core(reader, table, &core, &scenario);
        scenario.core = Some(core);
    }
    if let Some(Ok(budget)) = place(table, "budget", Shape::Word(&BUDGETS)).map(|place| reader.word(place)) {
        scenario.budget = budget;
    }
    let errors = reader.errors();
    if section(reader, table, &mut scenario.raft) {
        consistency::raft(reader, table, &scenario.raft);
    }
    if section(reader, table, &mut scenario.raftstore) {
        consistency::raftstore(reader, table, &scenario.raftstore);
    }
    if reader.errors() == errors {
        reader.knobs = Some(consistency::Knobs::new(&scenario.raft, &scenario.raftstore));
    }
    section(reader, table, &mut scenario.bare);
    scenario.placement = placement(reader, table);
    if section(reader, table, &mut scenario.network) {
        consistency::network(reader, table, &scenario.network);
    }
    section(reader, table, &mut scenario.disk);
    if section(reader, table, &mut scenario.clocks) {
        consistency::clocks(reader, table, &scenario.clocks);
    }
    section(reader, table, &mut scenario.process);
    section(reader, table, &mut scenario.client);
    section(reader, table, &mut scenario.limits);
    scenario.steps = match place(table, "steps", Shape::Literal("an array of steps")) {
        Some(place) => steps(reader, place)?,
        None => {
            missing(reader, source.len(), "steps", "expected `steps = [...]`, what happens in order");
            return Err(Reported);
        }
    };
    Ok(scenario)
}

fn place<'t, 's>(table: &'t DeTable<'s>, key: &'t str, shape: Shape) -> Option<Place<'t, 's>> {
    table.get(key).map(|node| Place { key, node, shape })
}

/// Whether a key of the top level that is not there was not meant to be, rather than misspelled or not understood.
fn is_default(reader: &Reader, table: &DeTable<'_>, wanted: &str) -> bool {
    let misspelled = table.keys().any(|key| nearest(key.get_ref(), TOP) == Some(wanted));
    reader.understood() && !table.contains_key(wanted) && !misspelled
}

fn missing(reader: &mut Reader, at: usize, key: &str, label: &str) {
    // In a file that is not understood the key may be where nothing could be read.
    if reader.understood() {
        reader.report(Diagnostic::new(at..at, format!("a scenario needs `{key}`"), label));
    }
}

fn unknown_top_level_key(reader: &mut Reader, key: &str, span: Range<usize>) {
    let message = format!("unknown key {}", quote(key));
    if verbs().contains(&key) {
        let label = "this is a verb, and stands in `steps`";
        let help = format!("steps = [\n  {{ {key} = ... }},\n]");
        reader.report(Diagnostic::new(span, message, label).help(help));
        return;
    }
    reader.unknown_word(span, message, key, &TOP, "keys of a scenario");
}

/// Reads the table of the placement driver, if there is one: without it there is no driver.
fn placement(reader: &mut Reader, table: &DeTable<'_>) -> Option<PlacementConfig> {
    if !table.contains_key("placement") {
        reader.driver = is_default(reader, table, "placement").then_some(false);
        return None;
    }
    reader.driver = Some(true);
    let mut config = PlacementConfig::default();
    if section(reader, table, &mut config) {
        consistency::placement(reader, table, &config);
    }
    Some(config)
}

/// Reads a table of configuration; whether it could be read, with all that it has.
fn section<S: Section>(reader: &mut Reader, table: &DeTable<'_>, section: &mut S) -> bool {
    let errors = reader.errors();
    if let (Some(place), Some((key, _))) =
        (place(table, S::KEY, Shape::Literal(S::KEY)), table.get_key_value(S::KEY))
    {
        // What fails keeps its default and has been reported.
        let _ = reader.belongs(key.span(), S::KEY, S::SYSTEM);
        if let DeValue::Table(_) = place.node.get_ref() {
            let _ = reader.fields(place, S::FIELDS, |reader, field| drop(section.set(reader, field)));
        } else {
            let example = S::FIELDS[0];
            let label = format!(
                "expected a table such as {{ {} = {} }}, found {}",
                example.key,
                section.written()[0].1,
                found(place.node.get_ref())
            );
            reader.invalid(place, label);
        }
    }
    reader.errors() == errors
}

fn steps(reader: &mut Reader, place: Place<'_, '_>) -> Read<Vec<Step>> {
    let DeValue::Array(array) = place.node.get_ref() else {
        let label = format!("expected an array of steps, found {}", found(place.node.get_ref()));
        return Err(reader.invalid(place, label));
    };
    for (index, node) in array.iter().enumerate() {
        collect_name(reader, index, node);
    }
    let mut steps: Vec<Step> = Vec::new();
    let mut pinned = None;
    for (index, node) in array.iter().enumerate() {
        reader.step = index;
        let last = index + 1 == array.len();
        if let Ok(step) = step(reader, node, &mut pinned, last) {
            steps.push(step);
        }
    }
    Ok(steps)
}

/// Notes which name a step gives, if any, so that every use can be told what it is.
fn collect_name(reader: &mut Reader, step: usize, node: &Node<'_>) {
    let DeValue::Table(table) = node.get_ref() else {
        return;
    };
    let Some(DeValue::String(name)) = table.get("as").map(Node::get_ref) else {
        return;
    };
    let filter = table.keys().any(|key| is_filter(key.get_ref()));
    let line = reader.line(node.span().start);
    let acts = match table.get("count").map(Node::get_ref) {
        Some(DeValue::Integer(count)) if filter => u64::from_str_radix(count.as_str(), count.radix()).ok(),
        _ => None,
    };
    reader.names.entry(name.clone().into_owned()).or_insert(Binding { filter, step, line, acts });
}

/// The last step with `at`, and where it stands.
type Pinned = Option<(raftsim_kernel::Time, u32)>;

fn step(reader: &mut Reader, node: &Node<'_>, pinned: &mut Pinned, last: bool) -> Read<Step> {
    let DeValue::Table(table) = node.get_ref() else {
        let label = format!("expected a step such as {{ crash = 2 }}, found {}", found(node.get_ref()));
        return Err(reader.report(Diagnostic::new(node.span(), "this is not a step", label)));
    };
    let line = reader.line(node.span().start);
    let (form, verb_span) = form_of(reader, table, node)?;
    let title = form.title();
    let known = reader.belongs(verb_span.clone(), &title, form.system);
    let complete = options(reader, table, node, form, verb_span.clone());
    let when = when(reader, table, pinned, line);
    let lenient = place(table, IF_ANY.key, IF_ANY.shape).map(|place| reader.flag(place)).transpose();
    let action = StepReader { reader, table, form }.action();
    let action = action?;
    if let (Action::Expect(Expectation::Violation { .. }), false) = (&action, last) {
        let label = "expected only as the last step";
        reader.report(Diagnostic::new(verb_span, format!("`{title}` is not the last step"), label));
    }
    known?;
    complete?;
    Ok(Step { when: when?, action, lenient: lenient?.is_some(), line })
}

/// The form of the step, from its one verb and that verb's value.
fn form_of(reader: &mut Reader, table: &DeTable<'_>, node: &Node<'_>) -> Read<(&'static Form, Range<usize>)> {
    let verbs = verbs();
    let found: Vec<_> = table.keys().filter(|key| verbs.contains(&key.get_ref().as_ref())).collect();
    let [key] = found.as_slice() else {
        return Err(match found.as_slice() {
            [] => no_verb(reader, table, node, &verbs),
            [first, second, ..] => {
                let (one, two) = (quote(first.get_ref()), quote(second.get_ref()));
                let label = format!("expected one verb; {one} is one already");
                let message = format!("a step has one verb, this one has {one} and {two}");
                let help = "make it two steps, or remove the verb that is not meant";
                reader.report(Diagnostic::new(second.span(), message, label).help(help))
            }
            [_] => unreachable!("matched above"),
        });
    };
    let verb: &str = key.get_ref();
    let place = place(table, verb, Shape::Text).ok_or(Reported)?;
    form_by_value(reader, verb, place).map(|form| (form, key.span()))
}

/// Of the forms of a verb the one that the value chooses.
fn form_by_value(reader: &mut Reader, verb: &str, place: Place<'_, '_>) -> Read<&'static Form> {
    let forms: Vec<&'static Form> = forms_of(verb).collect();
    if let [only] = forms.as_slice() {
        return Ok(only);
    }
    let value = place.node.get_ref();
    let is = |form: &&&'static Form| matches!((form.value, value), (Shape::Literal(word), DeValue::String(text)) if word == text);
    if let Some(form) = forms.iter().find(is) {
        return Ok(form);
    }
    let other = forms.iter().find(|form| !matches!(form.value, Shape::Literal(_)));
    let meant = other.filter(|form| match (form.value, value) {
        // A duration, or one that misses its unit.
        (Shape::Duration, DeValue::Integer(_)) => true,
        (Shape::Duration, DeValue::String(text)) => text.starts_with(|c: char| c.is_ascii_digit()),
        // What is no table either, the reader of the table knows to explain.
        (shape, _) => matches!(shape, Shape::Members | Shape::Targets),
    });
    if let Some(form) = meant {
        return Ok(form);
    }
    let DeValue::String(word) = value else {
        return Err(reader.mismatch(place));
    };
    let words: Vec<&str> = forms
        .iter()
        .filter_map(|form| if let Shape::Literal(w) = form.value { Some(w) } else { None })
        .collect();
    let (what, kind) = match other {
        Some(_) => ("condition", "conditions, besides a duration such as \"1.5s\""),
        None => ("expectation", "expectations"),
    };
    let message = format!("unknown {what} {}", quote(word));
    Err(reader.unknown_word(place.node.span(), message, word, &words, kind))
}

/// Reports a step without a verb: either the verb is misspelled, or there is none.
fn no_verb(reader: &mut Reader, table: &DeTable<'_>, node: &Node<'_>, verbs: &[&str]) -> Reported {
    let is_option = |key: &str| forms().flat_map(Form::all_options).any(|option| option.key == key);
    let strange: Vec<_> = table.keys().filter(|key| !is_option(key.get_ref())).collect();
    let near = strange.iter().find(|key| nearest(key.get_ref(), verbs.iter().copied()).is_some());
    match near.or(strange.first()) {
        Some(key) => {
            let message = format!("unknown verb {}", quote(key.get_ref()));
            reader.unknown_word(key.span(), message, key.get_ref(), verbs, "verbs")
        }
        None => {
            let label = "expected one of its keys to be a verb";
            let help = format!("verbs: {}", listed(verbs.iter().copied()));
            let diagnostic = Diagnostic::new(node.span(), "this step has no verb", label).help(help);
            reader.report_in(node.span().end, diagnostic)
        }
    }
}

/// Checks that the step has options of its form only, all that are required, and no two that exclude each other.
fn options(
    reader: &mut Reader,
    table: &DeTable<'_>,
    node: &Node<'_>,
    form: &Form,
    verb_span: Range<usize>,
) -> Read<()> {
    let (title, end) = (form.title(), node.span().end);
    let valid: Vec<&str> = form.all_options().map(|option| option.key).collect();
    let mut result = Ok(());
    for key in
        table.keys().filter(|key| key.get_ref() != form.verb && !valid.contains(&key.get_ref().as_ref()))
    {
        let message = format!("`{title}` has no option {}", quote(key.get_ref()));
        // What another step takes was meant as what it is, however near to an option of this one.
        result = Err(if forms().flat_map(Form::all_options).any(|option| option.key == key.get_ref()) {
            reader.misplaced_word(key.span(), message, &valid, "its options")
        } else {
            reader.unknown_word(key.span(), message, key.get_ref(), &valid, "its options")
        });
    }
    for option in form.options {
        if let Some((key, _)) = table.get_key_value(option.key)
            && let Err(Reported) = reader.belongs(key.span(), option.key, option.system)
        {
            result = Err(Reported);
        }
    }
    for option in form.options.iter().filter(|option| option.required && !table.contains_key(option.key)) {
        let label = format!("expected `{} = ...`: {}", option.key, option.shape.expected());
        let diagnostic =
            Diagnostic::new(verb_span.clone(), format!("`{title}` needs `{}`", option.key), label);
        result = Err(reader.report_in(end, diagnostic));
    }
    for choice in form.all_choices() {
        let mut given = table.keys().filter(|key| choice.keys.contains(&key.get_ref().as_ref()));
        let (first, second) = (given.next(), given.next());
        if choice.number == Number::AtLeastOne && first.is_some() {
            continue;
        }
        if let (Some(first), Some(second)) = (first, second) {
            let message =
                format!("{} and {} exclude each other", quote(first.get_ref()), quote(second.get_ref()));
            let label = format!("expected only one of {}", listed(choice.keys.iter().copied()));
            result = Err(reader.report(Diagnostic::new(second.span(), message, label)));
        } else if first.is_none() && choice.number != Number::AtMostOne {
            let label = format!("expected {}", either(choice.keys));
            let what = match form.verb {
                "clock" | "disk" => "changes",
                _ => "it expects",
            };
            let message = format!("`{title}` does not say what {what}");
            result = Err(reader.report_in(end, Diagnostic::new(verb_span.clone(), message, label)));
        }
    }
    result
}

/// When the step starts. Pinned times do not go backwards, so that the order of steps is the order of time.
fn when(reader: &mut Reader, table: &DeTable<'_>, pinned: &mut Pinned, line: u32) -> Read<When> {
    let [at, after] = COMMON;
    if let Some(place) = place(table, at.key, at.shape) {
        let time = reader.time(place)?;
        if let Some((before, before_line)) = pinned.filter(|(before, _)| *before > time) {
            let label = format!("expected {before} or later: the step on line {before_line} is at {before}");
            let message = format!("time goes backwards to {time}");
            return Err(reader.report(Diagnostic::new(place.node.span(), message, label)));
        }
        *pinned = Some((time, line));
        return Ok(When::At(time));
    }
    match place(table, after.key, after.shape) {
        Some(place) => reader.duration(place).map(When::After),
        None => Ok(When::Now),
    }
}
