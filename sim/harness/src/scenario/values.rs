//! Values of operations and filters that are more than a word or a number: keys, ranges, mixes, kinds of message.

use super::ast::{Keys, Losing, Losses, Lost, MessageKind, Mix, ScanRange, System};
use super::grammar::{LOSSES, MAX_INTEGER, MAX_KEYS, MIX, Shape};
use super::reader::{Place, Read, Reader, Reported, collect};
use super::scope::is_key;
use toml::de::DeValue;

pub(super) fn text(reader: &mut Reader, place: Place<'_, '_>) -> Read<String> {
    reader.text(place).map(str::to_owned)
}

pub(super) fn key(reader: &mut Reader, place: Place<'_, '_>) -> Read<String> {
    let text = reader.text(place)?;
    if is_key(text) {
        return Ok(text.to_owned());
    }
    let label =
        if text.is_empty() { "expected a key, found nothing" } else { "expected one key, found a range" };
    Err(reader.invalid(place, label))
}

/// An end of a region's range: one key, or nothing.
pub(super) fn border(reader: &mut Reader, place: Place<'_, '_>) -> Read<String> {
    let text = reader.text(place)?;
    if text.is_empty() { Ok(String::new()) } else { key(reader, place) }
}

/// What each database loses: the same, or as a table says.
pub(super) fn losses(reader: &mut Reader, place: Place<'_, '_>) -> Read<Losses> {
    let DeValue::Table(_) = place.node.get_ref() else {
        return lost(reader, place).map(Losses::all);
    };
    let nothing = Lost::Word(Losing::Nothing);
    let (mut raft, mut kv, mut snapshots) = (Ok(nothing), Ok(nothing), Ok(nothing));
    let table = reader.fields(place, &LOSSES, |reader, field| {
        let lost = lost(reader, field);
        match field.key {
            "raft" => raft = lost,
            "kv" => kv = lost,
            _ => snapshots = lost,
        }
    })?;
    if table.is_empty() {
        return Err(reader.invalid(place, "expected at least one database, found an empty table"));
    }
    Ok(Losses { raft: raft?, kv: kv?, snapshots: snapshots? })
}

fn lost(reader: &mut Reader, place: Place<'_, '_>) -> Read<Lost> {
    match place.node.get_ref() {
        DeValue::Integer(_) => {
            reader.count(place.element(place.node, Shape::Count(1, MAX_INTEGER))).map(Lost::Newest)
        }
        _ => reader.word(place).map(Lost::Word),
    }
}

/// One key, or a numbered range: the same prefix on both sides, then a number.
pub(super) fn keys(reader: &mut Reader, place: Place<'_, '_>) -> Read<Keys> {
    let text = reader.text(place)?;
    let Some((first, last)) = text.split_once("..") else {
        return key(reader, place).map(Keys::One);
    };
    let (Some((prefix, first)), Some((last_prefix, last))) = (numbered(first), numbered(last)) else {
        return Err(
            reader.invalid(place, "expected a numbered range such as \"k1..k50\", without leading zeros")
        );
    };
    if prefix != last_prefix {
        let label = format!(
            "expected the same text before both numbers, such as \"{prefix}{first}..{prefix}{last}\""
        );
        return Err(reader.invalid(place, label));
    }
    if first > last {
        return Err(
            reader.invalid(place, format!("expected a range from low to high: {last} is less than {first}"))
        );
    }
    if last - first >= MAX_KEYS {
        return Err(reader.invalid(place, format!("expected at most {MAX_KEYS} keys")));
    }
    Ok(Keys::Numbered { prefix: prefix.to_owned(), first, last })
}

/// Splits "k12" into "k" and 12; `None` if no number ends it, or one with a leading zero.
fn numbered(text: &str) -> Option<(&str, u64)> {
    let prefix = text.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = &text[prefix.len()..];
    let canonical = digits == "0" || !digits.starts_with('0');
    digits.parse().ok().filter(|_| canonical && !prefix.contains("..")).map(|number| (prefix, number))
}

pub(super) fn scan_range(reader: &mut Reader, place: Place<'_, '_>) -> Read<ScanRange> {
    let text = reader.text(place)?;
    if text == "all" {
        return Ok(ScanRange::All);
    }
    match text.split_once("..") {
        Some((start, end)) if is_key(start) && is_key(end) => {
            if start >= end {
                return Err(reader.invalid(place, "expected the first key to be less than the second"));
            }
            Ok(ScanRange::Range { start: start.to_owned(), end: end.to_owned() })
        }
        _ => Err(reader.invalid(place, format!("expected {}", Shape::ScanRange.expected()))),
    }
}

/// The given weights; those left out are zero.
pub(super) fn mix(reader: &mut Reader, place: Place<'_, '_>) -> Read<Mix> {
    let errors = reader.errors();
    let mut mix = Mix::ZERO;
    reader.fields(place, &MIX, |reader, field| {
        // A weight that cannot be read has been reported.
        let Ok(weight) = reader.small_count(field) else { return };
        match field.key {
            "put" => mix.put = weight,
            "get" => mix.get = weight,
            "append" => mix.append = weight,
            "delete" => mix.delete = weight,
            "cas" => mix.cas = weight,
            _ => mix.scan = weight,
        }
    })?;
    if reader.errors() > errors {
        return Err(Reported);
    }
    if mix == Mix::ZERO {
        return Err(reader.invalid(place, "expected at least one weight above zero"));
    }
    Ok(mix)
}

pub(super) fn messages(reader: &mut Reader, place: Place<'_, '_>) -> Read<Vec<MessageKind>> {
    let places = reader.one_or_more(place)?;
    collect(places.into_iter().map(|element| {
        let kind = reader.word(element)?;
        let title = format!("{kind}");
        match kind {
            MessageKind::SnapshotChunk | MessageKind::SnapshotAck | MessageKind::Tombstone => {
                reader.belongs(element.node.span(), &title, Some(System::Raftstore))?;
            }
            MessageKind::Placement => reader.needs_driver(element.node.span(), &title)?,
            _ => {}
        }
        Ok(kind)
    }))
}
