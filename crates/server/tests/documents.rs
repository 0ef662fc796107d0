//! The documents tell what is there: paths exist, commands run, keys have the defaults they are said to have.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use pegcount::{
    config::{Config, Overrides},
    metrics::{
        EventLabels, GuardLabels, JobKind, JobLabels, KeepsakeLabels, Metrics, RefusalLabels, RequestLabels,
        TextFormat,
    },
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect(path)
}

/// Every document that people write, by its path from the root. `docs/api.md` is made of the code.
fn documents() -> Vec<(String, String)> {
    let mut paths: Vec<String> =
        ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(str::to_owned).to_vec();
    for folder in ["docs", "docs/sources"] {
        for entry in fs::read_dir(root().join(folder)).expect(folder) {
            let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
            if name.ends_with(".md") && name != "api.md" {
                paths.push(format!("{folder}/{name}"));
            }
        }
    }
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), read(&path))).collect()
}

/// The lines within fences of one language, fence by fence.
fn fenced(text: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in text.lines() {
        match (line.trim_start().strip_prefix("```"), open.as_mut()) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(said), None) => open = Some((said.to_owned(), String::new())),
            (None, Some((_, block))) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks.into_iter().filter(|(said, _)| said == language).map(|(_, block)| block).collect()
}

/// What stands in backticks outside of fences.
fn quoted(text: &str) -> Vec<String> {
    let mut within = false;
    let mut words = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            within = !within;
        } else if !within {
            words.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    words
}

/// The first cell of each row of the table under a heading, without backticks.
fn first_cells(text: &str, heading: &str) -> BTreeSet<String> {
    let (_, below) = text.split_once(&format!("\n{heading}\n")).expect("the heading");
    let section = below.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.filter_map(|row| row.split('`').nth(1)).map(str::to_owned).collect()
}

fn load(text: &str) -> Result<Config, String> {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), text).expect("it is written");
    Config::load(Some(file.path()), &Overrides::default())
}

/// The keys of a table, those of inner tables joined by dots.
fn keys(table: &toml::Table, prefix: &str) -> Vec<String> {
    let inner = |(key, value): (&String, &toml::Value)| match value {
        toml::Value::Table(table) if !table.is_empty() => keys(table, &format!("{prefix}{key}.")),
        _ => vec![format!("{prefix}{key}")],
    };
    table.iter().flat_map(inner).collect()
}

fn defaults() -> toml::Table {
    toml::Table::try_from(Config::default()).expect("a table")
}

#[test]
fn the_example_configuration_shows_every_key_with_its_default() {
    let text = read("config.example.toml");
    let loaded = load(&text).unwrap();
    assert_eq!(toml::Table::try_from(loaded).unwrap(), defaults());
    let shown: toml::Table = text.parse().unwrap();
    assert_eq!(keys(&shown, ""), keys(&defaults(), ""), "a key is missing, or in another place");
    assert_eq!(shown, defaults());
}

#[test]
fn the_rates_that_the_example_configuration_shows_as_comments_are_taken_too() {
    let text = read("config.example.toml");
    let (_, rates) = text.split_once("\n[rates]\n").unwrap();
    let uncommented: String = rates
        .lines()
        .map(|line| format!("{}\n", line.trim_start_matches('#').trim_start()))
        // Sentences stay comments.
        .map(|line| if line.contains(['=', '[']) { line } else { format!("# {line}") })
        .collect();
    let config = load(&uncommented).unwrap();
    assert_eq!(config.rates["default"].calls.len(), 1, "{uncommented}");
    assert_eq!(config.rates["default"].products.len(), 1);
}

#[test]
fn the_table_of_keys_names_every_key_its_default_and_its_variable() {
    let text = read("docs/configuration.md");
    let known: BTreeSet<String> = keys(&defaults(), "").into_iter().collect();
    assert_eq!(first_cells(&text, "## Keys"), known);
    for key in &known {
        let row = text.lines().find(|line| line.starts_with(&format!("| `{key}` |"))).unwrap();
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let variable = format!("`PEGCOUNT_{}`", key.to_uppercase().replace('.', "__"));
        assert_eq!(cells[4], variable, "{key}");
        let value = key.split('.').fold(&toml::Value::Table(defaults()), |value, part| &value[part]).clone();
        let shown = match value {
            toml::Value::String(text) if text.is_empty() => "empty".to_owned(),
            toml::Value::Table(_) => "empty".to_owned(),
            toml::Value::String(text) => format!("`{text}`"),
            other => format!("`{other}`"),
        };
        assert_eq!(cells[3], shown, "{key}");
    }
}

#[test]
fn the_table_of_rates_names_every_key_of_a_rate() {
    let config =
        load("[[rates.default.calls]]\nper_minute = \"1\"\ndirection = \"inbound\"\nconnection_fee = \"1\"");
    let table = toml::Table::try_from(config.unwrap()).unwrap();
    let rate = table["rates"]["default"]["calls"][0].as_table().unwrap();
    let known: BTreeSet<String> = rate.keys().cloned().collect();
    assert_eq!(first_cells(&read("docs/configuration.md"), "## Rates"), known);
}

#[test]
fn the_trunks_and_users_that_the_example_configuration_shows_as_comments_are_taken_with_every_key() {
    let text = read("config.example.toml");
    let (_, shown) = text.split_once("\n# # A carrier,").unwrap();
    let (shown, _) = shown.split_once("\n\n").unwrap();
    let uncommented: String =
        shown.lines().skip(1).map(|line| format!("{}\n", line.trim_start_matches("# "))).collect();
    let uncommented: String = uncommented
        .lines()
        .map(|line| if line.contains(['=', '[']) { format!("{line}\n") } else { String::new() })
        .collect();
    let config = load(&uncommented).unwrap();
    let table = toml::Table::try_from(&config).unwrap();
    let document = read("docs/configuration.md");
    let described = first_cells(&document, "## SIP trunks and users");
    for (list, shown_less) in [("trunks", "ha1"), ("users", "ha1")] {
        let [block] = table["sip"][list].as_array().unwrap().as_slice() else { panic!("one of {list}") };
        for key in block.as_table().unwrap().keys() {
            assert!(described.contains(key), "{list}: {key}");
            assert!(key == shown_less || uncommented.contains(&format!("\n{key} = ")), "{list}: {key}");
        }
    }
}

#[test]
fn where_sip_listens_may_be_said_in_short() {
    for (text, listen) in [
        ("sip = \"off\"", "off"),
        ("sip = \"127.0.0.1:5070\"", "127.0.0.1:5070"),
        ("[sip]\nlisten = \"127.0.0.1:5070\"", "127.0.0.1:5070"),
        ("[sip]\nmost_calls = 5", "127.0.0.1:5060"),
    ] {
        assert_eq!(load(text).unwrap().sip.listen, listen, "{text}");
    }
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), "[sip]\nmost_calls = 5").expect("it is written");
    let flag = Overrides { sip: Some("127.0.0.1:5071".into()), ..Overrides::default() };
    let config = Config::load(Some(file.path()), &flag).unwrap();
    assert_eq!((config.sip.listen.as_str(), config.sip.most_calls), ("127.0.0.1:5071", 5));
    for wrong in ["sip = \"5060\"", "sip = \"on\"", "[sip]\nlisten = \"localhost\""] {
        assert!(load(wrong).unwrap_err().contains("sip.listen"), "{wrong}");
    }
}

#[test]
fn every_configuration_that_a_document_shows_is_taken() {
    let mut shown = 0;
    for (path, text) in documents() {
        for block in fenced(&text, "toml") {
            shown += 1;
            load(&block).unwrap_or_else(|error| panic!("{path}: {error}\n{block}"));
        }
    }
    assert!(shown > 4, "only {shown} were found");
}

#[test]
fn every_path_that_a_document_names_is_there() {
    let mut wrong = Vec::new();
    let mut looked_at = 0;
    for (path, text) in documents() {
        let folder = Path::new(&path).parent().unwrap().to_owned();
        let is_path = |word: &String| {
            let begins = ["crates/", "docs/", "scripts/", "tests/", ".ci/"].iter();
            begins.clone().any(|begin| word.starts_with(begin)) && !word.contains([' ', '*', '<'])
        };
        for word in quoted(&text).into_iter().filter(is_path) {
            looked_at += 1;
            if !root().join(&word).exists() {
                wrong.push(format!("{path}: `{word}`"));
            }
        }
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (target, heading) = link.split_once('#').unwrap_or((link, ""));
            if target.contains("://") {
                continue;
            }
            looked_at += 1;
            let target =
                if target.is_empty() { root().join(&path) } else { root().join(&folder).join(target) };
            let is_there = match heading {
                "" => target.exists(),
                heading => headings(&fs::read_to_string(&target).unwrap_or_default()).contains(heading),
            };
            if !is_there {
                wrong.push(format!("{path}: ({link})"));
            }
        }
    }
    assert!(looked_at > 60, "only {looked_at} were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_package_has_every_file_that_its_documents_link_to() {
    let script = read("scripts/package");
    let patterns = script.lines().find_map(|line| line.strip_prefix("for file in README.md ")).unwrap();
    let patterns = patterns.strip_suffix("; do").unwrap();
    let listed = Command::new("bash")
        .args(["-c", &format!("printf '%s\\n' README.md {patterns}")])
        .current_dir(root())
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let packaged: BTreeSet<PathBuf> =
        listed.lines().map(|path| root().join(path).canonicalize().unwrap()).collect();
    assert!(packaged.len() > 20, "{packaged:?}");
    let mut missing = BTreeSet::new();
    for path in listed.lines().filter(|path| path.ends_with(".md")) {
        let text = read(path);
        let folder = root().join(path).parent().unwrap().to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            if link.is_empty() || link.contains("://") {
                continue;
            }
            // One that is not there at all is found by another test.
            let Ok(target) = folder.join(link).canonicalize() else { continue };
            let is_packaged = packaged.contains(&target)
                || target.is_dir() && packaged.iter().any(|file| file.starts_with(&target));
            if !is_packaged {
                missing.insert(format!("{path} links to {link}"));
            }
        }
    }
    assert_eq!(missing, BTreeSet::new());
}

/// The anchors of a document's headings.
fn headings(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix('#'));
    lines
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept =
                title.chars().filter(|letter| letter.is_alphanumeric() || *letter == ' ' || *letter == '-');
            kept.collect::<String>().replace(' ', "-")
        })
        .collect()
}

#[test]
fn every_make_target_that_a_document_names_is_there() {
    let makefile = read("Makefile");
    let mut looked_at = 0;
    for (path, text) in documents() {
        let shown = fenced(&text, "sh").concat();
        let lines = quoted(&text).into_iter().chain(shown.lines().map(str::to_owned));
        for target in lines.filter_map(|line| line.strip_prefix("make ").map(str::to_owned)) {
            looked_at += 1;
            assert!(makefile.contains(&format!("\n{target}:")), "{path}: make {target}");
        }
    }
    assert!(looked_at > 5, "only {looked_at} were found");
}

/// The words of each `pegcount` command that a text shows.
fn commands(text: &str) -> Vec<Vec<String>> {
    let shown = fenced(text, "sh").concat().replace("\\\n", " ");
    let lines = quoted(text).into_iter().chain(shown.lines().map(str::to_owned));
    lines
        .filter_map(|line| {
            let line = line.split('#').next().unwrap_or_default().trim().to_owned();
            let rest = line.strip_prefix("target/").unwrap_or(&line).strip_prefix("pegcount ")?;
            Some(rest.split_whitespace().map(str::to_owned).collect())
        })
        .collect()
}

#[test]
fn every_command_and_flag_that_a_document_shows_is_known_to_the_program() {
    let mut looked_at = 0;
    for (path, text) in documents() {
        for words in commands(&text) {
            looked_at += 1;
            let groups = ["keys", "organizations", "jobs", "audit"];
            let depth = if groups.contains(&words[0].as_str()) && words.len() > 1 { 2 } else { 1 };
            let help = Command::new(env!("CARGO_BIN_EXE_pegcount"))
                .args(&words[..depth])
                .arg("--help")
                .output()
                .unwrap();
            assert!(help.status.success(), "{path}: pegcount {words:?}");
            let help = String::from_utf8(help.stdout).unwrap();
            let flags = words.iter().filter(|word| word.starts_with("--"));
            for flag in flags.map(|flag| flag.trim_end_matches([',', '.'])) {
                assert!(help.contains(flag), "{path}: pegcount {words:?}: there is no {flag}");
            }
            if words[0] == "import" && words.len() > 1 {
                assert!(help.contains(&words[1]), "{path}: there is no format {}", words[1]);
            }
        }
    }
    assert!(looked_at > 20, "only {looked_at} were found");
}

/// Every metric that there is, as Prometheus names it; of a histogram its one name.
fn metrics() -> BTreeSet<String> {
    let metrics = Metrics::default();
    metrics.events.get_or_create(&EventLabels { source: "native".into(), outcome: "accepted" }).inc();
    let request = RequestLabels { route: "/".into(), method: "GET", status: 200 };
    metrics.requests.get_or_create(&request).inc();
    metrics.sip.guard.get_or_create(&GuardLabels { reason: "scanner", outcome: "dropped" }).inc();
    metrics.sip.refused.get_or_create(&RefusalLabels { reason: "no_trunk" }).inc();
    metrics.deleted.get_or_create(&KeepsakeLabels { kind: "call" }).inc();
    let upload = JobKind::of("upload");
    metrics.jobs.done.get_or_create(&upload).inc();
    metrics.jobs.failed.get_or_create(&upload).inc();
    metrics.jobs.kept.get_or_create(&JobLabels { kind: upload.kind, state: "dead" }).set(1);
    let rendered = metrics.render(TextFormat::OpenMetrics);
    let types = rendered.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types
        .map(|line| match line.split_once(' ') {
            Some((name, "counter")) => format!("{name}_total"),
            Some((name, _)) => name.to_owned(),
            None => line.to_owned(),
        })
        .collect()
}

#[test]
fn every_metric_is_documented_and_every_documented_one_is_there() {
    assert_eq!(first_cells(&read("docs/operations.md"), "## Metrics"), metrics());
}

#[test]
fn every_test_that_the_limits_name_is_there() {
    fn code(folder: &Path, text: &mut String) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                code(&path, text);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text.push_str(&fs::read_to_string(path).expect("a source file"));
            }
        }
    }
    let mut text = String::new();
    code(&root().join("crates"), &mut text);
    let limits = read("docs/limits.md");
    let rows = limits.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| --- |"));
    let tests: Vec<String> = rows
        .flat_map(|row| quoted(row.trim_end_matches('|').rsplit('|').next().unwrap_or_default()))
        .collect();
    assert!(tests.len() > 10, "{tests:?}");
    let missing: Vec<_> = tests.iter().filter(|test| !text.contains(&format!("fn {test}("))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn alerts_and_dashboard_name_only_metrics_that_exist() {
    let known = metrics();
    for path in ["packaging/monitoring/pegcount.rules.yml", "packaging/monitoring/grafana.json"] {
        let text = read(path);
        let is_name = |letter: char| letter.is_ascii_lowercase() || letter == '_';
        let named: BTreeSet<&str> = text
            .split(|letter: char| !is_name(letter))
            .filter(|word| word.starts_with("pegcount_"))
            .map(|word| word.trim_end_matches("_bucket"))
            .collect();
        assert!(named.len() >= 12, "{path}: {named:?}");
        let unknown: Vec<_> = named.iter().filter(|name| !known.contains(**name)).collect();
        assert!(unknown.is_empty(), "{path}: {unknown:?}");
    }
}

/// The rooms and what each may name, of the table in tidy.rs.
fn walls() -> Vec<(String, BTreeSet<String>)> {
    let (_, table) = include_str!("tidy.rs").split_once("const MAY_NAME").expect("the table");
    let (table, _) = table.split_once("\n];").expect("its end");
    let (_, rows) = table.split_once('=').expect("its begin");
    let words = |text: &str| text.split('"').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let rows = rows.split(']').map(words).filter(|row| !row.is_empty());
    rows.map(|row| (row[0].clone(), row[1..].iter().cloned().collect())).collect()
}

#[test]
fn the_architecture_shows_the_walls_as_they_are_and_stays_short() {
    let text = read("ARCHITECTURE.md");
    assert!(text.lines().count() <= 150, "ARCHITECTURE.md has {} lines", text.lines().count());
    let walls = walls();
    assert!(walls.len() > 15, "{walls:?}");
    for (room, may_name) in walls {
        let row = text.lines().find(|line| line.starts_with(&format!("| `{room}` |")));
        let row = row.unwrap_or_else(|| panic!("the room {room} is not in ARCHITECTURE.md"));
        let shown: BTreeSet<String> = row
            .split('|')
            .nth(3)
            .unwrap_or_default()
            .split(',')
            .map(|name| name.trim().to_owned())
            .filter(|name| name != "-")
            .collect();
        assert_eq!(shown, may_name, "{room}");
    }
}

#[test]
fn the_screenshot_is_small() {
    let size = fs::metadata(root().join("docs/screenshot.png")).unwrap().len();
    assert!(size < 200 * 1024, "{size} bytes");
}
