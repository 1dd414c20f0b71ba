//! The JSON schema of scenario files, for editors: completion and explanations of every verb, option and word.
//!
//! Made from the tables that the parser itself reads by, so it knows exactly their words. It is a little weaker
//! than the parser: names, store numbers of a smaller cluster, pinned times and what only one system has need the
//! whole file.

use super::ast::{
    BareConfig, Check, ClientConfig, ClocksConfig, ClusterConfig, DiskConfig, Keyword, Limits, MAX_SEED,
    MAX_STORES, NetworkConfig, PlacementConfig, ProcessConfig, RaftConfig, RaftstoreConfig, RecordKind,
    System,
};
use super::config::Section;
use super::grammar::{
    BUDGETS, CHECKS, Choice, ENDINGS, Field, Form, LINK, LOSING, LOSSES, MAX_CLIENTS, MAX_INTEGER, MEMBERS,
    MESSAGES, MIX, NETWORK, Number, RECORDS, RESERVED, SYSTEMS, Shape, TARGETS, TARGETS_OF, Words, forms,
};
use schemars::{Schema, json_schema};
use serde_json::{Map, Value, json};

/// The JSON schema (draft 2020-12) of a scenario file.
#[must_use]
pub fn schema() -> Value {
    let schema = json_schema!({
        "$schema": schemars::consts::meta_schemas::DRAFT2020_12,
        "title": "raftsim scenario",
        "description": "One story of a Raft cluster: its configuration, and the steps of what happens to it.",
        "type": "object",
        "properties": {
            "about": { "type": "string", "minLength": 1, "description": "The story in one sentence." },
            "seed": described(of_shape(Shape::Count(0, MAX_SEED)), "The seed of all random decisions; default 0."),
            "ending": described(of_shape(Shape::Word(&ENDINGS)), "What happens after the last step."),
            "core": described(
                of_shape(Shape::StoreNumbers),
                "The stores that become healthy in the ending \"freeze\"; default: drawn.",
            ),
            "budget": described(of_shape(Shape::Word(&BUDGETS)), "Which faults are withheld; default \"safe\"."),
            "system": described(of_shape(Shape::Word(&SYSTEMS)), "What the stores run; default \"raftstore\"."),
            "cluster": section::<ClusterConfig>(),
            "raft": section::<RaftConfig>(),
            "raftstore": section::<RaftstoreConfig>(),
            "bare": section::<BareConfig>(),
            "placement": section::<PlacementConfig>(),
            "network": section::<NetworkConfig>(),
            "disk": section::<DiskConfig>(),
            "clocks": section::<ClocksConfig>(),
            "process": section::<ProcessConfig>(),
            "client": section::<ClientConfig>(),
            "limits": section::<Limits>(),
            "steps": { "type": "array", "items": { "$ref": "#/$defs/step" }, "description": "What happens, in order." },
        },
        "required": ["about", "steps"],
        "additionalProperties": false,
        "$defs": {
            "step": { "type": "object", "oneOf": forms().map(step).collect::<Vec<_>>() },
            "duration": text(r"^\s*[0-9]+(\.[0-9]+)?\s*(h|m|s|ms|us|µs|ns)\s*$", &["1.5s", "250ms"]),
            "share": text(r"^\s*[0-9]+(\.[0-9]+)?\s*(%|ppm)\s*$", &["0.5%", "100ppm"]),
            "drift": text(r"^\s*[-+]?[0-9]+(\.[0-9]+)?\s*(%|ppm)\s*$", &["5%", "-300ppm"]),
            "jump": text(r"^\s*[-+]?[0-9]+(\.[0-9]+)?\s*(h|m|s|ms|us|µs|ns)\s*$", &["2s", "-300ms"]),
            "latency": text(r"^\s*[0-9].*(s|h|m)\s*$", &["5ms", "1ms..10ms", "1ms + exp 4ms", "1ms + tail 4ms"]),
            "size": text(r"^\s*[0-9]+\s*(B|KiB|MiB|GiB)\s*$", &["100B", "64KiB", "1MiB"]),
            "bound": text(r"^\s*([0-9]+\s*(B|KiB|MiB|GiB)|unbounded)\s*$", &["64KiB", "unbounded"]),
            "key": text(r"^(?!.*\.\.).+$", &["k1"]),
            "keys": text("^.+$", &["k1", "k1..k50"]),
            "name": name(),
            "target": target(),
            "endpoint": endpoint(),
            "endpoints": one_or_more(json!({ "$ref": "#/$defs/endpoint" })),
            "check": word_list(&CHECKS),
            "message": word_list(&MESSAGES),
            "record": word_list(&RECORDS),
            "lost": lost(),
        },
    });
    Schema::to_value(schema)
}

/// A string of this pattern.
fn text(pattern: &str, examples: &[&str]) -> Value {
    json!({ "type": "string", "pattern": pattern, "examples": examples })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

/// A name; a reserved word is none, so that `crash = "placement"` has one reading.
fn name() -> Value {
    text(&format!("^(?!({})$)[A-Za-z][A-Za-z0-9_-]*$", RESERVED.join("|")), &["lagging"])
}

fn one_or_more(item: Value) -> Value {
    json!({ "anyOf": [item, { "type": "array", "items": item, "minItems": 1 }] })
}

fn described(mut schema: Value, doc: &str) -> Value {
    schema["description"] = doc.into();
    schema
}

/// Words, each with its explanation: editors show it beside the word.
fn word_list(words: &Words) -> Value {
    let list: Vec<Value> =
        (words.list)().into_iter().map(|(word, doc)| json!({ "const": word, "description": doc })).collect();
    json!({ "oneOf": list })
}

fn target() -> Value {
    let mut list = vec![described(of_shape(Shape::StoreNumber), "A store.")];
    list.extend(TARGETS.map(|(word, doc)| json!({ "const": word, "description": doc })));
    list.extend(TARGETS_OF.map(|(words, doc)| {
        let of_key = text(&format!(r"^{words} (?!.*\.\.).+$"), &[&format!("{words} k7")]);
        described(of_key, doc)
    }));
    list.push(described(reference("name"), "A name given by `as` in a step before."));
    json!({ "anyOf": list })
}

fn endpoint() -> Value {
    let client = text("^client [0-9]+$", &["client 1"]);
    json!({ "anyOf": [
        reference("target"),
        described(client, &format!("One client, from 1 to {MAX_CLIENTS}.")),
        { "const": "clients", "description": "Every client." },
        { "const": "placement", "description": "The placement driver. Needs the table `placement`." },
    ] })
}

/// What one database loses.
fn lost() -> Value {
    let newest =
        described(of_shape(Shape::Count(1, MAX_INTEGER)), "So many of the newest unsynced writes are lost.");
    json!({ "anyOf": [word_list(&LOSING), newest] })
}

fn of_shape(shape: Shape) -> Value {
    match shape {
        Shape::Text => json!({ "type": "string" }),
        Shape::Key => reference("key"),
        Shape::Keys => reference("keys"),
        Shape::Border => text(r"^(?!.*\.\.).*$", &["k1", ""]),
        Shape::ScanRange => text(r"^(all|.+\.\..+)$", &["all", "a..z"]),
        Shape::Duration | Shape::Positive | Shape::Time => reference("duration"),
        Shape::Share => reference("share"),
        Shape::Drift => reference("drift"),
        Shape::Jump => reference("jump"),
        Shape::Latency => reference("latency"),
        Shape::Size(..) => reference("size"),
        Shape::Bound => reference("bound"),
        Shape::Integer => json!({ "type": "integer" }),
        Shape::Integers => json!({ "type": "array", "items": of_shape(Shape::Integer) }),
        Shape::StoreNumber => json!({ "type": "integer", "minimum": 1, "maximum": MAX_STORES }),
        Shape::StoreNumbers => {
            json!({ "type": "array", "items": of_shape(Shape::StoreNumber), "uniqueItems": true })
        }
        Shape::Count(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::True => json!({ "const": true }),
        Shape::Word(words) if words.what == Check::WHAT => reference("check"),
        Shape::Word(words) if words.what == RecordKind::WHAT => reference("record"),
        Shape::Word(words) => word_list(words),
        Shape::Words(words) => one_or_more(word_list(words)),
        Shape::Lost => reference("lost"),
        Shape::Losses => json!({ "anyOf": [reference("lost"), not_empty(table(&LOSSES))] }),
        Shape::Literal(word) => json!({ "const": word }),
        Shape::Store => reference("target"),
        Shape::Targets => one_or_more(reference("target")),
        Shape::AnyTargets => {
            json!({ "anyOf": [reference("target"), { "type": "array", "items": reference("target") }] })
        }
        Shape::Endpoints => reference("endpoints"),
        Shape::Groups => {
            let group = json!({ "type": "array", "items": reference("endpoint"), "minItems": 1 });
            json!({ "type": "array", "items": group, "minItems": 1, "examples": [[[1, 2], [3]]] })
        }
        Shape::Link => table(&LINK),
        // "all" is a target like any other.
        Shape::Links => json!({ "anyOf": [reference("endpoints"), table(&LINK)] }),
        Shape::Network => not_empty(table(&NETWORK)),
        Shape::Knobs(fields) => not_empty(table(fields)),
        Shape::Members => not_empty(table(&MEMBERS)),
        Shape::Mix => table(&MIX),
        Shape::Name | Shape::Filter => reference("name"),
        Shape::Filters => json!({ "anyOf": [{ "const": "all" }, reference("name")] }),
        Shape::Messages => one_or_more(reference("message")),
    }
}

fn properties<'f>(fields: impl IntoIterator<Item = &'f Field>) -> Map<String, Value> {
    fields
        .into_iter()
        .map(|f| (f.key.to_owned(), described(of_shape(f.shape), &explained(f.doc, f.system))))
        .collect()
}

fn table(fields: &[Field]) -> Value {
    let required: Vec<&str> = fields.iter().filter(|f| f.required).map(|f| f.key).collect();
    json!({
        "type": "object",
        "properties": properties(fields),
        "required": required,
        "additionalProperties": false,
    })
}

/// A table with at least one field.
fn not_empty(mut table: Value) -> Value {
    table["minProperties"] = 1.into();
    table
}

/// The explanation of what belongs to one system only.
fn explained(doc: &str, system: Option<System>) -> String {
    match system {
        Some(system) => format!("{doc} Needs `system = \"{system}\"`."),
        None => doc.to_owned(),
    }
}

/// A table of configuration, with the defaults of its fields.
fn section<S: Section>() -> Value {
    let mut schema = described(table(S::FIELDS), &explained(S::DOC, S::SYSTEM));
    for (key, value) in S::default().written() {
        // Numbers and plain strings are written alike in TOML and JSON.
        schema["properties"][key]["default"] = serde_json::from_str(&value).unwrap_or(Value::String(value));
    }
    schema
}

/// One way to write a step.
fn step(form: &Form) -> Value {
    let mut all = Map::new();
    let doc = explained(form.doc, form.system);
    all.insert(form.verb.to_owned(), described(of_shape(form.value), &doc));
    all.extend(properties(form.all_options()));
    let needed = form.options.iter().filter(|option| option.required).map(|option| option.key);
    let required: Vec<&str> = std::iter::once(form.verb).chain(needed).collect();
    let choices: Vec<Value> = form.all_choices().map(choice).collect();
    json!({
        "title": form.title(),
        "description": doc,
        "type": "object",
        "properties": all,
        "required": required,
        "additionalProperties": false,
        "allOf": choices,
    })
}

/// So many of the keys.
fn choice(choice: &Choice) -> Value {
    let mut ways: Vec<Value> = choice.keys.iter().map(|key| json!({ "required": [key] })).collect();
    match choice.number {
        Number::AtLeastOne => return json!({ "anyOf": ways }),
        Number::AtMostOne => ways.push(json!({ "not": { "anyOf": ways } })),
        Number::One => {}
    }
    json!({ "oneOf": ways })
}

#[cfg(test)]
mod tests {
    use super::super::grammar::verbs;
    use super::*;

    #[test]
    fn every_verb_and_option_has_its_alternative() {
        let schema = schema();
        let steps = schema["$defs"]["step"]["oneOf"].as_array().expect("a list of alternatives");
        for verb in verbs() {
            let forms: Vec<&Value> = steps.iter().filter(|step| step["required"][0] == verb).collect();
            assert!(!forms.is_empty(), "no alternative for `{verb}`");
            for form in forms {
                assert_eq!(form["additionalProperties"], json!(false));
                assert!(form["properties"]["at"].is_object() && form["properties"]["after"].is_object());
            }
        }
        assert_eq!(steps.len(), forms().count());
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn references(value: &Value, out: &mut Vec<String>) {
            match value {
                Value::Object(map) => {
                    out.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                    map.values().for_each(|v| references(v, out));
                }
                Value::Array(list) => list.iter().for_each(|v| references(v, out)),
                _ => {}
            }
        }
        let schema = schema();
        let mut found = Vec::new();
        references(&schema, &mut found);
        assert!(!found.is_empty());
        for reference in found {
            assert!(schema.pointer(&reference[1..]).is_some(), "{reference} leads nowhere");
        }
    }

    #[test]
    fn defaults_of_the_configuration_are_shown() {
        let schema = schema();
        assert_eq!(schema["properties"]["raft"]["properties"]["tick"]["default"], json!("100ms"));
        assert_eq!(schema["properties"]["cluster"]["properties"]["stores"]["default"], json!(3));
    }
}
