//! Typed access to the spanned TOML tree: each value is read by what its place expects, or reported.
//!
//! A read that fails has said so: it returns [`Reported`], and its caller goes on with the rest of the file.

use super::consistency::Knobs;
use super::diagnostic::{Diagnostic, either, listed, nearest, quote};
use super::grammar::{Field, Shape};
use super::names::{Keyword, System};
use super::units::{Bytes, Latency, SignedDuration};
use raftsim_kernel::{Drift, Duration, Ppm, Time};
use std::collections::BTreeMap;
use std::ops::Range;
use std::str::FromStr;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value with its place in the source.
pub(super) type Node<'s> = Spanned<DeValue<'s>>;

/// Proof that an error has been reported.
#[derive(Debug)]
pub(super) struct Reported;

/// What a read yields.
pub(super) type Read<T> = Result<T, Reported>;

/// A value to be read: where it is, what it is called, and what is expected.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'t, 's> {
    pub(super) key: &'t str,
    pub(super) node: &'t Node<'s>,
    pub(super) shape: Shape,
}

impl<'t, 's> Place<'t, 's> {
    /// An element of this value, expected to have `shape`.
    pub(super) fn element(self, node: &'t Node<'s>, shape: Shape) -> Place<'t, 's> {
        Place { key: self.key, node, shape }
    }
}

/// What a name stands for, and where it is given.
#[derive(Clone, Debug)]
pub(super) struct Binding {
    /// Whether it names a filter; a store otherwise.
    pub(super) filter: bool,
    /// The step that gives it, from 0.
    pub(super) step: usize,
    /// The line of that place.
    pub(super) line: u32,
    /// On how many messages the filter acts, where its step bounds that.
    pub(super) acts: Option<u64>,
}

/// Reads values and collects what is wrong with them.
#[derive(Debug)]
pub(super) struct Reader {
    diagnostics: Vec<Diagnostic>,
    /// The end of what the TOML parser understood: what lies beyond is guesswork and not worth a complaint.
    trusted: usize,
    /// Offsets of line starts.
    lines: Vec<usize>,
    /// What the stores run, `None` while nobody knows.
    pub(super) system: Option<System>,
    /// Number of stores, `None` while nobody knows which exist.
    pub(super) stores: Option<u64>,
    /// Whether there is a placement driver, `None` while nobody knows.
    pub(super) driver: Option<bool>,
    /// What `restart` has changed so far; `None` while nobody knows what it starts from.
    pub(super) knobs: Option<Knobs>,
    /// Whether the file or a step has bounded the bandwidth of a link.
    pub(super) bandwidth: bool,
    /// Every name that some step gives.
    pub(super) names: BTreeMap<String, Binding>,
    /// The step being read, from 0.
    pub(super) step: usize,
}

impl Reader {
    pub(super) fn new(source: &str) -> Reader {
        let starts = source.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at + 1);
        Reader {
            diagnostics: Vec::new(),
            trusted: usize::MAX,
            lines: std::iter::once(0).chain(starts).collect(),
            system: None,
            stores: None,
            driver: None,
            knobs: None,
            bandwidth: false,
            names: BTreeMap::new(),
            step: 0,
        }
    }

    /// The line of an offset, from 1.
    pub(super) fn line(&self, offset: usize) -> u32 {
        let line = self.lines.partition_point(|start| *start <= offset);
        u32::try_from(line).unwrap_or(u32::MAX)
    }

    /// Reports text that is not TOML, so that its line and what follows is not understood.
    pub(super) fn lost(&mut self, diagnostic: Diagnostic) {
        let line = self.lines.partition_point(|start| *start <= diagnostic.span.start);
        self.trusted = self.lines[line.saturating_sub(1)];
        self.diagnostics.push(diagnostic);
    }

    /// Whether the TOML parser understood the whole file.
    pub(super) fn understood(&self) -> bool {
        self.trusted == usize::MAX
    }

    /// How many errors have been reported.
    pub(super) fn errors(&self) -> usize {
        self.diagnostics.len()
    }

    /// Reports an error.
    pub(super) fn report(&mut self, diagnostic: Diagnostic) -> Reported {
        let end = diagnostic.span.end;
        self.report_in(end, diagnostic)
    }

    /// Reports an error that is one only if the source is understood up to `end`, as when something is missing.
    pub(super) fn report_in(&mut self, end: usize, diagnostic: Diagnostic) -> Reported {
        if end <= self.trusted {
            self.diagnostics.push(diagnostic);
        }
        Reported
    }

    /// Reports what stands at `span` and is called `title` where it belongs to another system than the scenario's.
    pub(super) fn belongs(&mut self, span: Range<usize>, title: &str, to: Option<System>) -> Read<()> {
        match (to, self.system) {
            (Some(needed), Some(system)) if needed != system => {
                let message = format!("`{title}` needs `system = \"{needed}\"`");
                let label = format!("the stores of this scenario run \"{system}\"");
                let help = match needed {
                    // What is default need not be said.
                    System::Raftstore => format!("remove it, or the line `system = \"{system}\"`"),
                    System::Raft => format!("write `system = \"{needed}\"` at the top of the file"),
                };
                Err(self.report(Diagnostic::new(span, message, label).help(help)))
            }
            _ => Ok(()),
        }
    }

    /// Reports what stands at `span` and is called `title` where it needs a placement driver and there is none.
    pub(super) fn needs_driver(&mut self, span: Range<usize>, title: &str) -> Read<()> {
        self.belongs(span.clone(), title, Some(System::Raftstore))?;
        if self.driver != Some(false) {
            return Ok(());
        }
        let message = format!("`{title}` needs a placement driver");
        let help = "write `placement = { mode = \"manual\" }` at the top of the file";
        Err(self.report(Diagnostic::new(span, message, "the cluster of this scenario has none").help(help)))
    }

    /// Everything reported, sorted by place.
    pub(super) fn into_diagnostics(mut self) -> Vec<Diagnostic> {
        self.diagnostics.sort_by_key(|d| (d.span.start, d.span.end));
        self.diagnostics
    }

    /// Reports that the value does not have the shape its place expects.
    pub(super) fn mismatch(&mut self, place: Place<'_, '_>) -> Reported {
        let label = format!("expected {}, found {}", place.shape.expected(), found(place.node.get_ref()));
        let diagnostic =
            Diagnostic::new(place.node.span(), format!("wrong value for `{}`", place.key), label);
        let diagnostic = match (place.shape, place.node.get_ref()) {
            (
                Shape::Duration | Shape::Positive | Shape::Time | Shape::Jump | Shape::Latency,
                DeValue::Integer(n),
            ) => diagnostic.help(format!("write the unit too: \"{n}s\" or \"{n}ms\"")),
            (Shape::Share | Shape::Drift, DeValue::Integer(n)) => {
                diagnostic.help(format!("write the unit too: \"{n}%\""))
            }
            (Shape::Share, DeValue::Float(_)) => {
                diagnostic.help("a share is text with its unit: a tenth is \"10%\"")
            }
            (Shape::Size(..) | Shape::Bound, DeValue::Integer(n)) => {
                diagnostic.help(format!("write the unit too: \"{n}B\""))
            }
            (Shape::Count(..), DeValue::String(s))
                if s.bytes().all(|b| b.is_ascii_digit()) && !s.is_empty() =>
            {
                diagnostic.help(format!("write the number without quotes: {s}"))
            }
            (Shape::Flag | Shape::True, DeValue::String(s)) if s == "true" || s == "false" => {
                diagnostic.help(format!("write it without quotes: {s}"))
            }
            (Shape::Text | Shape::Key | Shape::Keys | Shape::Border, DeValue::Integer(n)) => {
                diagnostic.help(format!("write it in quotes: \"{n}\""))
            }
            _ => diagnostic,
        };
        self.report(diagnostic)
    }

    /// Reports a value of the right type that cannot stand here; `label` says what was expected.
    pub(super) fn invalid(&mut self, place: Place<'_, '_>, label: impl Into<String>) -> Reported {
        self.report(Diagnostic::new(place.node.span(), format!("wrong value for `{}`", place.key), label))
    }

    /// Reports a word that is none of `valid`, which are called `kind`: with the nearest of them, or with all.
    pub(super) fn unknown_word(
        &mut self,
        span: Range<usize>,
        message: String,
        word: &str,
        valid: &[&str],
        kind: &str,
    ) -> Reported {
        let Some(near) = nearest(word, valid.iter().copied()) else {
            return self.misplaced_word(span, message, valid, kind);
        };
        let diagnostic = Diagnostic::new(span, message, format!("did you mean {}?", quote(near)));
        self.report(if valid.len() > FEW { diagnostic } else { diagnostic.help(all_of(kind, valid)) })
    }

    /// Reports a word that is none of `valid` and no typing error: with all of them.
    pub(super) fn misplaced_word(
        &mut self,
        span: Range<usize>,
        message: String,
        valid: &[&str],
        kind: &str,
    ) -> Reported {
        self.report(if valid.len() <= FEW {
            Diagnostic::new(span, message, format!("expected {}", either(valid)))
        } else {
            Diagnostic::new(span, message, "expected one of the words below").help(all_of(kind, valid))
        })
    }

    pub(super) fn table<'t, 's>(&mut self, place: Place<'t, 's>) -> Read<&'t DeTable<'s>> {
        match place.node.get_ref() {
            DeValue::Table(table) => Ok(table),
            _ => Err(self.mismatch(place)),
        }
    }

    /// Reads each field of a table that has exactly the given ones, and hands it to `set`.
    pub(super) fn fields<'t, 's>(
        &mut self,
        place: Place<'t, 's>,
        fields: &[Field],
        mut set: impl FnMut(&mut Reader, Place<'t, 's>),
    ) -> Read<&'t DeTable<'s>> {
        let table = self.table(place)?;
        for (key, node) in table {
            match fields.iter().find(|field| field.key == key.get_ref().as_ref()) {
                Some(field) => {
                    // Reported or not, its value is read, so that all errors are found in one go.
                    let _ = self.belongs(key.span(), field.key, field.system);
                    set(self, Place { key: field.key, node, shape: field.shape });
                }
                None => {
                    let valid: Vec<&str> = fields.iter().map(|field| field.key).collect();
                    let message = format!("`{}` has no key {}", place.key, quote(key.get_ref()));
                    self.unknown_word(key.span(), message, key.get_ref(), &valid, "its keys");
                }
            }
        }
        for field in fields.iter().filter(|field| field.required && table.get(field.key).is_none()) {
            let message = format!("`{}` needs `{}`", place.key, field.key);
            let label = format!("expected `{} = ...`: {}", field.key, field.shape.expected());
            self.report_in(place.node.span().end, Diagnostic::new(place.node.span(), message, label));
        }
        Ok(table)
    }

    /// Any string.
    pub(super) fn text<'t>(&mut self, place: Place<'t, '_>) -> Read<&'t str> {
        match place.node.get_ref() {
            DeValue::String(text) => Ok(text),
            _ => Err(self.mismatch(place)),
        }
    }

    fn unit<T>(&mut self, place: Place<'_, '_>) -> Read<T>
    where
        T: FromStr,
        T::Err: std::fmt::Display,
    {
        let text = self.text(place)?;
        text.parse().map_err(|error| {
            let message = format!("wrong value for `{}`", place.key);
            let diagnostic = Diagnostic::new(place.node.span(), message, format!("{error}"));
            self.report(match place.shape {
                Shape::Duration | Shape::Positive | Shape::Time | Shape::Jump => {
                    diagnostic.help("units of time: h, m, s, ms, us, ns")
                }
                Shape::Share => diagnostic.help("a share has the unit % or ppm, and is at most 100%"),
                Shape::Size(..) => diagnostic.help("units of size: B, KiB, MiB, GiB"),
                Shape::Bound => diagnostic.help("units of size: B, KiB, MiB, GiB; \"unbounded\" is no bound"),
                _ => diagnostic,
            })
        })
    }

    pub(super) fn duration(&mut self, place: Place<'_, '_>) -> Read<Duration> {
        let duration = self.unit(place)?;
        if matches!(place.shape, Shape::Positive) && duration == Duration::ZERO {
            return Err(self.invalid(place, "expected a duration greater than zero"));
        }
        Ok(duration)
    }

    pub(super) fn time(&mut self, place: Place<'_, '_>) -> Read<Time> {
        self.unit(place)
    }

    pub(super) fn share(&mut self, place: Place<'_, '_>) -> Read<Ppm> {
        self.unit(place)
    }

    pub(super) fn drift(&mut self, place: Place<'_, '_>) -> Read<Drift> {
        self.unit(place)
    }

    pub(super) fn jump(&mut self, place: Place<'_, '_>) -> Read<SignedDuration> {
        let jump: SignedDuration = self.unit(place)?;
        if jump.by == Duration::ZERO {
            return Err(self.invalid(place, "expected a span that is not zero"));
        }
        Ok(jump)
    }

    pub(super) fn latency(&mut self, place: Place<'_, '_>) -> Read<Latency> {
        self.unit(place)
    }

    pub(super) fn size(&mut self, place: Place<'_, '_>) -> Read<Bytes> {
        let size: Bytes = self.unit(place)?;
        match place.shape {
            Shape::Size(least, most) if size.get() < least || size.get() > most => {
                let (least, most) = (Bytes::new(least), Bytes::new(most));
                Err(self.invalid(place, format!("expected a size from {least} to {most}, found {size}")))
            }
            Shape::Bound if size.get() == 0 => Err(self.invalid(place, "expected a size greater than zero")),
            _ => Ok(size),
        }
    }

    /// An integer within the bounds of the place's shape.
    pub(super) fn count(&mut self, place: Place<'_, '_>) -> Read<u64> {
        let (least, most) = match place.shape {
            Shape::Count(least, most) => (least, most),
            _ => (0, u64::MAX),
        };
        self.integer(place, least, most)
    }

    /// An integer within these bounds.
    fn integer<T>(&mut self, place: Place<'_, '_>, least: T, most: T) -> Read<T>
    where
        T: Copy + TryFrom<i128> + Into<i128> + std::fmt::Display,
    {
        let DeValue::Integer(integer) = place.node.get_ref() else {
            return Err(self.mismatch(place));
        };
        let number = i128::from_str_radix(integer.as_str(), integer.radix()).ok();
        // A number of more than 128 bits is too large as well.
        match number {
            Some(n) if n < least.into() => {
                Err(self.invalid(place, format!("expected at least {least}, found {integer}")))
            }
            Some(n) if n <= most.into() => T::try_from(n).map_err(|_| Reported),
            _ => Err(self.invalid(place, format!("expected at most {most}, found {integer}"))),
        }
    }

    /// Store numbers, in an array that may be empty. Which of them exist is checked once the cluster is known.
    pub(super) fn store_numbers(&mut self, place: Place<'_, '_>) -> Read<Vec<u64>> {
        let places = self.elements(place, Shape::StoreNumber)?;
        collect(places.into_iter().map(|element| self.count(element)))
    }

    /// Integers, in an array that may be empty.
    pub(super) fn integers(&mut self, place: Place<'_, '_>) -> Read<Vec<i64>> {
        let places = self.elements(place, Shape::Integer)?;
        collect(places.into_iter().map(|element| self.integer(element, i64::MIN, i64::MAX)))
    }

    /// An integer whose bounds are within those of `u32`.
    pub(super) fn small_count(&mut self, place: Place<'_, '_>) -> Read<u32> {
        let number = self.count(place)?;
        u32::try_from(number).map_err(|_| {
            self.invalid(place, format!("expected an integer of at most {}, found {number}", u32::MAX))
        })
    }

    pub(super) fn flag(&mut self, place: Place<'_, '_>) -> Read<bool> {
        match place.node.get_ref() {
            DeValue::Boolean(false) if matches!(place.shape, Shape::True) => Err(self.mismatch(place)),
            DeValue::Boolean(flag) => Ok(*flag),
            _ => Err(self.mismatch(place)),
        }
    }

    /// A word of a list.
    pub(super) fn word<K: Keyword>(&mut self, place: Place<'_, '_>) -> Read<K> {
        let word = self.text(place)?;
        K::from_word(word).ok_or_else(|| {
            let valid: Vec<&str> = K::ALL.iter().map(|k| k.word()).collect();
            let message = format!("{} is not {}", quote(word), K::WHAT);
            self.unknown_word(place.node.span(), message, word, &valid, "valid here")
        })
    }

    /// Words of a list, one or more and none twice.
    pub(super) fn words<K: Keyword>(&mut self, place: Place<'_, '_>) -> Read<Vec<K>> {
        let places = self.one_or_more(place)?;
        let words: Vec<K> = collect(places.iter().map(|element| self.word(*element)))?;
        let again = (1..words.len()).find(|at| words[..*at].contains(&words[*at]));
        match again {
            Some(at) => {
                let label = format!("expected each once, found {} again", quote(words[at].word()));
                Err(self.invalid(places[at], label))
            }
            None => Ok(words),
        }
    }

    /// The elements of an array, each expected to have `shape`.
    pub(super) fn elements<'t, 's>(
        &mut self,
        place: Place<'t, 's>,
        shape: Shape,
    ) -> Read<Vec<Place<'t, 's>>> {
        match place.node.get_ref() {
            DeValue::Array(array) => Ok(array.iter().map(|node| place.element(node, shape)).collect()),
            _ => Err(self.mismatch(place)),
        }
    }

    /// The elements of an array, or the value itself where it is none; never nothing.
    pub(super) fn one_or_more<'t, 's>(&mut self, place: Place<'t, 's>) -> Read<Vec<Place<'t, 's>>> {
        match place.node.get_ref() {
            DeValue::Array(array) if array.is_empty() => Err(self.empty(place)),
            DeValue::Array(array) => Ok(array.iter().map(|node| place.element(node, place.shape)).collect()),
            _ => Ok(vec![place]),
        }
    }

    /// Reports an array without elements.
    pub(super) fn empty(&mut self, place: Place<'_, '_>) -> Reported {
        self.invalid(place, "expected at least one element, found an empty array")
    }
}

/// So many words fit into a label.
const FEW: usize = 7;

fn all_of(kind: &str, valid: &[&str]) -> String {
    format!("{kind}: {}", listed(valid.iter().copied()))
}

/// Reads every element; reports what is wrong with each, not just with the first.
pub(super) fn collect<T>(reads: impl IntoIterator<Item = Read<T>>) -> Read<Vec<T>> {
    let (mut values, mut failed) = (Vec::new(), false);
    for read in reads {
        match read {
            Ok(value) => values.push(value),
            Err(Reported) => failed = true,
        }
    }
    if failed { Err(Reported) } else { Ok(values) }
}

/// What a value is, for "expected ..., found ...".
pub(super) fn found(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the string {}", quote(text)),
        DeValue::Integer(integer) => format!("integer {integer}"),
        DeValue::Float(float) => format!("the float {float}"),
        DeValue::Boolean(flag) => format!("{flag}"),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(array) if array.is_empty() => "an empty array".to_owned(),
        DeValue::Array(_) => "an array".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
