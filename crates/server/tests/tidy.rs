//! The walls: who may name whom, and how long a file or a function may grow.
//!
//! The crates' walls are held by Cargo. This holds those between the rooms of the server, and the house's sizes.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Each room of the server, and the rooms that it may name. `app`, `server` and `cli` wire the others together.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("secrets", &[]),
    ("address", &[]),
    ("audio", &[]),
    ("disk", &[]),
    ("metrics", &[]),
    ("vocabulary", &[]),
    ("live", &[]),
    ("links", &[]),
    (
        "recordings",
        &["address", "audio", "clock", "intake", "jobs", "metrics", "organizations", "secrets", "vocabulary"],
    ),
    ("privacy", &["audit", "clock", "intake", "jobs", "metrics", "organizations"]),
    ("reconcile", &["clock", "intake", "jobs", "vocabulary"]),
    ("auth", &[]),
    ("control", &["clock"]),
    ("jobs", &["clock", "metrics"]),
    ("audit", &["clock"]),
    ("organizations", &[]),
    ("redaction", &["vocabulary"]),
    ("transcription", &["clock", "intake", "jobs", "organizations", "recordings", "secrets", "vocabulary"]),
    ("analysis", &["clock", "intake", "jobs", "organizations", "vocabulary"]),
    ("intake", &["vocabulary", "live", "metrics", "organizations", "redaction"]),
    (
        "access",
        &[
            "audit",
            "auth",
            "clock",
            "control",
            "intake",
            "jobs",
            "links",
            "live",
            "privacy",
            "recordings",
            "vocabulary",
        ],
    ),
    ("connections", &["metrics"]),
    ("web", &["access", "auth", "metrics", "vocabulary"]),
    ("sources", &["access", "address", "auth", "control", "intake", "vocabulary", "web"]),
    ("dialects", &["access", "auth", "live", "vocabulary", "web"]),
    ("status", &["clock", "disk", "live", "metrics"]),
    ("demo", &["clock", "vocabulary", "web"]),
    ("reference", &["web"]),
    (
        "config",
        &[
            "access",
            "address",
            "analysis",
            "audit",
            "connections",
            "dialects",
            "organizations",
            "privacy",
            "recordings",
            "redaction",
            "secrets",
            "sources",
            "transcription",
            "web",
        ],
    ),
    ("logging", &["config"]),
    ("preflight", &["config", "operations"]),
    (
        "operations",
        &[
            "access",
            "audit",
            "auth",
            "clock",
            "intake",
            "jobs",
            "organizations",
            "privacy",
            "recordings",
            "vocabulary",
        ],
    ),
    ("operator_socket", &["connections", "operations"]),
    ("samples", &["vocabulary"]),
    (
        "app",
        &[
            "access",
            "analysis",
            "audit",
            "auth",
            "clock",
            "config",
            "connections",
            "control",
            "intake",
            "jobs",
            "links",
            "live",
            "metrics",
            "operations",
            "organizations",
            "privacy",
            "reconcile",
            "recordings",
            "sources",
            "transcription",
            "vocabulary",
        ],
    ),
    (
        "server",
        &[
            "access",
            "address",
            "app",
            "config",
            "connections",
            "dialects",
            "logging",
            "metrics",
            "operations",
            "operator_socket",
            "preflight",
            "reference",
            "sources",
            "status",
            "web",
        ],
    ),
    (
        "cli",
        &[
            "address",
            "app",
            "clock",
            "config",
            "demo",
            "disk",
            "logging",
            "operations",
            "operator_socket",
            "preflight",
            "server",
            "sources",
        ],
    ),
];

/// Lines that a source file may have without its tests, and a function.
const LONGEST_FILE: usize = 500;
const LONGEST_FUNCTION: usize = 80;

/// Names that say nothing.
const EMPTY_NAMES: [&str; 5] = ["util", "utils", "helper", "helpers", "manager"];

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crates' folder").to_owned()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("a source file")
}

fn is_test(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "tests")
        || path
            .file_name()
            .is_some_and(|name| name == "tests.rs" || name == "replay.rs" || name == "samples.rs")
}

/// The code of a file without its unit tests and its comments.
fn code(text: &str) -> String {
    let body = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    body.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The rooms that a piece of code names through `crate::`.
fn rooms_named(code: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    for after in code.split("crate::").skip(1) {
        match after.strip_prefix('{') {
            // A `use` of several: what stands at the outermost level of the braces begins with a room.
            Some(list) => {
                let mut depth = 0_usize;
                let mut word = String::new();
                let mut at_begin = true;
                for character in list.chars() {
                    match character {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => at_begin = true,
                        _ if depth > 0 || character.is_whitespace() => {}
                        _ if at_begin && (character.is_alphanumeric() || character == '_') => {
                            word.push(character);
                        }
                        _ => at_begin = false,
                    }
                    if (!at_begin || character == ',') && !word.is_empty() {
                        rooms.push(std::mem::take(&mut word));
                    }
                }
                if !word.is_empty() {
                    rooms.push(word);
                }
            }
            None => {
                rooms.push(
                    after
                        .chars()
                        .take_while(|character| character.is_alphanumeric() || *character == '_')
                        .collect(),
                );
            }
        }
    }
    rooms
}

fn room_of(source: &Path, path: &Path) -> String {
    let inside = path.strip_prefix(source).expect("a file of the source");
    let first = inside.components().next().expect("a name").as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

#[test]
fn a_room_names_only_the_rooms_it_may_name() {
    let source = crates().join("server/src");
    let table: BTreeMap<&str, &[&str]> = MAY_NAME.iter().copied().collect();
    let mut wrong = Vec::new();
    for path in rust_files(&source) {
        let room = room_of(&source, &path);
        if room == "lib" || room == "main" || is_test(&path) {
            continue;
        }
        let Some(allowed) = table.get(room.as_str()) else {
            wrong.push(format!("{room} is not in the table of {}", file!()));
            continue;
        };
        for named in rooms_named(&code(&read(&path))) {
            let is_room = table.contains_key(named.as_str());
            if is_room && named != room && !allowed.contains(&named.as_str()) {
                wrong.push(format!("{} names {named}, which {room} may not", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_dialect_names_another_and_no_source_another() {
    let source = crates().join("server/src");
    let mut wrong = Vec::new();
    for kind in ["dialects", "sources"] {
        let folder = source.join(kind);
        let siblings: Vec<String> = fs::read_dir(&folder)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.is_dir())
            .map(|path| path.file_name().expect("a name").to_string_lossy().into_owned())
            .collect();
        for path in rust_files(&folder) {
            let room = room_of(&folder, &path);
            let text = code(&read(&path));
            for sibling in siblings.iter().filter(|sibling| **sibling != room && room != "mod") {
                if text.contains(&format!("{kind}::{sibling}"))
                    || text.contains(&format!("super::{sibling}::"))
                {
                    wrong.push(format!("{} names {sibling}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn sql_stays_in_the_store_and_http_out_of_it() {
    let mut wrong = Vec::new();
    for path in rust_files(&crates()) {
        if is_test(&path) {
            continue;
        }
        let text = code(&read(&path));
        let in_store = path.starts_with(crates().join("store"));
        let in_calls = path.starts_with(crates().join("calls"));
        let in_pages = ["pages", "faults"].iter().any(|name| path.starts_with(crates().join(name)));
        let says =
            |words: &[&str]| words.iter().find(|word| text.contains(**word)).map(|word| (*word).to_owned());
        let forbidden = if in_calls {
            says(&[
                "rusqlite",
                "axum",
                "tokio",
                "async fn",
                "serde_json",
                "serde(rename",
                "SystemTime",
                "Instant",
            ])
        } else if in_store {
            says(&["axum", "reqwest", "serde(rename"])
        } else if in_pages {
            // Between SQLite and its files: it knows pages, and nothing of what lies in them.
            says(&["SELECT ", "INSERT INTO", "DELETE FROM", "axum", "tokio", "serde"])
        } else {
            says(&["rusqlite", "SELECT ", "INSERT INTO", "DELETE FROM"])
        };
        wrong.extend(forbidden.map(|word| format!("{} says {word:?}", path.display())));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_file_and_no_function_outgrows_a_reader() {
    let mut wrong = Vec::new();
    for path in rust_files(&crates()) {
        let text = read(&path);
        if let Some(name) = path.file_stem().and_then(|name| name.to_str())
            && EMPTY_NAMES.contains(&name)
        {
            wrong.push(format!("{}: a name that says nothing", path.display()));
        }
        if is_test(&path) {
            continue;
        }
        let body = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let lines = body.lines().count();
        if lines > LONGEST_FILE {
            wrong.push(format!("{} has {lines} lines", path.display()));
        }
        wrong.extend(
            long_functions(body)
                .into_iter()
                .map(|(name, lines)| format!("{}: {name} has {lines} lines", path.display())),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Functions with too many lines; rustfmt closes each with a brace in the column where it began.
fn long_functions(body: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = body.lines().collect();
    let mut long = Vec::new();
    for (begin, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start();
        let is_function = trimmed.starts_with("fn ")
            || ["pub fn ", "pub async fn ", "async fn "].iter().any(|word| trimmed.starts_with(word))
            || (trimmed.starts_with("pub(") && trimmed.contains(" fn "));
        // A trait's method may have no body.
        if !is_function || trimmed.ends_with(';') {
            continue;
        }
        let indent = " ".repeat(line.len() - trimmed.len());
        let close = format!("{indent}}}");
        let length = lines[begin..].iter().position(|line| **line == close).unwrap_or_default();
        if length > LONGEST_FUNCTION {
            long.push((trimmed.chars().take(60).collect(), length));
        }
    }
    long
}

#[test]
fn the_table_reader_finds_rooms_in_every_form_of_use() {
    let code = "use crate::{\n    access::{Access, Refusal},\n    auth::Scope,\n    live,\n};\nuse crate::web::body; crate::clock::Clock";
    assert_eq!(rooms_named(code), ["access", "auth", "live", "web", "clock"]);
}
