//! Reading what names stores, clients and filters: targets, endpoints, groups, and the names that steps give.
//!
//! A name is given once and used in later steps only; store numbers are those of the cluster.

use super::ast::{Endpoint, FilterRef, Links, MAX_STORES, Target};
use super::diagnostic::{Diagnostic, either, listed, nearest, quote};
use super::grammar::{LINK, MAX_CLIENTS, MEMBERS, RESERVED, Shape, TARGETS, TARGETS_OF};
use super::reader::{Place, Read, Reader, Reported, collect, found};
use std::collections::BTreeSet;
use toml::de::DeValue;

/// The ends of a directed link.
pub(super) type Link = (Vec<Endpoint>, Vec<Endpoint>);

/// The same as options of a step: all machines where one is missing.
pub(super) type OptionalLink = (Option<Vec<Endpoint>>, Option<Vec<Endpoint>>);

/// One end of a directed link, and where it stands.
pub(super) struct End<'t, 's> {
    place: Place<'t, 's>,
    endpoints: Vec<Endpoint>,
}

impl Reader {
    /// One target, which may stand for several stores.
    pub(super) fn target(&mut self, place: Place<'_, '_>) -> Read<Target> {
        match place.node.get_ref() {
            DeValue::Integer(_) => self.store_number(place).map(Target::Store),
            DeValue::String(word) => self.target_word(place, word),
            _ => Err(self.mismatch(place)),
        }
    }

    /// One store.
    pub(super) fn store(&mut self, place: Place<'_, '_>) -> Read<Target> {
        let target = self.target(place)?;
        if target.is_plural() {
            let label =
                format!("expected one store, found {}, which can be several", found(place.node.get_ref()));
            return Err(self.invalid(place, label));
        }
        Ok(target)
    }

    /// A target or several, none twice.
    pub(super) fn targets(&mut self, place: Place<'_, '_>) -> Read<Vec<Target>> {
        let places = self.one_or_more(place)?;
        self.distinct_targets(&places)
    }

    /// Any number of targets, none twice.
    pub(super) fn any_targets(&mut self, place: Place<'_, '_>) -> Read<Vec<Target>> {
        match place.node.get_ref() {
            DeValue::Array(array) if array.is_empty() => Ok(Vec::new()),
            _ => self.targets(place),
        }
    }

    /// The stores that a condition or an expectation looks at, none twice. `"others"` stands alone: the rest of
    /// some stores and these stores are all stores.
    pub(super) fn looked_at(&mut self, place: Place<'_, '_>) -> Read<Vec<Target>> {
        let places = self.one_or_more(place)?;
        let targets = self.distinct_targets(&places)?;
        match targets.iter().zip(&places).find(|(target, _)| **target == Target::Others) {
            Some((_, others)) if targets.len() > 1 => {
                let label =
                    "expected \"others\" to stand alone: with the stores beside it, it is every store";
                let message = format!("wrong value for `{}`", place.key);
                let diagnostic = Diagnostic::new(others.node.span(), message, label);
                Err(self.report(diagnostic.help("every store is \"all\"")))
            }
            _ => Ok(targets),
        }
    }

    fn distinct_targets(&mut self, places: &[Place<'_, '_>]) -> Read<Vec<Target>> {
        let targets = collect(places.iter().map(|element| self.target(*element)))?;
        self.distinct(&targets, places)?;
        Ok(targets)
    }

    /// `{ add = ..., learn = ..., remove = ... }`: the targets of each, none twice in all.
    pub(super) fn members(&mut self, place: Place<'_, '_>) -> Read<[Vec<Target>; 3]> {
        let mut places = [const { Vec::new() }; 3];
        let mut whole = Ok(());
        let table = self.fields(place, &MEMBERS, |reader, field| {
            for (_, places) in MEMBERS.iter().zip(&mut places).filter(|(m, _)| m.key == field.key) {
                match reader.one_or_more(field) {
                    Ok(elements) => *places = elements,
                    Err(reported) => whole = Err(reported),
                }
            }
        })?;
        if table.is_empty() {
            let label = format!("expected {}, found an empty table", place.shape.expected());
            return Err(self.invalid(place, label));
        }
        let all = self.distinct_targets(&places.concat());
        whole?;
        let mut all = all?.into_iter();
        Ok(places.map(|part| all.by_ref().take(part.len()).collect()))
    }

    fn endpoint(&mut self, place: Place<'_, '_>) -> Read<Endpoint> {
        match place.node.get_ref() {
            DeValue::String(word) if word == "clients" => Ok(Endpoint::Clients),
            DeValue::String(word) if word == "placement" => {
                self.needs_driver(place.node.span(), "placement").map(|()| Endpoint::Placement)
            }
            DeValue::String(word) if word.starts_with("client ") => {
                self.client(place, &word["client ".len()..])
            }
            _ => self.target(place).map(Endpoint::Stores),
        }
    }

    fn client(&mut self, place: Place<'_, '_>, number: &str) -> Read<Endpoint> {
        // `parse` would take a sign too.
        let digits = number.bytes().all(|b| b.is_ascii_digit());
        let number =
            number.parse::<u32>().ok().filter(|n| digits && (1..=MAX_CLIENTS).contains(&u64::from(*n)));
        number.map(Endpoint::Client).ok_or_else(|| {
            self.invalid(
                place,
                format!("expected a client such as \"client 1\", numbered from 1 to {MAX_CLIENTS}"),
            )
        })
    }

    /// Targets and clients, none twice.
    pub(super) fn endpoints(&mut self, place: Place<'_, '_>) -> Read<Vec<Endpoint>> {
        let places = self.one_or_more(place)?;
        let endpoints = collect(places.iter().map(|element| self.endpoint(*element)))?;
        self.distinct(&endpoints, &places)?;
        Ok(endpoints)
    }

    /// Groups of targets and clients, none twice in one. Who is in two groups bridges them.
    pub(super) fn groups(&mut self, place: Place<'_, '_>) -> Read<Vec<Vec<Endpoint>>> {
        let DeValue::Array(array) = place.node.get_ref() else {
            return Err(self.mismatch(place));
        };
        if array.is_empty() {
            return Err(self.empty(place));
        }
        let mut places = Vec::new();
        let mut groups = Vec::new();
        for node in array.iter() {
            let group = place.element(node, Shape::Groups);
            let DeValue::Array(elements) = node.get_ref() else {
                let label = format!("expected a group such as [1, 2], found {}", found(node.get_ref()));
                let help = "a partition is an array of arrays: [[1, 2], [3]]";
                let diagnostic =
                    Diagnostic::new(node.span(), "wrong value for `partition`", label).help(help);
                groups.push(Err(self.report(diagnostic)));
                continue;
            };
            if elements.is_empty() {
                groups.push(Err(self.empty(group)));
                continue;
            }
            let elements: Vec<_> =
                elements.iter().map(|node| group.element(node, Shape::Endpoints)).collect();
            let endpoints = collect(elements.iter().map(|element| self.endpoint(*element)));
            groups.push(endpoints.and_then(|group| self.distinct(&group, &elements).map(|()| group)));
            places.push(group);
        }
        let groups = collect(groups)?;
        self.distinct(&groups, &places)?;
        Ok(groups)
    }

    /// `from` or `to`.
    pub(super) fn end<'t, 's>(&mut self, place: Place<'t, 's>) -> Read<End<'t, 's>> {
        self.endpoints(place).map(|endpoints| End { place, endpoints })
    }

    /// `{ from = ..., to = ... }`
    pub(super) fn link(&mut self, place: Place<'_, '_>) -> Read<Link> {
        let (mut from, mut to) = (None, None);
        self.fields(place, &LINK, |reader, field| {
            let end = Some(reader.end(field));
            if field.key == "from" { from = end } else { to = end }
        })?;
        // A missing end has been reported by `fields`.
        let (from, to) = (from.ok_or(Reported)??, to.ok_or(Reported)??);
        self.rest_of_each_other(Some(&from), Some(&to))?;
        Ok((from.endpoints, to.endpoints))
    }

    /// `from` and `to` as options of a step.
    pub(super) fn optional_link(
        &mut self,
        from: Read<Option<End<'_, '_>>>,
        to: Read<Option<End<'_, '_>>>,
    ) -> Read<OptionalLink> {
        let (from, to) = (from?, to?);
        self.rest_of_each_other(from.as_ref(), to.as_ref())?;
        Ok((from.map(|end| end.endpoints), to.map(|end| end.endpoints)))
    }

    /// Checks that `"others"` at one end of a link is the rest of something: some stores that the other end names.
    fn rest_of_each_other(&mut self, from: Option<&End<'_, '_>>, to: Option<&End<'_, '_>>) -> Read<()> {
        if let Some(end) = from {
            self.is_rest_of(end, "to", to)?;
        }
        if let Some(end) = to {
            self.is_rest_of(end, "from", from)?;
        }
        Ok(())
    }

    fn is_rest_of(&mut self, end: &End<'_, '_>, other_key: &str, other: Option<&End<'_, '_>>) -> Read<()> {
        let others = Endpoint::Stores(Target::Others);
        let Some(at) = end.endpoints.iter().position(|endpoint| *endpoint == others) else {
            return Ok(());
        };
        let named = other.map_or(&[][..], |other| &other.endpoints);
        let why = if other.is_none() {
            "it is missing"
        } else if named.contains(&others) {
            "it is \"others\" too"
        } else if named.contains(&Endpoint::Stores(Target::All)) {
            "it names all"
        } else if !named.iter().any(|endpoint| matches!(endpoint, Endpoint::Stores(_))) {
            "it names none"
        } else {
            return Ok(());
        };
        let place = *self.one_or_more(end.place)?.get(at).unwrap_or(&end.place);
        let label = format!("expected a `{other_key}` that names some of the stores; {why}");
        let message = format!("wrong value for `{}`", end.place.key);
        let help = "\"others\" at one end of a link means the stores that the other end does not name";
        Err(self.report(Diagnostic::new(place.node.span(), message, label).help(help)))
    }

    /// The links that `heal`, `clog` and `unclog` are about.
    pub(super) fn links(&mut self, place: Place<'_, '_>) -> Read<Links> {
        if let DeValue::Table(_) = place.node.get_ref() {
            return self.link(place).map(|(from, to)| Links::Between { from, to });
        }
        let endpoints = self.endpoints(place)?;
        let all = matches!(endpoints.as_slice(), [Endpoint::Stores(Target::All)]);
        Ok(if all { Links::All } else { Links::Of(endpoints) })
    }

    /// The name that this step gives; the pass over all steps has found it and knows whether it is the first.
    pub(super) fn binding(&mut self, place: Place<'_, '_>) -> Read<String> {
        let name = self.text(place)?;
        let reserved = RESERVED.contains(&name) || TARGETS.iter().any(|(word, _)| *word == name);
        if reserved {
            return Err(
                self.invalid(place, format!("expected a name, found the reserved word {}", quote(name)))
            );
        }
        if !is_name(name) {
            let label =
                format!("expected a letter, then letters, digits, `-` and `_`, found {}", quote(name));
            return Err(self.invalid(place, label));
        }
        match self.names.get(name) {
            Some(first) if first.step < self.step => {
                let label = format!("the step on line {} has given this name already", first.line);
                let message = format!("the name {} is given twice", quote(name));
                Err(self.report(Diagnostic::new(place.node.span(), message, label)))
            }
            _ => Ok(name.to_owned()),
        }
    }

    /// The name of a filter.
    pub(super) fn filter(&mut self, place: Place<'_, '_>) -> Read<String> {
        let name = self.text(place)?;
        self.bound(place, name, true, &[])?;
        Ok(name.to_owned())
    }

    /// The name of a filter, or all of them.
    pub(super) fn filters(&mut self, place: Place<'_, '_>) -> Read<FilterRef> {
        let name = self.text(place)?;
        if name == "all" {
            return Ok(FilterRef::All);
        }
        self.bound(place, name, true, &["all"])?;
        Ok(FilterRef::Named(name.to_owned()))
    }

    /// The number of a store that exists.
    pub(super) fn store_number(&mut self, place: Place<'_, '_>) -> Read<u64> {
        let number = self.count(place.element(place.node, Shape::Count(0, u64::MAX)))?;
        if number > 0 && self.stores.is_none_or(|stores| number <= stores) {
            return Ok(number);
        }
        let label = match self.stores {
            _ if number == 0 => "stores are numbered from 1".to_owned(),
            Some(1) | None => "the cluster has one store, number 1".to_owned(),
            Some(stores) => format!("the cluster has stores 1 to {stores}"),
        };
        let diagnostic = Diagnostic::new(place.node.span(), format!("there is no store {number}"), label);
        Err(self.report(match number {
            1..=MAX_STORES => {
                diagnostic.help(format!("a larger cluster: `cluster = {{ stores = {number} }}`"))
            }
            _ => diagnostic,
        }))
    }

    fn target_word(&mut self, place: Place<'_, '_>, word: &str) -> Read<Target> {
        match word {
            "leader" => return Ok(Target::Leader),
            "follower" => return Ok(Target::Follower),
            "followers" => return Ok(Target::Followers),
            "all" => return Ok(Target::All),
            "others" => return Ok(Target::Others),
            _ => {}
        }
        for (what, _) in TARGETS_OF {
            let key = match word.strip_prefix(what) {
                Some("") => "",
                Some(rest) if rest.starts_with(' ') => &rest[1..],
                _ => continue,
            };
            if !is_key(key) {
                return Err(self.invalid(place, format!("expected one key after `{what}`")));
            }
            let key = key.to_owned();
            return Ok(match what {
                "leader of" => Target::LeaderOf(key),
                "follower of" => Target::FollowerOf(key),
                _ => Target::FollowersOf(key),
            });
        }
        if word == "placement" || word == "clients" || word.starts_with("client ") {
            let label = format!("expected a store, found {}", quote(word));
            return Err(self.invalid(place, label));
        }
        self.bound(place, word, false, &TARGETS.map(|(word, _)| word))?;
        Ok(Target::Named(word.to_owned()))
    }

    /// Checks that an earlier step has given `name` to a filter, or to a store; `words` may stand here too.
    fn bound(&mut self, place: Place<'_, '_>, name: &str, filter: bool, words: &[&str]) -> Read<()> {
        let kind = |filter| if filter { "a filter" } else { "a store" };
        let span = place.node.span();
        let diagnostic = match self.names.get(name) {
            Some(binding) if binding.step < self.step && binding.filter == filter => return Ok(()),
            Some(binding) if binding.filter != filter => {
                let label = format!("expected the name of {}", kind(filter));
                let message = format!("{} names {}, not {}", quote(name), kind(binding.filter), kind(filter));
                Diagnostic::new(span, message, label).help(format!("it is given on line {}", binding.line))
            }
            Some(binding) => {
                let label = format!("given only on line {}", binding.line);
                let help = "a name can be used in the steps after the one that gives it";
                Diagnostic::new(span, format!("the name {} is not known yet", quote(name)), label).help(help)
            }
            None => self.unknown_name(place, name, filter, words),
        };
        Err(self.report(diagnostic))
    }

    fn unknown_name(&self, place: Place<'_, '_>, name: &str, filter: bool, words: &[&str]) -> Diagnostic {
        let names = self.names.iter().filter(|(_, b)| b.filter == filter && b.step < self.step);
        let names: Vec<&str> = names.map(|(name, _)| name.as_str()).collect();
        let span = place.node.span();
        let message = format!("unknown {} {}", if filter { "filter" } else { "target" }, quote(name));
        let known = if names.is_empty() {
            format!("no step before gives a name to a {}", if filter { "filter" } else { "store" })
        } else {
            format!("names given so far: {}", listed(names.iter().copied()))
        };
        // Ends of links have words of their own.
        let ends: &[&str] = match place.shape {
            Shape::Endpoints | Shape::Links => &["clients", "placement"],
            _ => &[],
        };
        if let Some(near) = nearest(name, words.iter().chain(&names).chain(ends).copied()) {
            let diagnostic = Diagnostic::new(span, message, format!("did you mean {}?", quote(near)));
            return if names.is_empty() { diagnostic } else { diagnostic.help(known) };
        }
        if filter {
            return Diagnostic::new(span, message, format!("expected {}", place.shape.expected()))
                .help(known);
        }
        // A key may have ` of ` in it; the words before it have none.
        let of_key = name.split_once(" of ").and_then(|(what, key)| {
            let words = TARGETS_OF.map(|(words, _)| words);
            nearest(&format!("{what} of"), words).map(|near| format!("{near} {key}"))
        });
        if let Some(near) = of_key {
            return Diagnostic::new(span, message, format!("did you mean {}?", quote(&near)));
        }
        if name.bytes().all(|b| b.is_ascii_digit()) && !name.is_empty() {
            let label = format!("write a store number without quotes: {name}");
            return Diagnostic::new(span, message, label);
        }
        Diagnostic::new(span, message, "expected a target or the name of a store").help(format!(
            "a target is a store number, {}, or with a key after it {}; {known}",
            listed(words.iter().copied()),
            either(&TARGETS_OF.map(|(words, _)| words))
        ))
    }

    /// Reports the first value that stands for a second time.
    fn distinct<T: Ord>(&mut self, values: &[T], places: &[Place<'_, '_>]) -> Read<()> {
        let mut seen = BTreeSet::new();
        match values.iter().zip(places).find(|(value, _)| !seen.insert(*value)) {
            Some((_, place)) => {
                let label = format!("expected each once, found {} again", found(place.node.get_ref()));
                Err(self.invalid(*place, label))
            }
            None => Ok(()),
        }
    }
}

/// Whether the text can be a name: a letter, then letters, digits, `-` and `_`.
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// Whether the text can be one key: neither empty nor a range.
pub(super) fn is_key(text: &str) -> bool {
    !text.is_empty() && !text.contains("..")
}
