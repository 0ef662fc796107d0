//! The two text forms of the metrics, and which of them a client takes.

use std::fmt::Write;

/// A text form of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextFormat {
    /// Version 0.0.4, which every collector reads, `promtool check metrics` too.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl TextFormat {
    /// The form that an `Accept` header asks for: OpenMetrics for who prefers it to plain text, as Prometheus does.
    pub fn accepted(accept: &str) -> Self {
        let (mut open, mut plain) = (0.0, 0.0_f32);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            let weight = parts
                .filter_map(|part| part.split_once('='))
                .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"))
                .and_then(|(_, value)| value.trim().parse::<f32>().ok())
                .unwrap_or(1.0);
            match kind.as_str() {
                "application/openmetrics-text" => open = weight.max(open),
                "text/plain" | "text/*" | "*/*" => plain = weight.max(plain),
                _ => {}
            }
        }
        if open > 0.0 && open >= plain { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// The media type of the form.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Turns OpenMetrics text into Prometheus text 0.0.4. Samples are the same in both. There, a counter is declared by the name
/// of its samples, which ends in `_total`; there are no units and no end mark.
pub(super) fn to_prometheus(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    // The help stands before the type, and needs it.
    let mut help = None;
    for line in open_metrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            let suffix = if kind == "counter" { "_total" } else { "" };
            if let Some((_, words)) = help.take() {
                let _ = writeln!(text, "# HELP {name}{suffix} {words}");
            }
            let _ = writeln!(text, "# TYPE {name}{suffix} {kind}");
        } else if !line.starts_with('#') {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_gets_the_form_that_it_prefers() {
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                            application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,\
                            text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, format) in [
            ("", TextFormat::Prometheus),
            ("*/*", TextFormat::Prometheus),
            ("text/html,application/xhtml+xml,*/*;q=0.8", TextFormat::Prometheus),
            ("text/plain;version=0.0.4;q=0.5,*/*;q=0.1", TextFormat::Prometheus),
            ("application/openmetrics-text;q=0.2, text/plain", TextFormat::Prometheus),
            ("application/openmetrics-text;q=0", TextFormat::Prometheus),
            ("application/openmetrics-text; version=1.0.0", TextFormat::OpenMetrics),
            (prometheus_3, TextFormat::OpenMetrics),
        ] {
            assert_eq!(TextFormat::accepted(accept), format, "{accept}");
        }
    }

    #[test]
    fn a_counter_is_declared_by_the_name_of_its_samples() {
        let open = "# HELP a_requests Requests.\n# TYPE a_requests counter\na_requests_total{method=\"GET\"} 1\n\
                    # HELP a_store_bytes Size.\n# TYPE a_store_bytes gauge\n# UNIT a_store_bytes bytes\n\
                    a_store_bytes 7\n# EOF\n";
        let text = "# HELP a_requests_total Requests.\n# TYPE a_requests_total counter\n\
                    a_requests_total{method=\"GET\"} 1\n# HELP a_store_bytes Size.\n# TYPE a_store_bytes gauge\n\
                    a_store_bytes 7\n";
        assert_eq!(to_prometheus(open), text);
    }
}
